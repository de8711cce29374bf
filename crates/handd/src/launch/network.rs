//! The network inside: a loopback interface and nothing else, not even a route.

use std::{io, os::fd::AsRawFd};

use rustix::net::{AddressFamily, SocketType, socket};

/// Brings `lo` up; the kernel gives it 127.0.0.1 and ::1 by itself.
#[allow(unsafe_code, reason = "rustix has no interface requests")]
pub(super) fn loopback_up() -> io::Result<()> {
    // Any socket of the family carries the request.
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    let up = libc::__c_anonymous_ifr_ifru { ifru_flags: libc::IFF_UP as libc::c_short };
    let request = libc::ifreq { ifr_name: name, ifr_ifru: up };
    // SAFETY: the request is a whole `ifreq`, which the kernel only reads, during the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
