//! The engine's API, as far as it is needed: JSON over HTTP over a Unix socket, a connection for each request.
//!
//! Paths carry no version. The engine then speaks its newest, and what is used here means the same in all of them; the
//! versions that engines still accept change faster.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE},
    upgrade::{self, Upgraded},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{net::UnixStream, time::timeout};
use tokio_util::io::ReaderStream;

/// For one request, from its connection to the end of its answer. Images are never pulled here, so nothing takes long
/// but files.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_FOR_FILES: Duration = Duration::from_secs(600);

/// Bytes of an answer. A list of a thousand containers has less than half of it.
const MOST: usize = 4 << 20;

const JSON: &str = "application/json";
const TAR: &str = "application/x-tar";

pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Says nothing of any container.
    #[error("the engine at {} cannot be reached: {why}", socket.display())]
    Away { socket: PathBuf, why: String },
    #[error("the engine answers with {status}: {message}")]
    Refused { status: StatusCode, message: String },
    #[error("the engine's answer cannot be understood: {0}")]
    Confused(String),
    #[error("the engine has not answered within {} seconds", .0.as_secs())]
    Silent(Duration),
}

impl Error {
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, .. })
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error.to_string())
    }
}

/// What the engine says of an error.
#[derive(Deserialize)]
struct Complaint {
    message: String,
}

#[derive(Debug)]
pub(crate) struct Engine {
    socket: PathBuf,
}

impl Engine {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        parse(&self.exchange(Method::GET, path, JSON, empty(), MOST, PATIENCE).await?)
    }

    /// An answer that is no JSON, of at most so many bytes.
    pub(crate) async fn get_bytes(&self, path: &str, most: usize) -> Result<Bytes, Error> {
        self.exchange(Method::GET, path, JSON, empty(), most, PATIENCE_FOR_FILES).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Error> {
        parse(&self.exchange(Method::POST, path, JSON, json(body), MOST, PATIENCE).await?)
    }

    /// Where the answer has nothing in it.
    pub(crate) async fn post_empty(&self, path: &str) -> Result<(), Error> {
        self.exchange(Method::POST, path, JSON, empty(), MOST, PATIENCE).await.map(drop)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), Error> {
        self.exchange(Method::DELETE, path, JSON, empty(), MOST, PATIENCE).await.map(drop)
    }

    /// Sends an archive, piece by piece.
    pub(crate) async fn put(&self, path: &str, archive: std::fs::File) -> Result<(), Error> {
        let pieces = ReaderStream::with_capacity(tokio::fs::File::from_std(archive), 256 << 10);
        let body = StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync();
        self.exchange(Method::PUT, path, TAR, body, MOST, PATIENCE_FOR_FILES).await.map(drop)
    }

    /// Asks for something whose answer is a stream in both directions.
    pub(crate) async fn upgrade(&self, path: &str, body: &Value) -> Result<TokioIo<Upgraded>, Error> {
        let request = Request::builder().method(Method::POST).uri(path).header(HOST, "engine");
        let request = request.header(CONTENT_TYPE, JSON).header(CONNECTION, "Upgrade").header(UPGRADE, "tcp");
        let request = request.body(json(body)).map_err(confused)?;
        let upgraded = async {
            let (mut sender, connection) = self.connect().await?;
            let connection = connection.with_upgrades();
            let asked = async {
                let response = sender.send_request(request).await.map_err(|error| self.away(error))?;
                if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    let status = response.status();
                    let said = collect(response, MOST).await?;
                    // An engine that begins at once, under 200, is one that has not seen the wish for another protocol.
                    let message = complaint(&said).unwrap_or_else(|| "no stream was opened".to_owned());
                    return Err(Error::Refused { status, message });
                }
                upgrade::on(response).await.map_err(|error| self.away(error))
            };
            tokio::pin!(asked, connection);
            tokio::select! {
                biased;
                done = &mut asked => done,
                // It ends when it has handed the stream over.
                _ = &mut connection => asked.await,
            }
        };
        timeout(PATIENCE, upgraded).await.unwrap_or(Err(Error::Silent(PATIENCE))).map(TokioIo::new)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Body,
        most: usize,
        patience: Duration,
    ) -> Result<Bytes, Error> {
        let request = Request::builder().method(method).uri(path).header(HOST, "engine").header(CONTENT_TYPE, kind);
        let request = request.body(body).map_err(confused)?;
        let exchanged = async {
            let (mut sender, connection) = self.connect().await?;
            let asked = async {
                let response = sender.send_request(request).await.map_err(|error| self.away(error))?;
                let status = response.status();
                // What an error says is short, whatever was asked for.
                let most = if status.is_success() { most } else { MOST };
                let said = collect(response, most).await?;
                // 304: it is as it was to become.
                if status.is_success() || status == StatusCode::NOT_MODIFIED {
                    return Ok(said);
                }
                let message = complaint(&said).unwrap_or_else(|| "no reason given".to_owned());
                Err(Error::Refused { status, message })
            };
            tokio::pin!(asked, connection);
            tokio::select! {
                biased;
                done = &mut asked => done,
                _ = &mut connection => asked.await,
            }
        };
        timeout(patience, exchanged).await.unwrap_or(Err(Error::Silent(patience)))
    }

    async fn connect(&self) -> Result<(http1::SendRequest<Body>, http1::Connection<TokioIo<UnixStream>, Body>), Error> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.away(error))?;
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.away(error))
    }

    fn away(&self, error: impl std::error::Error) -> Error {
        // What hyper says by itself leaves out why.
        let why = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Error::Away { socket: self.socket.clone(), why }
    }
}

async fn collect(response: Response<Incoming>, most: usize) -> Result<Bytes, Error> {
    let collected = Limited::new(response.into_body(), most).collect().await;
    collected.map(|body| body.to_bytes()).map_err(confused)
}

fn parse<T: DeserializeOwned>(said: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(said).map_err(confused)
}

fn complaint(said: &[u8]) -> Option<String> {
    serde_json::from_slice(said).ok().map(|Complaint { message }| message)
}

fn confused(error: impl std::fmt::Display) -> Error {
    Error::Confused(error.to_string())
}

fn empty() -> Body {
    full("")
}

fn json(body: &Value) -> Body {
    full(body.to_string())
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}
