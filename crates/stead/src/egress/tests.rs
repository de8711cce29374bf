//! The supervisor and a gateway, in one process: that it starts one is for the tests of the whole program.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use async_trait::async_trait;
use gateway::RunError;
use hands::{Address, BoxedStream, Gate, Hand, Kept, Lost, Network, Pass, ProvisionError, Reach, Socket, Spec};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::*;

/// An earlier server's gateway.
struct Earlier {
    stop: CancellationToken,
    process: JoinSet<Result<(), RunError>>,
}

impl Earlier {
    async fn start(data_dir: &Path) -> Self {
        let (stop, mut process) = (CancellationToken::new(), JoinSet::new());
        process.spawn(gateway::run(gateway::Options::new(directory(data_dir)), stop.clone()));
        // Its first answer says that it is there.
        Client::new(&directory(data_dir)).list().await.unwrap();
        Self { stop, process }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        self.process.join_next().await.unwrap().unwrap().unwrap();
    }
}

/// A sandbox's sockets, and what else its gate is given.
struct Inside {
    proxy: TcpListener,
    network: Network,
    _alive: UnixStream,
    life: UnixStream,
}

impl Inside {
    fn new(reach: Reach) -> Self {
        let (alive, life) = UnixStream::pair().unwrap();
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { proxy, network: Network { reach, egress: None }, _alive: alive, life }
    }

    fn pass(&self) -> Pass<'_> {
        let life = OwnedFd::from(self.life.try_clone().unwrap());
        Pass { name: "sesn_1", incarnation: "one", network: &self.network, life }
    }

    async fn open(&self, egress: &Egress) -> io::Result<()> {
        egress.open(self.pass(), vec![(Socket::Proxy, self.proxy.try_clone().unwrap().into())]).await
    }

    /// What a program is told that asks for a tunnel.
    async fn asks(&self, host: &str, port: u16) -> String {
        let mut program = TcpStream::connect(self.proxy.local_addr().unwrap()).await.unwrap();
        let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
        program.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(program.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }
}

/// With two names that lead to this machine.
fn egress(data: &TempDir) -> Egress {
    let settings = serde_json::json!({"hosts": {"name.internal": "127.0.0.1", "mirror.internal": "127.0.0.1"}});
    Egress::new(Options {
        data_dir: data.path().to_owned(),
        settings: serde_json::from_value(settings).unwrap(),
        egress: Some(7),
        connections: 8,
    })
}

fn limited(hosts: &[&str], packages: bool) -> Reach {
    Reach::Limited { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), packages }
}

/// Something that listens on this machine.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn an_earlier_gateway_is_told_the_settings_and_given_the_sandboxes() {
    let data = tempfile::tempdir().unwrap();
    let earlier = Earlier::start(data.path()).await;
    let (egress, inside) = (egress(&data), Inside::new(limited(&["name.internal"], false)));
    inside.open(&egress).await.unwrap();
    let (_upstream, port) = listener();
    assert!(inside.asks("name.internal", port).await.starts_with("HTTP/1.1 200"));
    let refused = inside.asks("mirror.internal", port).await;
    assert!(refused.contains("x-stead-refused: host_not_allowed\r\n"), "{refused}");
    let served = egress.0.client.list().await.unwrap();
    assert_eq!((served[0].sandbox.as_str(), served[0].session.as_deref()), ("one", Some("sesn_1")));
    egress.close("one").await.unwrap();
    assert!(egress.0.client.list().await.unwrap().is_empty());
    earlier.stop().await;
}

#[tokio::test]
async fn one_that_is_opened_again_keeps_its_sockets_and_has_its_new_terms() {
    let data = tempfile::tempdir().unwrap();
    let earlier = Earlier::start(data.path()).await;
    let (egress, mut inside) = (egress(&data), Inside::new(limited(&[], true)));
    inside.open(&egress).await.unwrap();
    let (_upstream, port) = listener();
    assert!(inside.asks("mirror.internal", port).await.contains("host_not_allowed"));
    egress.add_package_hosts(["mirror.internal".to_owned()]).await;
    inside.open(&egress).await.unwrap();
    assert!(inside.asks("mirror.internal", port).await.starts_with("HTTP/1.1 200"));
    inside.network.reach = limited(&[], false);
    inside.open(&egress).await.unwrap();
    assert!(inside.asks("mirror.internal", port).await.contains("host_not_allowed"));
    earlier.stop().await;
}

#[tokio::test]
async fn the_least_of_two_limits_holds() {
    let data = tempfile::tempdir().unwrap();
    let (egress, mut inside) = (egress(&data), Inside::new(Reach::Unrestricted));
    let mut limits = |own: Option<u64>| {
        inside.network.egress = own;
        egress.0.terms(&inside.pass()).limits
    };
    assert_eq!(limits(None).egress_bytes, Some(7));
    assert_eq!(limits(Some(5)).egress_bytes, Some(5));
    assert_eq!(limits(Some(9)).egress_bytes, Some(7));
    assert_eq!(limits(None).connections, 8);
}

#[tokio::test]
async fn sandboxes_are_given_to_the_gateway_anew_when_the_server_starts_and_when_it_has_ended() {
    let data = tempfile::tempdir().unwrap();
    let earlier = Earlier::start(data.path()).await;
    let (egress, (told, mut opened)) = (egress(&data), unbounded_channel());
    let sandboxes: Arc<dyn Sandbox> = Arc::new(Sandboxes(told));
    egress.look_after(&sandboxes);
    soon(&mut opened).await;
    earlier.stop().await;
    soon(&mut opened).await;
    assert!(!egress.0.is_running().await);
}

#[tokio::test]
async fn a_sandbox_that_ends_without_a_gateway_needs_none() {
    let data = tempfile::tempdir().unwrap();
    egress(&data).close("one").await.unwrap();
    assert!(!directory(data.path()).exists(), "nothing was started for it");
    assert!(report(data.path()).await.starts_with("gateway    does not run"));
}

async fn soon(opened: &mut UnboundedReceiver<()>) {
    timeout(Duration::from_secs(10), opened.recv()).await.expect("they are opened").unwrap();
}

/// Only tells that they are to be opened again.
struct Sandboxes(UnboundedSender<()>);

#[async_trait]
impl Sandbox for Sandboxes {
    async fn prepare(&self) -> Result<(), ProvisionError> {
        unreachable!()
    }

    async fn provision(&self, _spec: &Spec, _epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        unreachable!()
    }

    async fn adopt(&self, _address: &Address, _epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        unreachable!()
    }

    async fn dial(&self, _address: &Address) -> Result<BoxedStream, Lost> {
        unreachable!()
    }

    async fn destroy(&self, _name: &str, _incarnation: Option<&str>) -> io::Result<()> {
        unreachable!()
    }

    async fn kept(&self) -> Vec<Kept> {
        unreachable!()
    }

    async fn reopen(&self) -> io::Result<()> {
        self.0.send(()).unwrap();
        Ok(())
    }
}
