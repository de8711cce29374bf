//! Whether an address is this machine's own.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Asks the kernel, without a packet: only to an address of one's own can a socket be bound. Where the machine is set
/// to bind to any, the next best sign is that packets to the address would come from there.
pub(crate) fn is_own(address: IpAddr) -> bool {
    let nobodys: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    // What cannot be found out, as for want of descriptors, is taken for our own: nothing is opened by mistake.
    match can_bind(nobodys) {
        Some(true) => source_to(address).is_none_or(|from| from == address),
        Some(false) => can_bind(address).unwrap_or(true),
        None => true,
    }
}

/// None if it cannot be found out.
fn can_bind(address: IpAddr) -> Option<bool> {
    match UdpSocket::bind(SocketAddr::new(address, 0)) {
        Ok(_) => Some(true),
        // The second where the machine does not speak that version at all.
        Err(error) if matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported) => Some(false),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => Some(false),
        Err(_) => None,
    }
}

/// An address that nothing leads to has none.
fn source_to(address: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    // Any port will do.
    socket.connect(SocketAddr::new(address, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_own_and_a_documented_stranger_is_not() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_own(Ipv4Addr::new(198, 51, 100, 1).into()));
        assert_eq!(source_to(Ipv4Addr::LOCALHOST.into()), Some(Ipv4Addr::LOCALHOST.into()));
    }
}
