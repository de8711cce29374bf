//! Two hosts on one server, of which one is allowed: requests and greetings that name both.

use std::net::SocketAddr;

use gateway::SocketKind;
use tokio::net::TcpStream;

use super::house::{House, Program, Server, said, said_soon};
use crate::bench::limited;

const EVIL: &str = "evil.example";

struct Scene {
    _house: House,
    server: Server,
    /// Has a proxy.
    program: Program,
    /// Where another program finds the good host, by a listener of one kind.
    direct: SocketAddr,
}

impl Scene {
    async fn set(kind: SocketKind) -> Self {
        let house = House::with(&["127.0.0.0/8"]).await;
        for name in ["good.example", EVIL] {
            house.liar.set(name, &[&["127.0.0.1"]]);
        }
        let server = Server::at("127.0.0.1:0", "served").await;
        let policy = || limited(&["good.example"]);
        let program = house.attach("sbx_1", policy()).await;
        let direct = house.attach_at("sbx_2", policy(), kind, server.port()).await;
        Self { _house: house, server, program, direct }
    }

    fn port(&self) -> u16 {
        self.server.port()
    }

    async fn directly(&self, message: &[u8]) -> String {
        said(TcpStream::connect(self.direct).await.unwrap(), &[message]).await
    }

    async fn in_a_tunnel(&self, message: &[u8]) -> String {
        let opening = format!("CONNECT good.example:{} HTTP/1.1\r\n\r\n", self.port());
        said(self.program.connect().await, &[opening.as_bytes(), message]).await
    }

    /// What the server has heard of the evil host, or of a second request.
    fn is_tricked(&self) -> Option<String> {
        self.server.heard().into_iter().find(|heard| heard.contains("evil") || heard.contains("/hidden"))
    }
}

/// A greeting of TLS, as small as one can be.
fn greeting(names: &[&[u8]], is_encrypted: bool, record: usize) -> Vec<u8> {
    let long = |bytes: &[u8]| [u16::try_from(bytes.len()).unwrap().to_be_bytes().as_slice(), bytes].concat();
    let listed: Vec<u8> = names.iter().flat_map(|name| [vec![0], long(name)].concat()).collect();
    let mut extensions = Vec::new();
    if !names.is_empty() {
        extensions.extend([[0, 0].as_slice(), &long(&long(&listed))].concat());
    }
    if is_encrypted {
        extensions.extend([[0xfe, 0x0d].as_slice(), &long(b"hidden")].concat());
    }
    let body = [&[3, 3], [7; 32].as_slice(), &[0, 0, 2, 0x13, 1, 1, 0], &long(&extensions)].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1], &length[1..], &body].concat();
    message.chunks(record).flat_map(|piece| [[22, 3, 1].as_slice(), &long(piece)].concat()).collect()
}

fn greetings() -> Vec<(&'static str, Vec<u8>)> {
    let (good, evil) = (b"good.example".as_slice(), EVIL.as_bytes());
    vec![
        ("another name", greeting(&[evil], false, 999)),
        ("another name in pieces", greeting(&[evil], false, 3)),
        ("both names", greeting(&[good, evil], false, 999)),
        ("both names, the other way round", greeting(&[evil, good], false, 999)),
        ("no name", greeting(&[], false, 999)),
        ("an empty name", greeting(&[b""], false, 999)),
        ("a name with more behind a nought", greeting(&[b"good.example\0.evil.example"], false, 999)),
        ("a name below it", greeting(&[b"evil.good.example"], false, 999)),
        ("a name that ends alike", greeting(&[b"evilgood.example"], false, 999)),
        ("an address", greeting(&[b"127.0.0.1"], false, 999)),
        ("a hidden name", greeting(&[good], true, 999)),
    ]
}

#[tokio::test]
async fn a_greeting_for_another_server_goes_nowhere() {
    let scene = Scene::set(SocketKind::Https).await;
    for (what, hello) in greetings() {
        scene.in_a_tunnel(&hello).await;
        scene.directly(&hello).await;
        // A connection may have been made by then; nothing has been said on it.
        assert_eq!(scene.server.heard().concat(), "", "{what}");
    }
    for record in [999, 3] {
        let own = greeting(&[b"Good.Example"], false, record);
        assert!(scene.in_a_tunnel(&own).await.ends_with("served"));
        assert!(scene.directly(&own).await.ends_with("served"));
        assert_eq!(scene.server.heard().concat().matches("Good.Example").count(), if record == 3 { 0 } else { 2 });
    }
}

/// Heads of a request for the good host that name the other one too.
fn heads(port: u16) -> Vec<String> {
    let (good, evil) = (format!("good.example:{port}"), format!("{EVIL}:{port}"));
    vec![
        format!("Host: {evil}\r\n"),
        format!("Host: {good}\r\nHost: {evil}\r\n"),
        format!("Host: {evil}\r\nHost: {good}\r\n"),
        format!("Host: {good}\r\n {evil}\r\n"),
        format!("Host: {good}\r\n\t{evil}\r\n"),
        format!("Host : {evil}\r\nHost: {good}\r\n"),
        format!(" Host: {evil}\r\nHost: {good}\r\n"),
        format!("Host: {good}, {evil}\r\n"),
        format!("Host: {good}@{evil}\r\n"),
        format!("Host: {evil}#{good}\r\n"),
        format!("Host: {good}\0{evil}\r\n"),
        format!("Host: {good}\rHost: {evil}\r\n"),
        format!("Host:\r\n\tevil.example\r\n"),
        format!("Host: evil.good.example:{port}\r\n"),
        "Host: good.example:1\r\n".into(),
        "Host: \r\n".into(),
        "\r\n".into(),
    ]
}

#[tokio::test]
async fn a_request_that_names_another_host_goes_nowhere() {
    let scene = Scene::set(SocketKind::Http).await;
    let port = scene.port();
    for head in heads(port) {
        let rest = format!("HTTP/1.1\r\n{head}Connection: close\r\n\r\n");
        let proxied = format!("GET http://good.example:{port}/ {rest}");
        let told = scene.program.says(proxied.as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 4"), "{proxied:?}: {told}");
        for target in ["/", &format!("http://good.example:{port}/")] {
            let told = scene.directly(format!("GET {target} {rest}").as_bytes()).await;
            assert!(told.starts_with("HTTP/1.1 4"), "{target} {rest:?}: {told}");
        }
        assert_eq!(scene.is_tricked(), None, "{head:?}");
    }
    for target in [
        format!("http://{EVIL}:{port}/"),
        format!("http://good.example@{EVIL}:{port}/"),
        format!("http://{EVIL}:{port}#@good.example/"),
        format!("http://{EVIL}:{port}\\@good.example/"),
        format!("//{EVIL}:{port}/"),
        format!("{EVIL}:{port}"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: good.example:{port}\r\nConnection: close\r\n\r\n");
        let told = scene.program.says(request.as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 4"), "{target}: {told}");
        scene.directly(request.as_bytes()).await;
        // To a server a path may hold anything; whom it is for is said elsewhere.
        let hosts = scene.server.heard().into_iter().filter(|heard| !heard.contains("\r\nhost: good.example:"));
        assert_eq!(hosts.count(), 0, "{target}");
    }
    let good = format!("GET / HTTP/1.1\r\nHost: GOOD.example:{port}\r\nConnection: close\r\n\r\n");
    assert!(scene.directly(good.as_bytes()).await.ends_with("served"));
}

/// Fails as long as plain HTTP is looked at on its own port and in a proxy's requests alone.
#[tokio::test]
async fn plain_http_is_judged_on_every_port() {
    let scene = Scene::set(SocketKind::Other).await;
    let request = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}:{}\r\nConnection: close\r\n\r\n", scene.port());
    let (evil, good) = (request(EVIL), request("good.example"));
    scene.in_a_tunnel(evil.as_bytes()).await;
    assert_eq!(scene.is_tricked(), None, "in a tunnel");
    scene.directly(evil.as_bytes()).await;
    assert_eq!(scene.is_tricked(), None, "directly");
    // The second request of a connection is one, too.
    scene.directly([request("good.example").replace("close", "keep-alive"), evil].concat().as_bytes()).await;
    assert_eq!(scene.is_tricked(), None, "the second");
    assert!(scene.in_a_tunnel(good.as_bytes()).await.ends_with("served"));
    assert!(scene.directly(good.as_bytes()).await.ends_with("served"));
}

/// A fragment is nobody's but the client's; without a path before it nothing would be left of the target.
#[tokio::test]
async fn whatever_is_passed_on_has_a_target() {
    let scene = Scene::set(SocketKind::Http).await;
    let port = scene.port();
    for tail in ["", "#part", "?query", "?#", "/#part"] {
        let at = format!("good.example:{port}");
        let request = format!("GET http://{at}{tail} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
        scene.program.says(request.as_bytes()).await;
        let heard = scene.server.heard().concat();
        assert!(heard.is_empty() || heard.starts_with("GET /"), "{tail:?}: {heard:?}");
    }
}

/// Heads after which two readers may disagree on where the body ends, and what stands there.
fn smuggled() -> Vec<(String, String)> {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    let chunked = format!("0\r\n\r\n{hidden}");
    let mut all = Vec::new();
    for transfer in [
        "Transfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, identity",
        "X: y\r\n Transfer-Encoding: chunked",
        "Transfer-Encoding:\x0bchunked",
        "transfer-encoding: CHUNKED",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunk\0ed",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    ] {
        all.push((format!("Content-Length: {}\r\n{transfer}", chunked.len()), chunked.clone()));
        all.push((format!("{transfer}\r\nContent-Length: 5"), chunked.clone()));
    }
    for length in ["+0", "0x0", "-1", "0, 4", "0 0", "", "18446744073709551616", "00000000000000000000000000000000000"]
    {
        all.push((format!("Content-Length: {length}"), hidden.into()));
    }
    all.push((format!("Content-Length: 0\r\nContent-Length: {}", hidden.len()), hidden.into()));
    all.push(("Transfer-Encoding: chunked".into(), format!("ffffffffffffffff0\r\n{hidden}")));
    all.push(("Transfer-Encoding: chunked".into(), format!("0;\n\r\n{hidden}")));
    all.push(("Transfer-Encoding: chunked".into(), format!("0\n\n{hidden}")));
    all.push(("X: y\n".into(), hidden.replace("\r\n", "\n")));
    all.push(("X: y\r".into(), hidden.replace("\r\n", "\r")));
    all
}

#[tokio::test]
async fn no_request_hides_in_another() {
    let scene = Scene::set(SocketKind::Http).await;
    let at = format!("good.example:{}", scene.port());
    for (head, rest) in smuggled() {
        let request = format!("POST http://{at}/ HTTP/1.1\r\nHost: {at}\r\n{head}\r\n\r\n{rest}");
        said_soon(scene.program.connect().await, request.as_bytes()).await;
        assert_eq!(scene.is_tricked(), None, "{head:?}");
        let direct = format!("POST / HTTP/1.1\r\nHost: {at}\r\n{head}\r\n\r\n{rest}");
        said_soon(TcpStream::connect(scene.direct).await.unwrap(), direct.as_bytes()).await;
        assert_eq!(scene.is_tricked(), None, "{head:?}, directly");
    }
    // What would be heard if it were let through: the same bytes, where the head says that they are the body.
    let body = "GET /hidden HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    let length = body.len();
    let plain = format!("POST http://{at}/ HTTP/1.1\r\nHost: {at}\r\nContent-Length: {length}\r\n\r\n{body}");
    scene.program.says(plain.as_bytes()).await;
    assert!(scene.is_tricked().is_some(), "a body passes as it is");
}
