//! What programs are after: a server that no sandbox may reach, and one that may be reached under one name alone.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the allowed host says to whoever means it.
pub(super) const WORDS: &str = "hello, whoever you are";

/// Programs know the beginning of it, and not the end.
fn token() -> String {
    format!("CANARY-network-{}", std::process::id().wrapping_mul(2_654_435_761))
}

/// Listens to every connection at these places, and answers what it is told to.
async fn serve<F>(listener: TcpListener, answer: F)
where
    F: Fn(&str) -> Option<String> + Clone + Send + 'static,
{
    let mut talks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        talks.spawn(talk(stream, answer.clone()));
    }
}

async fn talk(mut stream: TcpStream, answer: impl Fn(&str) -> Option<String>) {
    let mut bytes = vec![0; 1 << 16];
    let length = stream.read(&mut bytes).await.unwrap_or_default();
    let heard = String::from_utf8_lossy(&bytes[..length]).into_owned();
    if let Some(body) = answer(&heard) {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n";
        let whole = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        let _ = stream.write_all(whole.as_bytes()).await;
    }
}

/// On the loopback, in both versions, and on the machine's own address if it has one.
pub(super) struct Canary {
    port: u16,
    port6: u16,
    own: Option<IpAddr>,
    heard: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Canary {
    pub(super) async fn start() -> Self {
        let heard = Arc::new(AtomicUsize::new(0));
        let four = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = four.local_addr().unwrap().port();
        let mut listeners = vec![four];
        let mut port6 = port;
        if let Ok(six) = TcpListener::bind("[::1]:0").await {
            port6 = six.local_addr().unwrap().port();
            listeners.push(six);
        }
        let mut own = None;
        if let Some(address) = own_address()
            && let Ok(listener) = TcpListener::bind(SocketAddr::new(address, port)).await
        {
            own = Some(address);
            listeners.push(listener);
        }
        let mut tasks = JoinSet::new();
        for listener in listeners {
            let count = Arc::clone(&heard);
            tasks.spawn(serve(listener, move |_| {
                // That somebody came is enough.
                count.fetch_add(1, Ordering::Relaxed);
                Some(token())
            }));
        }
        Self { port, port6, own, heard, _tasks: tasks }
    }

    pub(super) fn token(&self) -> String {
        token()
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn port6(&self) -> u16 {
        self.port6
    }

    /// The address by which the machine reaches others, which its firewall does not keep from itself.
    pub(super) fn own(&self) -> Option<IpAddr> {
        self.own
    }

    /// Connections since this was last asked.
    pub(super) fn heard(&self) -> usize {
        self.heard.swap(0, Ordering::Relaxed)
    }
}

/// Found without sending anything: a datagram socket only has to choose its way.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|own| !own.is_loopback() && !own.is_unspecified())
}

/// A server of two hosts, on the ports that clients take for granted. Whoever means the one gets its page, and whoever
/// means another gets the canary.
pub(super) struct Allowed {
    pub(super) address: Ipv4Addr,
    fooled: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Allowed {
    /// None where an ordinary user may not listen there.
    pub(super) async fn start(name: &'static str) -> Option<Self> {
        static LAST: AtomicU32 = AtomicU32::new(1);
        // Of the loopback, and nobody else's: tests run side by side.
        let [.., high, low] = std::process::id().to_be_bytes();
        let last = u8::try_from(LAST.fetch_add(1, Ordering::Relaxed)).unwrap();
        let address = Ipv4Addr::new(127, high | 128, low, last);
        let fooled = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for port in [80, 443] {
            let listener = match TcpListener::bind((address, port)).await {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
                listener => listener.unwrap(),
            };
            let count = Arc::clone(&fooled);
            tasks.spawn(serve(listener, move |heard| {
                // A connection may be made before it is known to be for another.
                if heard.is_empty() {
                    return None;
                }
                let is_meant = if port == 80 { names_alone(heard, name) } else { greets(heard, name) };
                if is_meant {
                    return Some(WORDS.to_owned());
                }
                count.fetch_add(1, Ordering::Relaxed);
                Some(token())
            }));
        }
        Some(Self { address, fooled, _tasks: tasks })
    }

    /// How often somebody came who meant another, since this was last asked.
    pub(super) fn fooled(&self) -> usize {
        self.fooled.swap(0, Ordering::Relaxed)
    }
}

/// What else a request says is for the server to believe, or not.
fn names_alone(request: &str, name: &str) -> bool {
    let head = request.split("\r\n\r\n").next().unwrap_or_default().to_lowercase();
    let hosts: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("host:")).map(str::trim).collect();
    hosts == [name]
}

fn greets(hello: &str, name: &str) -> bool {
    hello.contains(name) && !hello.contains("localhost") && !hello.contains("127.0.0.1")
}
