//! A connection from inside, by the socket that it came through.
//!
//! Here is all that is known before the first byte leaves: the sandbox, the host that is meant, and for TLS the first
//! message, not yet answered. What is to speak TLS itself instead of passing it on begins here.

mod destination;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{SendFlags, send};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::audit::Protocol;
use crate::connection::{Asked, Connection};
use crate::refusal::{Code, Refusal};
use crate::sandbox::SocketKind;
use crate::stream::{Beating, BoxedStream, Replayed};
use crate::tls::{self, Denied, Guard};
use crate::web::{self, Mode, Tunnel};
use crate::{Host, dns, socks, tunnel};

use destination::destination;

const TLS_PORT: u16 = 443;

/// For a client to read why it is sent away. What it still sends meanwhile is dropped.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection's task: it ends with the connection, or with its sandbox. Its failure is the connection's end.
pub(crate) async fn serve(connection: Connection, kind: SocketKind, stream: TcpStream) {
    let connection = Arc::new(connection);
    // What the kernel refuses only makes it slower.
    let _ = stream.set_nodelay(true);
    match kind {
        SocketKind::Proxy => proxy(&connection, stream).await,
        SocketKind::DnsTcp => dns::serve(&connection, stream).await,
        SocketKind::Http | SocketKind::Https | SocketKind::Other => transparent(&connection, kind, stream).await,
        SocketKind::DnsUdp | SocketKind::Life => {}
    }
}

/// Says no on a connection that is not served at all, as far as that can be done without waiting.
pub(crate) fn turn_away(stream: &TcpStream, kind: SocketKind, refusal: &Refusal) {
    let last = match kind {
        SocketKind::Proxy | SocketKind::Http => web::refuse_raw(refusal),
        SocketKind::Https => tls::ACCESS_DENIED.to_vec(),
        _ => return,
    };
    let _ = send(stream, &last, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// Two protocols, told apart by the first byte.
async fn proxy(connection: &Arc<Connection>, stream: TcpStream) {
    let mut first = [0];
    let Ok(Ok(1..)) = timeout(connection.shared.timeouts.head, stream.peek(&mut first)).await else { return };
    let (protocol, tunnel) = if first == [socks::VERSION] {
        (Protocol::Socks5, socks_tunnel(connection, stream).await)
    } else {
        (Protocol::Connect, web::serve(connection, Box::new(stream), Mode::Proxy).await)
    };
    let Some(Tunnel { client, asked, upstream }) = tunnel else { return };
    match upstream {
        Some(upstream) => through(connection, protocol, client, &asked, upstream).await,
        None => {
            // No tunnel comes out of it: only a proxy is asked for one.
            web::serve(connection, client, Mode::Origin(asked)).await;
        }
    }
}

async fn socks_tunnel(connection: &Connection, stream: TcpStream) -> Option<Tunnel> {
    let mut client: BoxedStream = Box::new(Beating::new(stream, connection.pulse.clone()));
    let greeted = match timeout(connection.shared.timeouts.head, socks::greet(&mut client)).await {
        Ok(Ok((host, port))) => connection.meant(host, port),
        Ok(Err(socks::Error::Refused(refusal))) => Err(refusal),
        Ok(Err(socks::Error::Io(_))) | Err(_) => return None,
    };
    let opened = match greeted {
        Ok(asked) => connection.open(Protocol::Socks5, &asked).await.map(|upstream| (asked, upstream)),
        Err(refusal) => Err(refusal),
    };
    match opened {
        Ok((asked, upstream)) => {
            socks::reply(&mut client, socks::Reply::Succeeded).await.ok()?;
            Some(Tunnel { client, asked, upstream })
        }
        Err(refusal) => {
            connection.deny(Protocol::Socks5, &refusal);
            // A client that does not wait for the answer has one already.
            let _ = socks::reply(&mut client, refusal.code.into()).await;
            farewell(client, &[]).await;
            None
        }
    }
}

/// The program knows of no gateway: where it wanted to go is where its socket says.
async fn transparent(connection: &Arc<Connection>, kind: SocketKind, stream: TcpStream) {
    let Ok(meant) = destination(&stream) else { return };
    let kind = match (kind, meant.port()) {
        (SocketKind::Other, web::PORT) => SocketKind::Http,
        (SocketKind::Other, TLS_PORT) => SocketKind::Https,
        (kind, _) => kind,
    };
    let asked = connection.meant(Host::from(meant.ip()), meant.port());
    let client: BoxedStream = Box::new(Beating::new(stream, connection.pulse.clone()));
    match (kind, asked) {
        (SocketKind::Http, Ok(asked)) => {
            web::serve(connection, client, Mode::Origin(asked)).await;
        }
        (SocketKind::Http, Err(refusal)) => {
            connection.deny(Protocol::Http, &refusal);
            farewell(client, &web::refuse_raw(&refusal)).await;
        }
        (SocketKind::Https, asked) => https(connection, client, asked).await,
        (_, asked) => tcp(connection, client, asked).await,
    }
}

async fn https(connection: &Connection, mut client: BoxedStream, asked: Result<Asked, Refusal>) {
    let reached = async {
        let asked = asked?;
        let mut first = Vec::new();
        if connection.is_limited() {
            // Before anything is read: a name that is not allowed is not waited for either.
            connection.permit(&asked)?;
            first = first_message(connection, &mut client, &asked).await?;
        }
        let reached = connection.reach(Protocol::Https, &asked).await?;
        Ok::<_, Refusal>((asked, first, reached.stream))
    };
    match reached.await {
        Ok((asked, first, mut upstream)) => {
            let mut client = Replayed::new(first, client);
            let carried = tunnel::carry(connection, &mut client, &mut upstream).await;
            ended(connection, Protocol::Https, &asked, carried);
        }
        Err(refusal) => {
            connection.deny(Protocol::Https, &refusal);
            farewell(client, &tls::ACCESS_DENIED).await;
        }
    }
}

async fn tcp(connection: &Arc<Connection>, client: BoxedStream, asked: Result<Asked, Refusal>) {
    let reached = async {
        let asked = asked?;
        let reached = connection.reach(Protocol::Tcp, &asked).await?;
        Ok::<_, Refusal>((asked, reached.stream))
    };
    match reached.await {
        Ok((asked, upstream)) => through(connection, Protocol::Tcp, client, &asked, upstream).await,
        Err(refusal) => connection.deny(Protocol::Tcp, &refusal),
    }
}

/// A tunnel that stands already, once what the client says first names the host that it is for.
async fn through(
    connection: &Arc<Connection>,
    protocol: Protocol,
    mut client: BoxedStream,
    asked: &Asked,
    mut upstream: BoxedStream,
) {
    let carried = if !connection.is_limited() {
        tunnel::carry(connection, &mut client, &mut upstream).await
    } else if asked.port == TLS_PORT {
        match first_message(connection, &mut client, asked).await {
            Ok(first) => tunnel::carry(connection, &mut Replayed::new(first, client), &mut upstream).await,
            Err(refusal) => {
                connection.deny(protocol, &refusal);
                farewell(client, &tls::ACCESS_DENIED).await;
                return;
            }
        }
    } else {
        let may_encrypt = connection.shared.settings().encrypted_client_hello;
        let mut client = Guard::new(client, asked.host.clone(), may_encrypt);
        let carried = tunnel::carry(connection, &mut client, &mut upstream).await;
        if let Some(client) = client.into_http() {
            web::serve_over(connection, Box::new(client), asked.clone(), upstream).await;
            return;
        }
        carried
    };
    ended(connection, protocol, asked, carried);
}

/// What a client says first over TLS, if it is for the host that was asked for.
async fn first_message(connection: &Connection, client: &mut BoxedStream, asked: &Asked) -> Result<Vec<u8>, Refusal> {
    let read = tls::read(client, connection.shared.timeouts.head).await;
    let may_encrypt = connection.shared.settings().encrypted_client_hello;
    let agreed = read.and_then(|(hello, bytes)| tls::agrees(&hello, &asked.host, may_encrypt).map(|()| bytes));
    agreed.map_err(|code| asked.refusal(code))
}

/// Some ends are refusals that came late.
fn ended(connection: &Connection, protocol: Protocol, asked: &Asked, carried: io::Result<()>) {
    let Err(error) = carried else { return };
    let denied = error.get_ref().and_then(|error| error.downcast_ref::<Denied>());
    let code = denied.map(|Denied(code)| *code);
    match code.or_else(|| connection.sandbox.meter.is_spent().then_some(Code::EgressLimit)) {
        Some(code) => connection.deny(protocol, &asked.refusal(code)),
        None => tracing::debug!(host = %asked.host, %error, "a connection has broken"),
    }
}

/// The last words, then the end. What the client has sent is read first, for otherwise the kernel would tell it that
/// the connection was reset, and drop the words.
async fn farewell(mut client: BoxedStream, last: &[u8]) {
    let said = async {
        client.write_all(last).await?;
        client.shutdown().await?;
        let mut rest = [0; 1_024];
        while client.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // There is nobody left to tell.
    let _ = timeout(FAREWELL, said).await;
}

#[cfg(test)]
mod tests;
