//! What connections are made of, on both of their sides.

mod beating;
mod replayed;

pub(crate) use beating::Beating;
pub(crate) use replayed::Replayed;

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) type BoxedStream = Box<dyn Stream>;
