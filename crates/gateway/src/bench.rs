//! A gateway's insides without its process, for tests.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use store::SystemClock;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::audit::{Bounds, Spool};
use crate::connection::Connection;
use crate::keys::Keys;
use crate::sandbox::{Sandbox, Terms};
use crate::shared::{Shared, Timeouts};
use crate::tasks::Tasks;
use crate::{Limits, Name, Policy, Resolve, Settings, Unresolved};

/// Resolves what it was told to: each time the next of the answers, and the last one for ever.
#[derive(Default)]
pub(crate) struct Answers {
    known: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Answers {
    pub(crate) fn set(&self, name: &str, answers: &[&[&str]]) {
        let parse =
            |addresses: &&[&str]| -> Vec<IpAddr> { addresses.iter().map(|address| address.parse().unwrap()).collect() };
        let mut answers: Vec<_> = answers.iter().map(parse).collect();
        answers.reverse();
        self.known.lock().insert(name.into(), answers);
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Resolve for Answers {
    async fn resolve(&self, name: &Name) -> Result<Vec<IpAddr>, Unresolved> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut known = self.known.lock();
        let answers = known.get_mut(name.as_str()).ok_or_else(|| Unresolved("there is no such name".into()))?;
        let answer = if answers.len() > 1 { answers.pop() } else { answers.last().cloned() };
        Ok(answer.unwrap_or_default())
    }
}

/// One sandbox, whose names may lead to this machine's loopback.
pub(crate) struct Bench {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) resolver: Arc<Answers>,
    directory: TempDir,
}

impl Bench {
    pub(crate) fn unrestricted() -> Self {
        Self::new(Policy::Unrestricted, Limits::default())
    }

    pub(crate) fn limited(hosts: &[&str]) -> Self {
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        Self::new(Policy::Limited { hosts }, Limits::default())
    }

    pub(crate) fn new(policy: Policy, limits: Limits) -> Self {
        Self::with_audit(policy, limits, 1 << 20)
    }

    /// With files of so many bytes.
    pub(crate) fn with_audit(policy: Policy, limits: Limits, bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let resolver = Arc::new(Answers::default());
        let settings = Settings { allow_private: vec!["127.0.0.0/8".parse().unwrap()], ..Settings::default() };
        let shared = Arc::new(Shared {
            settings: RwLock::new(Arc::new(settings)),
            resolver: Arc::clone(&resolver) as Arc<dyn Resolve>,
            spool: Spool::open(directory.path(), Bounds { bytes, files: 4 }).unwrap(),
            clock: Arc::new(SystemClock),
            timeouts: Timeouts::default(),
            // Of the loopback, so that programs can connect to them.
            names: "127.198.0.0/16".parse().unwrap(),
            tasks: Tasks::default(),
            connections: AtomicU64::default(),
            crowd: Arc::default(),
            keys: Keys::new(None),
        });
        let terms = Terms { session: Some("sesn_1".into()), policy, limits };
        let sandbox = Arc::new(Sandbox::new("sbx_1".into(), terms, &shared));
        Self { shared, sandbox, resolver, directory }
    }

    pub(crate) fn connection(&self) -> Arc<Connection> {
        let place = self.sandbox.meter.enter(u32::MAX, &self.shared.crowd).unwrap();
        Arc::new(Connection::new(Arc::clone(&self.shared), Arc::clone(&self.sandbox), place))
    }

    /// A file that is full by now can then not be followed by another.
    pub(crate) fn lose_audit(&self) {
        // The spool may make a file meanwhile.
        while self.directory.path().exists() {
            let _ = fs::remove_dir_all(self.directory.path());
        }
    }

    /// All lines of the audit so far.
    pub(crate) async fn records(&self) -> Vec<serde_json::Value> {
        self.shared.spool.flush().await.unwrap();
        let text = fs::read_to_string(self.directory.path().join("audit-00000001.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What was decided, shortly: the verdict or code, and the host.
    pub(crate) async fn decisions(&self) -> Vec<String> {
        let records = self.records().await;
        let decisions = records.iter().filter(|record| record["kind"] == "decision");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        decisions
            .map(|record| match record["verdict"].as_str() {
                Some("allow") => format!("allow {}", text(&record["host"])),
                _ => format!("{} {}", text(&record["code"]), text(&record["host"])),
            })
            .collect()
    }
}

/// A server on this machine's loopback.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

#[derive(Clone, Copy)]
struct Habit {
    words: &'static str,
    /// Or speaks after whatever it hears.
    waits_for_whole_requests: bool,
}

impl Server {
    /// Says this to whatever it hears, as long as it hears something.
    pub(crate) async fn saying(words: &'static str) -> Self {
        Self::with(Habit { words, waits_for_whole_requests: false }).await
    }

    /// Gives every request the same answer, over a connection that stays.
    pub(crate) async fn of_http() -> Self {
        let words = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        Self::with(Habit { words, waits_for_whole_requests: true }).await
    }

    async fn with(habit: Habit) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let ears = Arc::clone(&heard);
        tasks.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                talks.spawn(talk(stream, habit, Arc::clone(&ears)));
            }
        });
        Self { address, heard, _tasks: tasks }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Requests, or what else came, read by read.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().clone()
    }
}

async fn talk(mut stream: TcpStream, habit: Habit, heard: Arc<Mutex<Vec<String>>>) {
    let mut buffer = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut buffer).await {
        let text = String::from_utf8_lossy(&buffer).into_owned();
        if habit.waits_for_whole_requests && !is_whole(&text) {
            continue;
        }
        heard.lock().push(text);
        buffer.clear();
        if stream.write_all(habit.words.as_bytes()).await.is_err() {
            return;
        }
    }
    if !buffer.is_empty() {
        heard.lock().push(String::from_utf8_lossy(&buffer).into_owned());
    }
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    match length {
        Some(length) => body.len() >= length.parse::<usize>().unwrap(),
        None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
    }
}
