//! A client of the server: one kept connection for requests, one more per live stream.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::http::{Chunks, Length, Pipe, find};

/// The key that the server is started with.
pub(crate) const KEY: &str = "bench-key";

/// Longer than any answer takes; a bench that hangs would say nothing at all.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    pipe: Pipe,
    /// What every request sends after its first line.
    headers: String,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
        Self::over(socket, address)
    }

    /// Over a connection that was made elsewhere, from an address of one's choice for example.
    pub(crate) fn over(socket: TcpStream, address: SocketAddr) -> Result<Self> {
        let headers = format!(
            "host: {address}\r\nx-api-key: {KEY}\r\nanthropic-version: 2023-06-01\r\n\
             anthropic-beta: managed-agents-2026-04-01\r\n"
        );
        Ok(Self { pipe: Pipe::new(socket, PATIENCE)?, headers })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        self.exchange("GET", path, "").await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Result<Vec<u8>> {
        self.exchange("POST", path, body).await
    }

    /// Creates an object and returns its id.
    pub(crate) async fn create(&mut self, path: &str, body: &str) -> Result<String> {
        let answer = self.post(path, body).await?;
        let answer: Value = serde_json::from_slice(&answer).with_context(|| format!("POST {path} answered no JSON"))?;
        Ok(answer["id"].as_str().with_context(|| format!("POST {path} answered no id"))?.to_owned())
    }

    pub(crate) async fn delete(&mut self, path: &str) -> Result<()> {
        self.exchange("DELETE", path, "").await.map(drop)
    }

    /// Sends a user's message.
    pub(crate) async fn say(&mut self, session: &str, text: &str) -> Result<()> {
        let body = json!({"events": [{"type": "user.message", "content": [{"type": "text", "text": text}]}]});
        self.post(&format!("/v1/sessions/{session}/events"), &body.to_string()).await.map(drop)
    }

    /// Turns the connection into a session's live stream, with previews of messages.
    pub(crate) async fn listen(mut self, session: &str) -> Result<Events> {
        let path = format!("/v1/sessions/{session}/events/stream?event_deltas%5B%5D=agent.message");
        self.send("GET", &path, "").await?;
        let head = self.pipe.head().await?;
        if !head.is_success() {
            let body = self.pipe.body(head.length).await?;
            bail!("GET {path}: {}: {}", head.first, String::from_utf8_lossy(&body));
        }
        ensure!(head.length == Length::Chunked, "GET {path}: a stream comes in chunks");
        Ok(Events { pipe: self.pipe, chunks: Chunks::default(), text: Vec::new(), taken: 0 })
    }

    async fn exchange(&mut self, method: &str, path: &str, body: &str) -> Result<Vec<u8>> {
        self.send(method, path, body).await?;
        let head = self.pipe.head().await?;
        let answer = self.pipe.body(head.length).await?;
        ensure!(head.is_success(), "{method} {path}: {}: {}", head.first, String::from_utf8_lossy(&answer));
        Ok(answer)
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> Result<()> {
        let headers = &self.headers;
        let request = if body.is_empty() {
            format!("{method} {path} HTTP/1.1\r\n{headers}\r\n")
        } else {
            let length = body.len();
            format!(
                "{method} {path} HTTP/1.1\r\n{headers}content-type: application/json\r\n\
                 content-length: {length}\r\n\r\n{body}"
            )
        };
        self.pipe.write(request.as_bytes()).await
    }
}

/// A live stream.
pub(crate) struct Events {
    pipe: Pipe,
    chunks: Chunks,
    text: Vec<u8>,
    /// How much of `text` was handed out.
    taken: usize,
}

/// One frame of a stream: the event's type, and its JSON unread.
pub(crate) struct Frame<'a> {
    pub(crate) name: &'a str,
    pub(crate) data: &'a str,
}

impl Events {
    pub(crate) async fn next(&mut self) -> Result<Frame<'_>> {
        loop {
            if let Some(length) = find(&self.text[self.taken..], b"\n\n") {
                let start = self.taken;
                self.taken += length + 2;
                return Frame::parse(&self.text[start..start + length]);
            }
            self.text.drain(..self.taken);
            self.taken = 0;
            let ended = self.pipe.more(&mut self.chunks, &mut self.text).await?;
            ensure!(!ended || !self.text.is_empty(), "the stream ended");
        }
    }

    /// Reads to the end of the turn and shows every frame to `seen`. A turn that does not end well is an error: its
    /// time would be a figure of something else.
    pub(crate) async fn turn(&mut self, mut seen: impl FnMut(&Frame<'_>)) -> Result<()> {
        loop {
            let frame = self.next().await?;
            seen(&frame);
            match frame.name {
                "session.error" | "session.status_terminated" | "session.deleted" | "error" => {
                    bail!("the turn failed: {}: {}", frame.name, frame.data)
                }
                "session.status_idle" => {
                    ensure!(frame.data.contains("\"end_turn\""), "the turn stopped early: {}", frame.data);
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// The connection alone, for a stream that only stays open.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.pipe.into_socket()
    }
}

impl<'a> Frame<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).context("the stream is not UTF-8")?;
        let field = |name: &str| text.split('\n').find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        Ok(Self { name: field("event:").trim(), data: field("data:").trim() })
    }

    /// Whether it shows a part of an answer before the answer is whole.
    pub(crate) fn is_preview(&self) -> bool {
        matches!(self.name, "event_start" | "event_delta")
    }
}
