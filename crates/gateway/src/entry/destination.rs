//! Where a connection was meant to go.

use std::io;
use std::net::SocketAddr;

use rustix::net::sockopt::{ip_original_dst, ipv6_original_dst};
use tokio::net::TcpStream;

/// The address that the program connected to: before the redirection, where there was one that can be asked.
pub(super) fn destination(stream: &TcpStream) -> io::Result<SocketAddr> {
    let local = canonical(stream.local_addr()?);
    // A kernel that redirects nothing does not know the question.
    let original = match local {
        SocketAddr::V4(_) => ip_original_dst(stream).map(SocketAddr::V4),
        SocketAddr::V6(_) => ipv6_original_dst(stream).map(SocketAddr::V6),
    };
    Ok(canonical(original.unwrap_or(local)))
}

/// A socket for both versions tells addresses of the older one in the form of the newer.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn without_a_redirection_it_is_the_address_that_was_connected_to() {
        for any in ["127.0.0.1:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(any).await else { continue };
            let port = listener.local_addr().unwrap().port();
            let meant = SocketAddr::from(([127, 0, 0, 1], port));
            let (client, accepted) = tokio::join!(TcpStream::connect(meant), listener.accept());
            assert_eq!(destination(&accepted.unwrap().0).unwrap(), meant, "{any}");
            drop(client);
        }
    }
}
