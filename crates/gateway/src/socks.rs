//! SOCKS version 5 (RFC 1928), as much of it as opens a tunnel: no authentication, `CONNECT` alone.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::Host;
use crate::refusal::{Code, Refusal};

/// The first byte of everything, which no HTTP request begins with.
pub(crate) const VERSION: u8 = 5;

const NO_AUTHENTICATION: u8 = 0;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What a client is told in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reply {
    Succeeded = 0,
    Failed = 1,
    NotAllowed = 2,
    HostUnreachable = 4,
    CommandUnknown = 7,
    AddressUnknown = 8,
}

impl From<Code> for Reply {
    fn from(code: Code) -> Self {
        match code {
            Code::NameUnresolved | Code::Unreachable | Code::Timeout => Self::HostUnreachable,
            Code::ProtocolUnsupported => Self::CommandUnknown,
            Code::HostInvalid | Code::RequestMalformed => Self::AddressUnknown,
            Code::AuditUnavailable | Code::TooManyConnections => Self::Failed,
            _ => Self::NotAllowed,
        }
    }
}

/// Why nothing was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0:?}")]
    Refused(Refusal),
}

/// Up to the client's wish. Its answer is still owed, on a refusal too.
pub(crate) async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(Host, u16), Error> {
    let malformed = || Error::Refused(Refusal::new(Code::RequestMalformed));
    let (version, count) = (stream.read_u8().await?, stream.read_u8().await?);
    let mut methods = vec![0; count.into()];
    stream.read_exact(&mut methods).await?;
    if version != VERSION {
        return Err(malformed());
    }
    if !methods.contains(&NO_AUTHENTICATION) {
        stream.write_all(&[VERSION, NO_METHOD]).await?;
        return Err(io::Error::other("the client wants to authenticate").into());
    }
    stream.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
    stream.flush().await?;

    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, command, reserved, kind] = head;
    if version != VERSION || reserved != 0 {
        return Err(malformed());
    }
    let host = match kind {
        IPV4 => Ok(Host::from(IpAddr::from(Ipv4Addr::from_bits(stream.read_u32().await?)))),
        IPV6 => Ok(Host::from(IpAddr::from(Ipv6Addr::from_bits(stream.read_u128().await?)))),
        NAME => {
            let mut name = vec![0; stream.read_u8().await?.into()];
            stream.read_exact(&mut name).await?;
            let name = String::from_utf8_lossy(&name).into_owned();
            // What cannot be read holds a letter that no name may have.
            name.parse::<Host>().map_err(|_| Refusal::new(Code::HostInvalid).host(&name))
        }
        _ => return Err(malformed()),
    };
    let port = stream.read_u16().await?;
    let host = host.map_err(|refusal| Error::Refused(refusal.port(port)))?;
    if command != CONNECT {
        return Err(Error::Refused(Refusal::new(Code::ProtocolUnsupported).host(&host.to_string()).port(port)));
    }
    Ok((host, port))
}

/// The address in it says nothing: the way out is not the client's to know.
pub(crate) async fn reply(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> io::Result<()> {
    stream.write_all(&[VERSION, reply as u8, 0, IPV4, 0, 0, 0, 0, 0, 0]).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    const HELLO: [u8; 3] = [5, 1, 0];

    async fn greeted(bytes: &[u8]) -> (Result<(Host, u16), Error>, Vec<u8>) {
        let (mut ours, mut theirs) = duplex(1_024);
        theirs.write_all(bytes).await.unwrap();
        theirs.shutdown().await.unwrap();
        let greeted = greet(&mut ours).await;
        drop(ours);
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.unwrap();
        (greeted, answer)
    }

    fn asking(kind: u8, address: &[u8]) -> Vec<u8> {
        [HELLO.as_slice(), [5, 1, 0, kind].as_slice(), address, [0x01, 0xbb].as_slice()].concat()
    }

    #[tokio::test]
    async fn a_name_or_an_address_is_asked_for() {
        let wishes = [
            (asking(3, b"\x0bExample.com"), "example.com"),
            (asking(3, b"\x09127.0.0.1"), "127.0.0.1"),
            (asking(1, &[192, 0, 2, 1]), "192.0.2.1"),
            (asking(4, &Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets()), "10.0.0.1"),
        ];
        for (bytes, host) in wishes {
            let (greeted, answer) = greeted(&bytes).await;
            assert_eq!(greeted.unwrap(), (host.parse().unwrap(), 443));
            assert_eq!(answer, [5, 0]);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_asked_for_is_refused() {
        let code = |greeted: Result<(Host, u16), Error>| match greeted {
            Err(Error::Refused(refusal)) => refusal.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(greeted(&asking(3, b"\x060x7f.1")).await.0), Code::HostInvalid);
        assert_eq!(code(greeted(&asking(3, b"\x02\xff\xfe")).await.0), Code::HostInvalid);
        assert_eq!(code(greeted(&asking(9, b"")).await.0), Code::RequestMalformed);
        let bind = [HELLO.as_slice(), [5, 2, 0, 1, 192, 0, 2, 1, 0, 80].as_slice()].concat();
        assert_eq!(code(greeted(&bind).await.0), Code::ProtocolUnsupported);
    }

    #[tokio::test]
    async fn one_who_must_authenticate_is_told() {
        let (greeted, answer) = greeted(&[5, 1, 2]).await;
        assert!(matches!(greeted, Err(Error::Io(_))));
        assert_eq!(answer, [5, 0xff]);
    }

    #[tokio::test]
    async fn no_beginning_of_a_wish_is_taken_for_one() {
        let whole = asking(3, b"\x0bexample.com");
        for length in 0..whole.len() {
            assert!(matches!(greeted(&whole[..length]).await.0, Err(Error::Io(_))), "{length}");
        }
    }
}
