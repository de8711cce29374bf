//! How the connections between nodes are set up.

use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// For connecting and for both sides' proofs together, and for the first answer after that.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Nothing heard for so long, and the kernel asks whether the other side is still there.
const IDLE: Duration = Duration::from_secs(10);
const BETWEEN: Duration = Duration::from_secs(5);
const TRIES: u32 = 3;

/// Milliseconds that what was sent may go unconfirmed.
const UNCONFIRMED: u32 = 25_000;

/// A node whose machine is gone without a word must be noticed, or calls would wait for it for ever. What the kernel
/// refuses only makes that slower.
pub(crate) fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, IDLE);
    let _ = sockopt::set_tcp_keepintvl(stream, BETWEEN);
    let _ = sockopt::set_tcp_keepcnt(stream, TRIES);
    let _ = sockopt::set_tcp_user_timeout(stream, UNCONFIRMED);
}
