//! All addresses lead to this machine.

use std::io;

use super::netlink::Messages;

/// `rtmsg`: a route to everything, in the table of local addresses.
fn to_all(family: u8) -> [u8; 12] {
    let (destination, source, service) = (0, 0, 0);
    let flags = 0_u32.to_ne_bytes();
    [
        family,
        destination,
        source,
        service,
        libc::RT_TABLE_LOCAL,
        libc::RTPROT_BOOT,
        libc::RT_SCOPE_HOST,
        libc::RTN_LOCAL,
        flags[0],
        flags[1],
        flags[2],
        flags[3],
    ]
}

pub(super) fn all_local() -> io::Result<()> {
    add(libc::AF_INET as u8)?;
    // A kernel without IPv6 has nothing to lead anywhere.
    let _ = add(libc::AF_INET6 as u8);
    Ok(())
}

fn add(family: u8) -> io::Result<()> {
    /// The first interface of a network namespace is always `lo`.
    const LO: u32 = 1;
    let flags = (libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
    let mut messages = Messages::default();
    messages.begin(libc::RTM_NEWROUTE, flags, &to_all(family)).attribute(libc::RTA_OIF, &LO.to_ne_bytes());
    // The protocol without a number of its own is routing.
    messages.send(None)
}
