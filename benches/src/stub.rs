//! A model that answers at once, in this process: whatever time a turn takes is the server's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::answer::{Answer, wants_tool};
use crate::http::Pipe;

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
}

impl Stub {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&counts)));
        Ok(Self { address, counts, _tasks: tasks })
    }

    /// From the last request, once it had come whole, to the first byte of its answer.
    pub(crate) fn first_byte(&self) -> Duration {
        Duration::from_nanos(self.counts.first_byte_nanos.load(Ordering::Relaxed))
    }
}

async fn accept(listener: TcpListener, counts: Arc<Counts>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let counts = Arc::clone(&counts);
        connections.spawn(async move {
            // The one way a conversation ends is that the server hangs up.
            let _ = converse(socket, &counts).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(socket: TcpStream, counts: &Counts) -> Result<()> {
    let mut pipe = Pipe::new(socket, Duration::MAX)?;
    loop {
        let head = pipe.head().await?;
        let body = pipe.body(head.length).await?;
        let asked = Instant::now();
        let path = head.first.split([' ', '?']).nth(1).unwrap_or_default();
        let serial = counts.calls.fetch_add(1, Ordering::Relaxed);
        let answer = match path {
            path if path.ends_with("/chat/completions") => Answer::chat(wants_tool(&body), serial),
            path if path.ends_with("/messages") => Answer::messages(wants_tool(&body), serial),
            _ => {
                pipe.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await?;
                continue;
            }
        };
        let opening = chunk(&answer.opening);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        pipe.write(format!("{head}{opening}").as_bytes()).await?;
        let nanos = u64::try_from(asked.elapsed().as_nanos())?;
        counts.first_byte_nanos.store(nanos, Ordering::Relaxed);
        pipe.write(format!("{}0\r\n\r\n", chunk(&answer.rest)).as_bytes()).await?;
    }
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}
