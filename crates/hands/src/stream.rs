//! What carries the hand protocol: a socket of this machine, or a tunnel to another one.

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection to a daemon, as bytes. Its end says nothing of the sandbox.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub type BoxedStream = Box<dyn Stream>;
