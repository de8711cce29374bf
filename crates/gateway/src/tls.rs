//! The first message of a TLS connection, read without answering it: which server is asked for.

mod guard;
mod hello;

pub(crate) use guard::{Denied, Guard};
pub(crate) use hello::{Hello, Parsed, parse};

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use crate::Host;
use crate::host::Name;
use crate::refusal::Code;

/// Bytes that a first message may take, with its framing. The longest that clients send is a quarter of it.
pub(crate) const LONGEST: usize = 16 << 10;

/// A fatal alert, `access_denied`: the client's error then says more than that the connection ended.
pub(crate) const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// Reads until the message is whole. What was read is to be sent on.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), patience: Duration) -> Result<(Hello, Vec<u8>), Code> {
    let mut bytes = Vec::new();
    let whole = async {
        loop {
            match parse(&bytes) {
                Parsed::Hello(hello) => return Ok(hello),
                Parsed::Malformed | Parsed::Other => return Err(Code::NotTls),
                Parsed::Partial if bytes.len() >= LONGEST => return Err(Code::NotTls),
                Parsed::Partial => {}
            }
            match stream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return Err(Code::NotTls),
                Ok(_) => {}
            }
        }
    };
    let hello = timeout(patience, whole).await.map_err(|_| Code::Timeout)??;
    Ok((hello, bytes))
}

/// Whether the server that is asked for is the one that was connected to.
pub(crate) fn agrees(hello: &Hello, host: &Host, may_encrypt: bool) -> Result<(), Code> {
    if hello.is_encrypted && !may_encrypt {
        return Err(Code::SniEncrypted);
    }
    match (host, hello.server_name.as_deref()) {
        // No address is ever named there (RFC 6066), so any name means somebody else.
        (Host::Address(_), None) => Ok(()),
        (Host::Address(_), Some(_)) => Err(Code::SniMismatch),
        (Host::Name(_), None) => Err(Code::SniMissing),
        (Host::Name(name), Some(asked)) => match asked.parse::<Name>() {
            Ok(asked) if asked == *name => Ok(()),
            _ => Err(Code::SniMismatch),
        },
    }
}

#[cfg(test)]
pub(crate) mod tests;
