//! Learning of a gateway's end.

use std::io;

use tokio::net::UnixStream;

/// A connection on which nothing is asked. The gateway stays for as long as it is there, and the connection for as long
/// as the gateway is.
pub struct Watch(UnixStream);

impl Watch {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Returns once the gateway has ended, or lets go of the connection.
    pub async fn ended(&self) {
        let mut word = [0; 64];
        loop {
            if self.0.readable().await.is_err() {
                return;
            }
            match self.0.try_read(&mut word) {
                // Nothing was asked, and so nothing that is said matters.
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}
