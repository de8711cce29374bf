//! A gateway with a resolver that lies, servers that listen to everything, and a sandbox that speaks byte by byte.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway::{Client, Name, Options, Policy, Resolve, RunError, Settings, SocketKind, Timeouts, Unresolved, run};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::bench::terms;

/// In every answer of a server that nobody may reach.
pub(super) const CANARY: &str = "CANARY";

/// Nothing on the loopback takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where an answer need not come: what is there by then is all.
const SILENCE: Duration = Duration::from_millis(300);

/// How often a name was asked for, and what it resolves to each time.
type Answers = (usize, Vec<Vec<IpAddr>>);

/// Gives one answer after the other to each name, over and over.
#[derive(Default)]
pub(super) struct Liar {
    answers: Mutex<HashMap<String, Answers>>,
}

impl Liar {
    pub(super) fn set(&self, name: &str, answers: &[&[&str]]) {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        self.answers.lock().insert(name.to_owned(), (0, answers.iter().map(parse).collect()));
    }

    pub(super) fn asked(&self, name: &str) -> usize {
        self.answers.lock()[name].0
    }
}

#[async_trait]
impl Resolve for Liar {
    async fn resolve(&self, name: &Name) -> Result<Vec<IpAddr>, Unresolved> {
        let mut answers = self.answers.lock();
        let known = answers.get_mut(name.as_str());
        let (asked, known) = known.ok_or_else(|| Unresolved("there is no such name".into()))?;
        *asked += 1;
        Ok(known[(*asked - 1) % known.len()].clone())
    }
}

pub(super) struct House {
    pub(super) client: Client,
    pub(super) liar: Arc<Liar>,
    _running: JoinSet<Result<(), RunError>>,
    _directory: TempDir,
}

impl House {
    /// With these addresses open besides public ones.
    pub(super) async fn with(allow_private: &[&str]) -> Self {
        Self::patient(allow_private, Timeouts::default()).await
    }

    pub(super) async fn patient(allow_private: &[&str], timeouts: Timeouts) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let liar = Arc::new(Liar::default());
        let mut options = Options::new(directory.path().join("gateway"));
        let allow_private = allow_private.iter().map(|range| range.parse().unwrap()).collect();
        options.settings = Settings { allow_private, ..Settings::default() };
        options.resolver = Arc::clone(&liar) as Arc<dyn Resolve>;
        options.timeouts = timeouts;
        // Of the loopback, so that programs can connect to them.
        options.names = "127.198.0.0/16".parse().unwrap();
        let client = Client::new(&options.directory);
        let mut running = JoinSet::new();
        running.spawn(run(options, CancellationToken::new()));
        client.list().await.unwrap();
        Self { client, liar, _running: running, _directory: directory }
    }

    pub(super) async fn attach(&self, sandbox: &str, policy: Policy) -> Program {
        let program = Program { proxy: listener((Ipv4Addr::LOCALHOST, 0)) };
        self.serve(sandbox, policy, &[(SocketKind::Proxy, program.proxy.as_fd())]).await;
        program
    }

    /// A listener of this kind where the first name of a sandbox is thought to be, at this port.
    pub(super) async fn attach_at(&self, sandbox: &str, policy: Policy, kind: SocketKind, port: u16) -> SocketAddr {
        let listener = listener((Ipv4Addr::new(127, 198, 0, 1), port));
        let dns = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        self.serve(sandbox, policy, &[(kind, listener.as_fd()), (SocketKind::DnsUdp, dns.as_fd())]).await;
        learn(dns.local_addr().unwrap(), "good.example").await;
        at
    }

    async fn serve(&self, sandbox: &str, policy: Policy, sockets: &[(SocketKind, BorrowedFd<'_>)]) {
        self.client.attach(terms(sandbox, policy), sockets).await.unwrap();
    }
}

fn listener(address: (Ipv4Addr, u16)) -> std::net::TcpListener {
    std::net::TcpListener::bind(address).unwrap()
}

/// Has an address given to a name.
async fn learn(dns: SocketAddr, name: &str) {
    let asking = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(b"\x00\x00\x01\x00\x01");
    asking.send_to(&query, dns).await.unwrap();
    let mut answer = [0; 512];
    let length = asking.recv(&mut answer).await.unwrap();
    assert_eq!(answer[length - 4..length], [127, 198, 0, 1]);
}

/// What a sandbox runs.
pub(super) struct Program {
    proxy: std::net::TcpListener,
}

impl Program {
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.proxy.local_addr().unwrap()).await.unwrap()
    }

    /// Has every connection that its listener makes wait for so long when it is closed, as a daemon that is somebody
    /// else's by now could.
    pub(super) fn lingers(&self, wait: Duration) {
        rustix::net::sockopt::set_socket_linger(&self.proxy, Some(wait)).unwrap();
    }

    /// All that comes back for these bytes.
    pub(super) async fn says(&self, bytes: &[u8]) -> String {
        said(self.connect().await, &[bytes]).await
    }

    /// A request of a proxy.
    pub(super) async fn asks(&self, host: &str, port: u16) -> String {
        let at = format!("{host}:{port}");
        self.says(format!("GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").as_bytes()).await
    }

    /// The same in a tunnel.
    pub(super) async fn tunnels(&self, host: &str, port: u16) -> String {
        let opening = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
        said(self.connect().await, &[opening.as_bytes(), request(host, port).as_bytes()]).await
    }

    /// The same by SOCKS, whose client says a name.
    pub(super) async fn socks(&self, host: &str, port: u16) -> String {
        let length = [u8::try_from(host.len()).unwrap()];
        let wish = [[5, 1, 0, 3].as_slice(), length.as_slice(), host.as_bytes(), &port.to_be_bytes()].concat();
        said(self.connect().await, &[&[5, 1, 0], &wish, request(host, port).as_bytes()]).await
    }
}

fn request(host: &str, port: u16) -> String {
    format!("GET / HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n")
}

/// Says one message after the other, each once there is an answer to the one before, or none for a while; what comes
/// until the connection ends.
pub(super) async fn said(stream: TcpStream, messages: &[&[u8]]) -> String {
    exchanged(stream, messages, PATIENCE).await
}

/// What comes soon, for what may well have no answer.
pub(super) async fn said_soon(stream: TcpStream, message: &[u8]) -> String {
    exchanged(stream, &[message], SILENCE).await
}

async fn exchanged(mut stream: TcpStream, messages: &[&[u8]], patience: Duration) -> String {
    let mut heard = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        // It may be closed by now, with its last words still to be read.
        let _ = stream.write_all(message).await;
        let is_last = number + 1 == messages.len();
        let wait = if is_last { patience } else { SILENCE };
        while let Ok(Ok(1..)) = timeout(wait, stream.read_buf(&mut heard)).await {
            if !is_last {
                break;
            }
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

/// Listens to everything, and answers every connection once, with a word.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(super) async fn at(address: &str, word: &'static str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, mut tasks) = (Arc::new(Mutex::new(Vec::new())), JoinSet::new());
        let ears = Arc::clone(&heard);
        tasks.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let ears = Arc::clone(&ears);
                talks.spawn(async move {
                    let mut bytes = vec![0; 1 << 16];
                    // That somebody came is heard as well.
                    let length = stream.read(&mut bytes).await.unwrap_or_default();
                    ears.lock().push(String::from_utf8_lossy(&bytes[..length]).into_owned());
                    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
                    let answer = format!("{head}content-length: {}\r\n\r\n{word}", word.len());
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { address, heard, _tasks: tasks }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What came since this was last asked, connection by connection.
    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock())
    }
}
