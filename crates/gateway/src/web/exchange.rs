//! One request after the other on a connection from inside.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

use super::answer::{Answer, refuse};
use super::headers::{are_of_websocket, make_websocket, strip};
use super::heads::{Framing, Heads};
use super::{MOST_OF_HEAD, Mode, Next, PORT};
use crate::Host;
use crate::audit::Protocol;
use crate::connection::{Asked, Connection};
use crate::host::Authority;
use crate::refusal::{Code, Refusal};
use crate::stream::BoxedStream;

pub(super) struct Exchange {
    connection: Arc<Connection>,
    mode: Mode,
    /// A way to the host that the client believes to talk to, for its first request.
    opened: Mutex<Option<BoxedStream>>,
    heads: Heads,
    /// The way out of the last request, for the next one to the same host.
    kept: tokio::sync::Mutex<Option<Kept>>,
    next: Mutex<Option<Next>>,
}

struct Kept {
    asked: Asked,
    /// None of one that somebody else has opened, which takes one request.
    address: Option<IpAddr>,
    sender: SendRequest<Incoming>,
}

impl Exchange {
    pub(super) fn new(connection: Arc<Connection>, mode: Mode, opened: Option<BoxedStream>, heads: Heads) -> Self {
        let opened = Mutex::new(opened);
        Self { connection, mode, opened, heads, kept: tokio::sync::Mutex::default(), next: Mutex::default() }
    }

    pub(super) fn take_next(&self) -> Option<Next> {
        self.next.lock().take()
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        self.connection.sandbox.pace.keep().await;
        let framing = self.heads.next();
        let is_connect = request.method() == Method::CONNECT;
        let answered = match framing {
            Some(framing) if framing.is_ambiguous => Err(Refusal::new(Code::RequestMalformed)),
            Some(framing) if is_connect => self.connect(request, framing).await,
            Some(framing) => self.pass(request, framing).await,
            None => Err(Refusal::new(Code::RequestMalformed)),
        };
        let mut response = answered.unwrap_or_else(|refusal| {
            let protocol = if is_connect { Protocol::Connect } else { Protocol::Http };
            self.connection.deny(protocol, &refusal);
            refuse(&refusal)
        });
        let becomes_another =
            response.status() == StatusCode::SWITCHING_PROTOCOLS || is_connect && response.status().is_success();
        if framing.is_none_or(|framing| framing.is_last) && !becomes_another {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn connect(&self, mut request: Request<Incoming>, framing: Framing) -> Result<Response<Answer>, Refusal> {
        if !matches!(self.mode, Mode::Proxy) || framing.has_body {
            return Err(Refusal::new(Code::RequestMalformed));
        }
        let target = request.uri().authority().map_or("", |authority| authority.as_str());
        let authority: Authority = target.parse().map_err(|_| Refusal::new(Code::HostInvalid).host(target))?;
        let port = authority.port.ok_or_else(|| Refusal::new(Code::RequestMalformed).host(target))?;
        let asked = self.connection.meant(authority.host, port)?;
        let upstream = self.connection.open(Protocol::Connect, &asked).await?;
        let client = hyper::upgrade::on(&mut request);
        *self.next.lock() = Some(Next::Tunnel { client, asked, upstream });
        Ok(Response::new(Either::Right(Full::default())))
    }

    async fn pass(&self, mut request: Request<Incoming>, framing: Framing) -> Result<Response<Answer>, Refusal> {
        let asked = self.asked(&request)?;
        let switches = are_of_websocket(request.headers()) && !framing.has_body;
        let client = switches.then(|| hyper::upgrade::on(&mut request));
        let request = self.outgoing(request, &asked, switches)?;
        let mut response = self.send(request, &asked).await?;
        let has_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if has_switched {
            // From now on it carries something else, or the host has gone mad.
            self.kept.lock().await.take();
            match client {
                Some(client) if are_of_websocket(response.headers()) => {
                    let upstream = hyper::upgrade::on(&mut response);
                    *self.next.lock() = Some(Next::Switch { client, upstream });
                }
                _ => return Err(asked.refusal(Code::Unreachable)),
            }
        }
        let (mut parts, body) = response.into_parts();
        if parts.headers.contains_key(TRANSFER_ENCODING) {
            parts.headers.remove(CONTENT_LENGTH);
        }
        strip(&mut parts.headers);
        if has_switched {
            make_websocket(&mut parts.headers);
        }
        parts.version = Version::HTTP_11;
        Ok(Response::from_parts(parts, Either::Left(body)))
    }

    /// Whom the request is for, once everything that says so has said the same.
    fn asked(&self, request: &Request<Incoming>) -> Result<Asked, Refusal> {
        let (named, target) = (named(request)?, target(request.uri())?);
        let is_limited = self.connection.is_limited();
        let agrees = |authority: &Authority, asked: &Asked| {
            let meant = self.connection.meant(authority.host.clone(), authority.port.unwrap_or(PORT));
            meant.as_ref() == Ok(asked)
        };
        let (asked, is_agreed) = match &self.mode {
            Mode::Proxy => {
                let target = target.ok_or_else(|| Refusal::new(Code::ProtocolUnsupported))?;
                let asked = self.connection.meant(target.host, target.port.unwrap_or(PORT))?;
                let is_agreed = named.is_none_or(|named| agrees(&named, &asked));
                (asked, is_agreed)
            }
            Mode::Origin(asked) => {
                let is_agreed = named.is_some_and(|named| agrees(&named, asked))
                    && target.is_none_or(|target| agrees(&target, asked));
                (asked.clone(), is_agreed)
            }
        };
        if is_limited && !is_agreed {
            return Err(asked.refusal(Code::HostMismatch));
        }
        Ok(asked)
    }

    /// The request as the next server gets it.
    fn outgoing(
        &self,
        request: Request<Incoming>,
        asked: &Asked,
        switches: bool,
    ) -> Result<Request<Incoming>, Refusal> {
        let (mut parts, body) = request.into_parts();
        let is_chunked = parts.headers.contains_key(TRANSFER_ENCODING);
        strip(&mut parts.headers);
        // It was answered here.
        parts.headers.remove(EXPECT);
        if is_chunked {
            parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if switches {
            make_websocket(&mut parts.headers);
        }
        let names_host = matches!(self.mode, Mode::Proxy) || self.connection.is_limited();
        if names_host || !parts.headers.contains_key(HOST) {
            let host = HeaderValue::from_str(&host_field(asked));
            parts.headers.insert(HOST, host.map_err(|_| asked.refusal(Code::HostInvalid))?);
        }
        // Written out, and read again: a line without a target, or with a query alone, could be read as anything.
        let path = parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        let path = PathAndQuery::try_from(path).map_err(|_| asked.refusal(Code::HostInvalid))?;
        parts.uri = Uri::from(path);
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        Ok(Request::from_parts(parts, body))
    }

    async fn send(&self, mut request: Request<Incoming>, asked: &Asked) -> Result<Response<Incoming>, Refusal> {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|way| way.asked == *asked)
            && let Some(mut way) = kept.take()
            && let Some(address) = way.address
            && way.sender.ready().await.is_ok()
        {
            self.connection.reach_again(Protocol::Http, asked, address).await?;
            match way.sender.try_send_request(request).await {
                Ok(response) => {
                    *kept = Some(way);
                    return Ok(response);
                }
                Err(mut error) => match error.take_message() {
                    // The host had closed it meanwhile, and has seen nothing of the request.
                    Some(unsent) => request = unsent,
                    None => return Err(self.failed(asked, error.error())),
                },
            }
        }
        let mut way = self.dial(asked).await?;
        let response = way.sender.send_request(request).await.map_err(|error| self.failed(asked, &error))?;
        *kept = Some(way);
        Ok(response)
    }

    async fn dial(&self, asked: &Asked) -> Result<Kept, Refusal> {
        // It leads to whom all requests of the connection are for.
        let opened = self.opened.lock().take();
        let (stream, address) = match opened {
            Some(stream) => (stream, None),
            None => {
                let reached = self.connection.reach(Protocol::Http, asked).await?;
                (reached.stream, Some(reached.address))
            }
        };
        let dialled = Builder::new().max_buf_size(MOST_OF_HEAD).handshake(TokioIo::new(stream)).await;
        let (sender, driver) = dialled.map_err(|error| self.failed(asked, &error))?;
        let until = self.connection.sandbox.gone.clone();
        self.connection.shared.tasks.spawn("way out of HTTP requests", until, async move {
            if let Err(error) = driver.with_upgrades().await {
                tracing::debug!(%error, "a way out has ended early");
            }
        });
        Ok(Kept { asked: asked.clone(), address, sender })
    }

    fn failed(&self, asked: &Asked, error: &hyper::Error) -> Refusal {
        tracing::debug!(host = %asked.host, %error, "a request was not answered");
        let code = if self.connection.sandbox.meter.is_spent() { Code::EgressLimit } else { Code::Unreachable };
        asked.refusal(code)
    }
}

/// The `Host` field. Only the oldest clients have none.
fn named(request: &Request<Incoming>) -> Result<Option<Authority>, Refusal> {
    let malformed = || Refusal::new(Code::RequestMalformed);
    let mut fields = request.headers().get_all(HOST).iter();
    match (fields.next(), fields.next()) {
        (None, _) if request.version() < Version::HTTP_11 => Ok(None),
        (Some(field), None) => {
            let authority = field.to_str().ok().and_then(|field| field.parse().ok());
            authority.map(Some).ok_or_else(malformed)
        }
        _ => Err(malformed()),
    }
}

/// The host in the request's first line, where a proxy is told.
fn target(uri: &Uri) -> Result<Option<Authority>, Refusal> {
    let Some(authority) = uri.authority() else { return Ok(None) };
    if uri.scheme() != Some(&Scheme::HTTP) {
        return Err(Refusal::new(Code::ProtocolUnsupported).host(authority.as_str()));
    }
    let parsed = authority.as_str().parse::<Authority>();
    parsed.map(Some).map_err(|_| Refusal::new(Code::HostInvalid).host(authority.as_str()))
}

fn host_field(asked: &Asked) -> String {
    let host = match &asked.host {
        Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
        host => host.to_string(),
    };
    if asked.port == PORT { host } else { format!("{host}:{}", asked.port) }
}
