//! The network inside: a loopback interface, and where there is a gateway, the way to it.
//!
//! No packet ever leaves. With a gateway every address in the world is a local one, the kernel redirects all connections
//! to a listening socket that the daemon holds, and the host's gateway accepts them from outside. Programs need not know:
//! the socket tells which address was meant. Those that honour proxy variables, and names, have sockets of their own.

mod netlink;
mod redirect;
mod routes;

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsRawFd, OwnedFd},
};

use hand_protocol::Socket;
use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};

/// Where programs that honour proxy variables connect to.
pub(super) const PROXY_PORT: u16 = 3128;

/// Where all other connections end up.
const CATCH_PORT: u16 = 3129;

const DNS_PORT: u16 = 53;

/// Waiting connections; the gateway accepts them as they come.
const BACKLOG: i32 = 512;

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

/// Makes every address local, and opens what the gateway is to accept from. To be called with `lo` up, and before the
/// capabilities are gone.
pub(super) fn open_gate() -> io::Result<Vec<(Socket, OwnedFd)>> {
    routes::all_local()?;
    let mut sockets = vec![
        (Socket::Proxy, TcpListener::bind((Ipv4Addr::LOCALHOST, PROXY_PORT))?.into()),
        (Socket::DnsUdp, UdpSocket::bind((Ipv4Addr::LOCALHOST, DNS_PORT))?.into()),
        (Socket::DnsTcp, TcpListener::bind((Ipv4Addr::LOCALHOST, DNS_PORT))?.into()),
    ];
    if redirect::install(CATCH_PORT).is_ok() {
        sockets.push((Socket::Catch, wildcard(CATCH_PORT)?));
    } else {
        // A kernel without the redirection: the two ports that matter are listened on themselves.
        sockets.push((Socket::Catch, wildcard(80)?));
        sockets.push((Socket::Catch, wildcard(443)?));
    }
    Ok(sockets)
}

/// Takes connections to this port at any address, of either version.
fn wildcard(port: u16) -> io::Result<OwnedFd> {
    let both = socket(AddressFamily::INET6, SocketType::STREAM, None);
    let (socket, address) = match both {
        Ok(socket) => {
            sockopt::set_ipv6_v6only(&socket, false)?;
            (socket, SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
        }
        // A kernel without IPv6.
        Err(_) => {
            let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
            (socket, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        }
    };
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}
