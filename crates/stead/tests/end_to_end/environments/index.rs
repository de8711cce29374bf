//! An index of packages on this machine, which counts who asks for what, and fails when it is told to.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A name that the operator has given to this machine.
pub(super) const HOST: &str = "index.internal";

/// The operator's word on it, for `stead.toml`.
pub(super) const HOSTS: &str = "[network.hosts]\n\"index.internal\" = \"127.0.0.1\"\n";

pub(super) struct Index {
    host: String,
    port: u16,
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

struct Shared {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    heard: Mutex<Vec<String>>,
    /// Connections that are closed without an answer before any has one.
    refusals: Mutex<usize>,
    /// Whoever asks for what lies below this waits.
    held: watch::Sender<Option<String>>,
}

impl Index {
    pub(super) async fn start() -> Self {
        Self::at(IpAddr::from([127, 0, 0, 1]), HOST).await
    }

    /// At this address, which those who ask call so.
    pub(super) async fn at(address: IpAddr, host: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            files: Mutex::default(),
            heard: Mutex::default(),
            refusals: Mutex::default(),
            held: watch::Sender::new(None),
        });
        let (serving, mut task) = (Arc::clone(&shared), JoinSet::new());
        task.spawn(async move {
            let mut answers = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                answers.spawn(async move { shared.answer(stream).await });
            }
        });
        Self { host: host.to_owned(), port, shared, _task: task }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Where this is, for those who know the machine by its name.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.host, self.port)
    }

    pub(super) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.shared.files.lock().insert(path.to_owned(), bytes.into());
    }

    /// How often this was asked for.
    pub(super) fn heard(&self, path: &str) -> usize {
        self.shared.heard.lock().iter().filter(|heard| *heard == path).count()
    }

    /// How often anything was asked for.
    pub(super) fn heard_at_all(&self) -> usize {
        self.shared.heard.lock().len()
    }

    /// Answers nobody so many times.
    pub(super) fn refuse(&self, times: usize) {
        *self.shared.refusals.lock() = times;
    }

    /// Lets everybody wait who asks for what lies below this path.
    pub(super) fn hold(&self, path: &str) {
        self.shared.held.send_replace(Some(path.to_owned()));
    }

    pub(super) fn let_go(&self) {
        self.shared.held.send_replace(None);
    }
}

impl Shared {
    async fn answer(&self, mut stream: TcpStream) {
        if self.is_refused() {
            return;
        }
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut request).await {
                Ok(1..) => {}
                _ => return,
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let mut words = request.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return };
        let path = path.split('?').next().unwrap().to_owned();
        self.heard.lock().push(path.clone());
        let mut held = self.held.subscribe();
        let is_free = |held: &Option<String>| held.as_ref().is_none_or(|held| !path.starts_with(held));
        let _ = held.wait_for(is_free).await;
        let found = self.files.lock().get(&path).cloned();
        let status = if found.is_some() { "200 OK" } else { "404 Not Found" };
        let body = found.unwrap_or_else(|| b"not found\n".to_vec());
        let kind = match body.first() {
            Some(b'<') => "text/html",
            Some(b'{') => "application/json",
            _ => "application/octet-stream",
        };
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {length}");
        let _ = stream.write_all(format!("{head}\r\n\r\n").as_bytes()).await;
        if method != "HEAD" {
            let _ = stream.write_all(&body).await;
        }
    }

    fn is_refused(&self) -> bool {
        let mut refusals = self.refusals.lock();
        let is_refused = *refusals > 0;
        *refusals = refusals.saturating_sub(1);
        is_refused
    }
}
