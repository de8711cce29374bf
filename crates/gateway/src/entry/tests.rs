//! Programs inside, over real sockets, to real servers on the loopback. The addresses that stand for names are of the
//! loopback too.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use super::*;
use crate::bench::{Bench, Server};
use crate::tls::tests::hello_for;
use crate::{Limits, Policy};

/// A program's connection to this address.
async fn connect(bench: &Bench, kind: SocketKind, address: SocketAddr) -> TcpStream {
    let listener = TcpListener::bind(address).await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (program, accepted) = tokio::join!(connecting, listener.accept());
    let place = bench.sandbox.meter.enter(u32::MAX, &bench.shared.crowd).unwrap();
    let connection = Connection::new(Arc::clone(&bench.shared), Arc::clone(&bench.sandbox), place);
    let serving = serve(connection, kind, accepted.unwrap().0);
    bench.shared.tasks.spawn("connection from inside", bench.sandbox.gone.clone(), serving);
    program.unwrap()
}

async fn to_proxy(bench: &Bench) -> TcpStream {
    connect(bench, SocketKind::Proxy, (Ipv4Addr::LOCALHOST, 0).into()).await
}

/// To the address that stands for `name`, at the server's port.
async fn to_name(bench: &Bench, kind: SocketKind, name: &str, server: &Server) -> TcpStream {
    bench.resolver.set(name, &[&["127.0.0.1"]]);
    let address = bench.sandbox.names.lock().address_of(&name.parse().unwrap());
    connect(bench, kind, (address, server.port()).into()).await
}

/// What is said until the connection ends.
async fn rest(mut program: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // One that is reset has ended as well.
    let _ = program.read_to_end(&mut bytes).await;
    bytes
}

async fn hears(program: &mut TcpStream, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    program.read_exact(&mut heard).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(expected));
}

async fn hears_head(program: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(program.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

const ALERT: [u8; 7] = tls::ACCESS_DENIED;

#[tokio::test]
async fn connect_opens_a_tunnel_to_an_allowed_host() {
    let (bench, server) = (Bench::limited(&["example.com"]), Server::saying("hello").await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let mut program = to_proxy(&bench).await;
    let request = format!("CONNECT example.com:{} HTTP/1.1\r\n\r\nfirst words\n", server.port());
    program.write_all(request.as_bytes()).await.unwrap();
    assert!(hears_head(&mut program).await.starts_with("HTTP/1.1 200 OK\r\n"));
    hears(&mut program, b"hello").await;
    assert_eq!(server.heard(), ["first words\n"]);
    program.write_all(b"more words\n").await.unwrap();
    hears(&mut program, b"hello").await;
    program.shutdown().await.unwrap();
    assert_eq!(rest(program).await, b"");
    assert_eq!(bench.decisions().await, ["allow example.com"]);
}

#[tokio::test]
async fn connect_to_another_host_is_refused_in_words() {
    let bench = Bench::limited(&["example.com"]);
    for (target, status, code) in [
        ("www.example.com:443", "403 Forbidden", "host_not_allowed"),
        ("192.0.2.1:443", "403 Forbidden", "address_not_listed"),
        ("0x7f.1:443", "400 Bad Request", "host_invalid"),
        ("127.198.77.77:443", "403 Forbidden", "address_unknown"),
        ("example.com:443", "502 Bad Gateway", "name_unresolved"),
    ] {
        let mut program = to_proxy(&bench).await;
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        program.write_all(request.as_bytes()).await.unwrap();
        let answer = String::from_utf8(rest(program).await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{target}: {answer}");
        assert!(answer.contains(&format!("x-stead-refused: {code}\r\n")), "{target}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.lines().count(), 1, "{body}");
    }
    assert_eq!(bench.resolver.asked(), 1, "only the allowed name is looked up");
}

#[tokio::test]
async fn socks_opens_a_tunnel_by_name() {
    let (bench, server) = (Bench::limited(&["example.com"]), Server::saying("hello").await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let port = server.port().to_be_bytes();
    let wish = |name: &[u8]| {
        let length = [u8::try_from(name.len()).unwrap()];
        [[5, 1, 0, 5, 1, 0, 3].as_slice(), length.as_slice(), name, port.as_slice()].concat()
    };
    let mut program = to_proxy(&bench).await;
    program.write_all(&wish(b"example.com")).await.unwrap();
    hears(&mut program, &[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    program.write_all(b"words\n").await.unwrap();
    hears(&mut program, b"hello").await;
    assert_eq!(server.heard(), ["words\n"]);

    let mut refused = to_proxy(&bench).await;
    refused.write_all(&wish(b"other.example")).await.unwrap();
    refused.shutdown().await.unwrap();
    assert_eq!(rest(refused).await, [5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bench.decisions().await, ["allow example.com", "host_not_allowed other.example"]);
}

#[tokio::test]
async fn tls_in_a_tunnel_must_name_the_host_of_the_tunnel() {
    let (bench, server) = (Bench::limited(&["example.com"]), Server::saying("hello").await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let opened = async |first: Vec<u8>| {
        let mut program = to_proxy(&bench).await;
        let request = format!("CONNECT example.com:{} HTTP/1.1\r\n\r\n", server.port());
        program.write_all(request.as_bytes()).await.unwrap();
        hears_head(&mut program).await;
        program.write_all(&first).await.unwrap();
        program
    };
    let fronted = opened(hello_for("evil.example")).await;
    assert_eq!(rest(fronted).await, b"");
    assert!(server.heard().is_empty());
    hears(&mut opened(hello_for("example.com")).await, b"hello").await;
    let decisions = ["allow example.com", "sni_mismatch example.com", "allow example.com"];
    assert_eq!(bench.decisions().await, decisions);
}

#[tokio::test]
async fn tls_to_a_name_is_passed_on_unread() {
    let (bench, server) = (Bench::limited(&["example.com"]), Server::saying("hello").await);
    let mut program = to_name(&bench, SocketKind::Https, "example.com", &server).await;
    program.write_all(&hello_for("example.com")).await.unwrap();
    hears(&mut program, b"hello").await;
    // It may be passed on in pieces, all of which are there before the end is.
    program.shutdown().await.unwrap();
    rest(program).await;
    assert_eq!(server.heard().concat(), String::from_utf8_lossy(&hello_for("example.com")));
    assert_eq!(bench.decisions().await, ["allow example.com"]);
}

#[tokio::test]
async fn tls_that_names_another_server_is_told_so_and_goes_nowhere() {
    let server = Server::saying("hello").await;
    let bench = Bench::limited(&["example.com", "allowed.example"]);
    for (first, code) in [
        (hello_for("evil.example"), "sni_mismatch"),
        (hello_for("allowed.example"), "sni_mismatch"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "not_tls"),
    ] {
        let mut program = to_name(&bench, SocketKind::Https, "example.com", &server).await;
        program.write_all(&first).await.unwrap();
        program.shutdown().await.unwrap();
        assert_eq!(rest(program).await, ALERT);
        assert_eq!(bench.decisions().await.pop().unwrap(), format!("{code} example.com"));
    }
    let mut unlisted = to_name(&bench, SocketKind::Https, "evil.example", &server).await;
    unlisted.shutdown().await.unwrap();
    assert_eq!(rest(unlisted).await, ALERT, "it need not even say anything");
    assert!(server.heard().is_empty());
    assert_eq!(bench.resolver.asked(), 0);
}

#[tokio::test]
async fn without_limits_whatever_is_said_passes() {
    let (bench, server) = (Bench::unrestricted(), Server::saying("hello").await);
    for kind in [SocketKind::Https, SocketKind::Other] {
        let mut program = to_name(&bench, kind, "example.com", &server).await;
        program.write_all(b"anything").await.unwrap();
        hears(&mut program, b"hello").await;
    }
    assert_eq!(bench.decisions().await, ["allow example.com", "allow example.com"]);
}

#[tokio::test]
async fn plain_http_to_a_name_is_judged_by_its_host_header() {
    let (bench, server) = (Bench::limited(&["example.com"]), Server::of_http().await);
    let port = server.port();
    let mut program = to_name(&bench, SocketKind::Http, "example.com", &server).await;
    let request = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    program.write_all(request("example.com").as_bytes()).await.unwrap();
    assert!(rest(program).await.starts_with(b"HTTP/1.1 200 OK\r\n"));
    let mut program = to_name(&bench, SocketKind::Http, "example.com", &server).await;
    program.write_all(request("evil.example").as_bytes()).await.unwrap();
    let answer = String::from_utf8(rest(program).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n") && answer.contains("host_mismatch"), "{answer}");
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn an_address_that_stands_for_nothing_is_refused() {
    let (bench, server) = (Bench::unrestricted(), Server::saying("hello").await);
    let nobody = SocketAddr::from(([127, 198, 66, 66], server.port()));
    let mut program = connect(&bench, SocketKind::Http, nobody).await;
    program.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    program.shutdown().await.unwrap();
    let answer = String::from_utf8(rest(program).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n") && answer.contains("address_unknown"), "{answer}");
    assert_eq!(rest(connect(&bench, SocketKind::Other, nobody).await).await, b"");
    let refused = format!("address_unknown {}", nobody.ip());
    assert_eq!(bench.decisions().await, [refused.clone(), refused]);
}

#[tokio::test]
async fn other_protocols_reach_names_that_are_allowed() {
    let (bench, server) = (Bench::limited(&["example.com", "127.0.0.1"]), Server::saying("hello").await);
    let mut program = to_name(&bench, SocketKind::Other, "example.com", &server).await;
    program.write_all(b"SSH-2.0-client\r\n").await.unwrap();
    hears(&mut program, b"hello").await;
    let unlisted = to_name(&bench, SocketKind::Other, "other.example", &server).await;
    assert_eq!(rest(unlisted).await, b"");
    assert_eq!(bench.decisions().await, ["allow example.com", "host_not_allowed other.example"]);
}

#[tokio::test]
async fn a_tunnel_is_cut_where_the_limit_is() {
    let limits = Limits { egress_bytes: Some(10), ..Limits::default() };
    let (bench, server) = (Bench::new(Policy::Unrestricted, limits), Server::saying("hello").await);
    let mut program = to_name(&bench, SocketKind::Other, "example.com", &server).await;
    program.write_all(b"0123456789abcdef").await.unwrap();
    rest(program).await;
    bench.shared.tasks.finish().await;
    assert_eq!(bench.decisions().await, ["allow example.com", "egress_limit example.com"]);
    assert_eq!(bench.sandbox.meter.usage().up, 10);
    assert!("0123456789".starts_with(&server.heard().concat()));
}

#[tokio::test]
async fn an_original_address_of_version_6_or_4_is_one_host() {
    let mapped: IpAddr = "::ffff:127.198.0.1".parse().unwrap();
    assert_eq!(Host::from(mapped), Host::from(IpAddr::from([127, 198, 0, 1])));
}
