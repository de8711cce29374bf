//! The descriptors that come from a sandbox. Its daemon may be anybody's by now: each is checked to be what it is said
//! to be, and flags that are shared with it are never relied on.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_protocol, socket_type};
use rustix::net::{AddressFamily, SocketType, ipproto};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What a descriptor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SocketKind {
    /// HTTP proxy and SOCKS version 5.
    Proxy,
    /// Plain HTTP to whatever address the program believed in.
    Http,
    /// TLS, likewise.
    Https,
    /// Everything else, by the port that was meant: a redirection may lead all of them here.
    #[serde(alias = "catch")]
    Other,
    DnsUdp,
    DnsTcp,
    /// No socket of the sandbox's, but what becomes readable when it ends: a descriptor of its first process, or a
    /// pipe. Listening sockets never tell, for whoever holds them keeps their network alive.
    Life,
}

impl SocketKind {
    fn is_stream(self) -> bool {
        !matches!(self, Self::DnsUdp | Self::Life)
    }
}

/// Why a descriptor is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("the descriptor for {0:?} is of another kind")]
    Kind(SocketKind),
    #[error("the descriptor for {0:?} does not listen")]
    Deaf(SocketKind),
    #[error("the descriptor for {0:?} cannot be used: {1}")]
    Unusable(SocketKind, io::Error),
}

/// Shared with what runs on another thread for a moment.
pub(super) type Socket = AsyncFd<Arc<OwnedFd>>;

/// Those of one sandbox, checked.
#[derive(Default)]
pub(crate) struct Sockets {
    pub(super) listeners: Vec<(SocketKind, Socket)>,
    pub(super) resolvers: Vec<Socket>,
    pub(super) life: Option<Socket>,
}

impl Sockets {
    /// Whether there is anything to serve.
    pub(crate) fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.resolvers.is_empty()
    }
}

/// Takes them all, or none. Must be called on a runtime.
pub(crate) fn check(descriptors: Vec<(SocketKind, OwnedFd)>) -> Result<Sockets, Wrong> {
    let mut sockets = Sockets::default();
    for (kind, descriptor) in descriptors {
        check_kind(kind, &descriptor)?;
        let unusable = |error| Wrong::Unusable(kind, error);
        set_nonblocking(&descriptor).map_err(unusable)?;
        let socket = watched(descriptor).map_err(unusable)?;
        match kind {
            SocketKind::Life => sockets.life = Some(socket),
            SocketKind::DnsUdp => sockets.resolvers.push(socket),
            _ => sockets.listeners.push((kind, socket)),
        }
    }
    Ok(sockets)
}

#[allow(unsafe_code, reason = "tokio cannot know whose a descriptor is")]
fn watched(descriptor: OwnedFd) -> io::Result<Socket> {
    // SAFETY: the descriptor is owned, never exchanged for another, and closed only with the `Arc`, which the result keeps.
    Ok(unsafe { AsyncFd::register_with_interest(Arc::new(descriptor), Interest::READABLE) }?)
}

fn check_kind(kind: SocketKind, descriptor: &OwnedFd) -> Result<(), Wrong> {
    if kind == SocketKind::Life {
        return Ok(());
    }
    let (expected, protocol) =
        if kind.is_stream() { (SocketType::STREAM, ipproto::TCP) } else { (SocketType::DGRAM, ipproto::UDP) };
    // What is no socket at all fails the first question.
    let is_internet = matches!(socket_domain(descriptor), Ok(AddressFamily::INET | AddressFamily::INET6));
    let is_expected = socket_type(descriptor) == Ok(expected) && socket_protocol(descriptor) == Ok(Some(protocol));
    if !is_internet || !is_expected {
        return Err(Wrong::Kind(kind));
    }
    if kind.is_stream() && socket_acceptconn(descriptor) != Ok(true) {
        return Err(Wrong::Deaf(kind));
    }
    Ok(())
}

/// The flag belongs to all who hold the socket: any of them can take it back at any time.
pub(super) fn set_nonblocking(descriptor: &OwnedFd) -> io::Result<()> {
    let flags = fcntl_getfl(descriptor)?;
    Ok(fcntl_setfl(descriptor, flags | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    fn taken(kind: SocketKind, descriptor: impl Into<OwnedFd>) -> Result<(), String> {
        check(vec![(kind, descriptor.into())]).map(|_| ()).map_err(|wrong| wrong.to_string())
    }

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    fn datagrams() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").unwrap()
    }

    #[tokio::test]
    async fn a_descriptor_is_what_it_is_said_to_be_or_it_is_not_taken() {
        assert_eq!(taken(SocketKind::Proxy, listener()), Ok(()));
        assert_eq!(taken(SocketKind::DnsTcp, listener()), Ok(()));
        assert_eq!(taken(SocketKind::DnsUdp, datagrams()), Ok(()));

        let other = |kind: &str| Err(format!("the descriptor for {kind} is of another kind"));
        assert_eq!(taken(SocketKind::Proxy, datagrams()), other("Proxy"));
        assert_eq!(taken(SocketKind::DnsUdp, listener()), other("DnsUdp"));
        assert_eq!(taken(SocketKind::Http, File::open("/dev/null").unwrap()), other("Http"));
        let directory = tempfile::tempdir().unwrap();
        let unix = UnixListener::bind(directory.path().join("socket")).unwrap();
        assert_eq!(taken(SocketKind::Https, unix), other("Https"));
        assert_eq!(taken(SocketKind::DnsUdp, UnixDatagram::unbound().unwrap()), other("DnsUdp"));
    }

    #[tokio::test]
    async fn a_connection_is_no_listener() {
        let waiting = listener();
        let stream = TcpStream::connect(waiting.local_addr().unwrap()).unwrap();
        let deaf = "the descriptor for Other does not listen".to_owned();
        assert_eq!(taken(SocketKind::Other, stream), Err(deaf));
    }

    #[tokio::test]
    async fn one_wrong_descriptor_refuses_them_all() {
        let both = vec![(SocketKind::Proxy, listener().into()), (SocketKind::Http, datagrams().into())];
        assert!(check(both).is_err());
    }

    #[test]
    fn a_kind_has_its_other_name_too() {
        let kind = |text: &str| serde_json::from_str::<SocketKind>(text).unwrap();
        assert_eq!(kind(r#""dns_udp""#), SocketKind::DnsUdp);
        assert_eq!(kind(r#""other""#), SocketKind::Other);
        assert_eq!(kind(r#""catch""#), SocketKind::Other);
    }
}
