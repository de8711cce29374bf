//! A model in this process. Unless a bench wants another, it answers at once: whatever time a turn takes is the
//! server's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::answer::{Act, Answer, Dialect, Usage, wants_tool};
use crate::http::Pipe;

/// Connections that the server may open before the stub has looked.
const BACKLOG: u32 = 4_096;

/// What a stub says.
pub(crate) trait Model: Send + Sync + 'static {
    /// Whoever is slow takes the time here: the answer's first bytes go out as soon as it is there.
    fn answer(&self, asked: &Asked<'_>) -> impl Future<Output = Result<Answer>> + Send;
}

/// A request, once it has come whole.
pub(crate) struct Asked<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) body: &'a [u8],
    /// Counts the requests of one stub.
    pub(crate) serial: u64,
}

/// Greets, or calls bash if it is asked to.
pub(crate) struct AtOnce;

impl Model for AtOnce {
    async fn answer(&self, asked: &Asked<'_>) -> Result<Answer> {
        let act = if wants_tool(asked.body) { Act::ECHO } else { Act::GREET };
        Ok(Answer::new(asked.dialect, &act, Usage::FEW, asked.serial))
    }
}

pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
    /// Ends with the stub.
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    first_byte_nanos: AtomicU64,
    asked_at: watch::Sender<Option<Instant>>,
}

impl Stub {
    pub(crate) async fn start() -> Result<Self> {
        Self::play(Arc::new(AtOnce)).await
    }

    pub(crate) async fn play(model: Arc<impl Model>) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, model, Arc::clone(&counts)));
        Ok(Self { address, counts, _tasks: tasks })
    }

    /// From the last request, once it had come whole, to the first byte of its answer.
    pub(crate) fn first_byte(&self) -> Duration {
        Duration::from_nanos(self.counts.first_byte_nanos.load(Ordering::Relaxed))
    }

    /// When a request has come whole. Those that have come before now are not told as a change.
    pub(crate) fn asked_at(&self) -> watch::Receiver<Option<Instant>> {
        self.counts.asked_at.subscribe()
    }
}

async fn accept(listener: TcpListener, model: Arc<impl Model>, counts: Arc<Counts>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (model, counts) = (Arc::clone(&model), Arc::clone(&counts));
        connections.spawn(async move {
            // The one way a conversation ends is that the server hangs up.
            let _ = converse(socket, &*model, &counts).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(socket: TcpStream, model: &impl Model, counts: &Counts) -> Result<()> {
    let mut pipe = Pipe::new(socket, Duration::MAX)?;
    loop {
        let head = pipe.head().await?;
        let body = pipe.body(head.length).await?;
        let asked_at = Instant::now();
        counts.asked_at.send_replace(Some(asked_at));
        let path = head.first.split([' ', '?']).nth(1).unwrap_or_default();
        let serial = counts.calls.fetch_add(1, Ordering::Relaxed);
        let dialect = match path {
            path if path.ends_with("/chat/completions") => Dialect::Chat,
            path if path.ends_with("/messages") => Dialect::Messages,
            _ => {
                pipe.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await?;
                continue;
            }
        };
        let answer = match model.answer(&Asked { dialect, body: &body, serial }).await {
            Ok(answer) => answer,
            Err(error) => {
                pipe.write(refusal(&error).as_bytes()).await?;
                continue;
            }
        };
        let opening = chunk(&answer.opening);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        pipe.write(format!("{head}{opening}").as_bytes()).await?;
        let nanos = u64::try_from(asked_at.elapsed().as_nanos())?;
        counts.first_byte_nanos.store(nanos, Ordering::Relaxed);
        pipe.write(format!("{}0\r\n\r\n", chunk(&answer.rest)).as_bytes()).await?;
    }
}

/// As a provider refuses a request that it cannot read: the turn fails, and with it the bench.
fn refusal(error: &anyhow::Error) -> String {
    let error = json!({"type": "invalid_request_error", "message": format!("{error:#}")});
    let body = json!({"type": "error", "error": error}).to_string();
    let length = body.len();
    format!("HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}
