//! Plain HTTP, as a proxy and for programs that do not know of one.
//!
//! Requests are parsed and written anew, each on a connection is judged on its own, and redirects are left to who
//! asked.

mod answer;
mod exchange;
mod headers;
mod heads;

pub(crate) use answer::refuse_raw;

use std::convert::Infallible;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::connection::{Asked, Connection};
use crate::stream::{Beating, BoxedStream};
use crate::tunnel;

use exchange::Exchange;
use heads::Tapped;

pub(crate) const PORT: u16 = 80;

/// Bytes of a head, and header fields in it. The parser's own default is the second.
const MOST_OF_HEAD: usize = 64 << 10;
const MOST_HEADERS: usize = 100;

/// Whom a client believes to talk to.
#[derive(Debug, Clone)]
pub(crate) enum Mode {
    /// A proxy: each request names its host.
    Proxy,
    /// This host.
    Origin(Asked),
}

/// A client that asked for a tunnel and was told that it stands.
pub(crate) struct Tunnel {
    pub(crate) client: BoxedStream,
    pub(crate) asked: Asked,
    /// None where what comes through it is to be read as HTTP.
    pub(crate) upstream: Option<BoxedStream>,
}

/// What a connection becomes once its last request is answered.
enum Next {
    Tunnel { client: OnUpgrade, asked: Asked, upstream: Option<BoxedStream> },
    Switch { client: OnUpgrade, upstream: OnUpgrade },
}

/// Answers until the client has no more requests, or wants a tunnel.
pub(crate) async fn serve(connection: &Arc<Connection>, client: BoxedStream, mode: Mode) -> Option<Tunnel> {
    answer(connection, client, mode, None).await
}

/// The same for a client that has this way to its host already.
pub(crate) async fn serve_over(connection: &Arc<Connection>, client: BoxedStream, asked: Asked, upstream: BoxedStream) {
    // No tunnel comes out of it: only a proxy is asked for one.
    answer(connection, client, Mode::Origin(asked), Some(upstream)).await;
}

async fn answer(
    connection: &Arc<Connection>,
    client: BoxedStream,
    mode: Mode,
    opened: Option<BoxedStream>,
) -> Option<Tunnel> {
    let (client, heads) = Tapped::new(Beating::new(client, connection.pulse.clone()));
    let exchange = Arc::new(Exchange::new(Arc::clone(connection), mode, opened, heads));
    let service = {
        let exchange = Arc::clone(&exchange);
        service_fn(move |request| {
            let exchange = Arc::clone(&exchange);
            async move { Ok::<_, Infallible>(exchange.answer(request).await) }
        })
    };
    let server = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(connection.shared.timeouts.head)
        .max_buf_size(MOST_OF_HEAD)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(client), service)
        .with_upgrades();
    tokio::select! {
        served = server => if let Err(error) = served {
            tracing::debug!(%error, "a connection from inside has ended early");
            return None;
        },
        () = connection.pulse.has_stopped(connection.terms().limits.idle()) => return None,
    }
    match exchange.take_next()? {
        Next::Tunnel { client, asked, upstream } => {
            let client = Box::new(TokioIo::new(client.await.ok()?));
            Some(Tunnel { client, asked, upstream })
        }
        Next::Switch { client, upstream } => {
            let mut client = TokioIo::new(client.await.ok()?);
            let mut upstream: BoxedStream = Box::new(TokioIo::new(upstream.await.ok()?));
            // How it ended is the business of its two ends.
            let _ = tunnel::carry(connection, &mut client, &mut upstream).await;
            None
        }
    }
}

#[cfg(test)]
mod tests;
