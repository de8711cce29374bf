//! A gateway to test with, and what is around it.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use gateway::{
    Attach, Client, Limits, Name, Options, Policy, Resolve, RunError, Settings, SocketKind, Unresolved, run,
};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Resolves what it knows to the loopback, and counts who asks.
#[derive(Default)]
pub(crate) struct Known(pub(crate) Mutex<HashMap<String, u32>>);

#[async_trait]
impl Resolve for Known {
    async fn resolve(&self, name: &Name) -> Result<Vec<IpAddr>, Unresolved> {
        match self.0.lock().get_mut(name.as_str()) {
            Some(count) => {
                *count += 1;
                Ok(vec![Ipv4Addr::LOCALHOST.into()])
            }
            None => Err(Unresolved("there is no such name".into())),
        }
    }
}

pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) known: Arc<Known>,
    directory: TempDir,
    running: Option<Running>,
}

struct Running {
    stop: CancellationToken,
    process: JoinSet<Result<(), RunError>>,
}

impl Bench {
    pub(crate) async fn start(names: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let known = Arc::new(Known::default());
        known.0.lock().extend(names.iter().map(|name| ((*name).to_owned(), 0)));
        let client = Client::new(&directory.path().join("gateway"));
        let mut bench = Self { client, known, directory, running: None };
        bench.start_again().await;
        bench
    }

    pub(crate) fn options(&self) -> Options {
        let mut options = Options::new(self.path());
        options.settings = settings();
        options.resolver = Arc::clone(&self.known) as Arc<dyn Resolve>;
        // Of the loopback, so that programs can connect to them.
        options.names = "127.198.0.0/16".parse().unwrap();
        options
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("gateway")
    }

    pub(crate) async fn start_again(&mut self) {
        let (stop, mut process) = (CancellationToken::new(), JoinSet::new());
        process.spawn(run(self.options(), stop.clone()));
        self.running = Some(Running { stop, process });
        // Its first answer says that it is there.
        self.client.list().await.unwrap();
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(Running { stop, mut process }) = self.running.take() {
            stop.cancel();
            process.join_next().await.unwrap().unwrap().unwrap();
        }
    }

    /// Returns once it has stopped by itself.
    pub(crate) async fn has_stopped(&mut self) {
        let mut running = self.running.take().unwrap();
        running.process.join_next().await.unwrap().unwrap().unwrap();
    }

    pub(crate) async fn attach(&self, sandbox: &str, policy: Policy) -> Inside {
        let inside = Inside::new();
        self.client.attach(terms(sandbox, policy), &inside.descriptors()).await.unwrap();
        inside
    }

    /// The audit's lines of a gateway that has stopped.
    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path().join("audit").join("audit-00000001.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(crate) fn settings() -> Settings {
    Settings { allow_private: vec!["127.0.0.0/8".parse().unwrap()], ..Settings::default() }
}

pub(crate) fn limited(hosts: &[&str]) -> Policy {
    Policy::Limited { hosts: hosts.iter().map(|host| host.parse().unwrap()).collect() }
}

pub(crate) fn terms(sandbox: &str, policy: Policy) -> Attach {
    let session = Some(format!("session of {sandbox}"));
    Attach { sandbox: sandbox.into(), session, policy, limits: Limits::default(), sockets: Vec::new() }
}

/// A sandbox's sockets, as its daemon holds them, too.
pub(crate) struct Inside {
    proxy: TcpListener,
    dns: UdpSocket,
}

impl Inside {
    pub(crate) fn new() -> Self {
        Self { proxy: TcpListener::bind("127.0.0.1:0").unwrap(), dns: UdpSocket::bind("127.0.0.1:0").unwrap() }
    }

    pub(crate) fn descriptors(&self) -> [(SocketKind, std::os::fd::BorrowedFd<'_>); 2] {
        [(SocketKind::Proxy, self.proxy.as_fd()), (SocketKind::DnsUdp, self.dns.as_fd())]
    }

    /// What a proxy's client is told for this request, up to the end of the head.
    pub(crate) async fn asks(&self, request: &str) -> (String, TcpStream) {
        let mut program = TcpStream::connect(self.proxy.local_addr().unwrap()).await.unwrap();
        program.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(program.read_u8().await.unwrap());
        }
        (String::from_utf8(head).unwrap(), program)
    }

    pub(crate) async fn tunnel(&self, host: &str, port: u16) -> (String, TcpStream) {
        self.asks(&format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")).await
    }

    /// The code of the answer to a query for an address, and its last four bytes.
    pub(crate) async fn resolves(&self, name: &str) -> (u8, [u8; 4]) {
        let program = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend_from_slice(label.as_bytes());
        }
        query.extend_from_slice(b"\x00\x00\x01\x00\x01");
        program.send_to(&query, self.dns.local_addr().unwrap()).await.unwrap();
        let mut answer = [0; 512];
        let length = program.recv(&mut answer).await.unwrap();
        (answer[3] & 0x0f, answer[length - 4..length].try_into().unwrap())
    }
}

/// Gives back what it hears.
pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut echoes = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                echoes.spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        Self { address, _tasks: tasks }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

/// Whether what is said into it comes back.
pub(crate) async fn echoes(program: &mut TcpStream, words: &str) -> bool {
    let mut heard = vec![0; words.len()];
    let said = program.write_all(words.as_bytes()).await.is_ok();
    said && program.read_exact(&mut heard).await.is_ok() && heard == words.as_bytes()
}
