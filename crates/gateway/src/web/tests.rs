//! Requests on a connection from inside, to a real server on the loopback.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::bench::{Bench, Server};
use crate::{Limits, Policy};

/// What comes back for these bytes: an answer to each request, or less if the connection ends before.
async fn exchange(bench: &Bench, mode: Mode, bytes: &str) -> String {
    let requests = bytes.matches(" HTTP/1.").count();
    exchange_until(bench, mode, bytes, |text| whole_answers(text) == (requests, false)).await
}

async fn exchange_until(bench: &Bench, mode: Mode, bytes: &str, is_done: impl Fn(&str) -> bool) -> String {
    let (mut ours, theirs) = duplex(1 << 16);
    let connection = bench.connection();
    let talk = async {
        ours.write_all(bytes.as_bytes()).await.unwrap();
        read_until(&mut ours, is_done).await
    };
    let serving = async {
        serve(&connection, Box::new(theirs), mode).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        text = talk => text,
        () = serving => String::new(),
    }
}

async fn read_until(stream: &mut DuplexStream, is_done: impl Fn(&str) -> bool) -> String {
    let mut bytes = Vec::new();
    let read = async {
        loop {
            let is_done = is_done(&String::from_utf8_lossy(&bytes));
            if is_done || !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                return;
            }
        }
    };
    let in_time = timeout(Duration::from_secs(10), read).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(in_time.is_ok(), "nothing came after {text:?}");
    text
}

/// How many there are, and whether the last of them ends the connection.
fn whole_answers(text: &str) -> (usize, bool) {
    let (mut count, mut closes, mut rest) = (0, false, text);
    while let Some((head, body)) = rest.split_once("\r\n\r\n") {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse::<usize>().unwrap());
        let Some(next) = body.get(length..) else { break };
        (count, closes, rest) = (count + 1, head.contains("connection: close"), next);
    }
    (count, closes)
}

fn origin(host: &str, port: u16) -> Mode {
    Mode::Origin(Asked { host: host.parse().unwrap(), port })
}

fn refused(answer: &str, status: &str, code: &str) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(&format!("x-stead-refused: {code}\r\n"))
}

#[tokio::test]
async fn an_allowed_request_passes_without_what_was_for_the_proxy() {
    let (bench, server) = (Bench::limited(&["example.com"]), Server::of_http().await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let port = server.port();
    let request = format!(
        "GET http://Example.com:{port}/a?b=c HTTP/1.1\r\nHost: example.com:{port}\r\nProxy-Authorization: secret\r\n\
         Proxy-Connection: keep-alive\r\nConnection: x-mine\r\nX-Mine: 1\r\nX-Theirs: 1\r\n\r\n"
    );
    let answer = exchange(&bench, Mode::Proxy, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    let [heard] = &server.heard()[..] else { panic!("{:?}", server.heard()) };
    assert!(heard.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains(&format!("host: example.com:{port}\r\n")), "{heard}");
    assert!(heard.contains("x-theirs: 1\r\n"), "{heard}");
    for gone in ["secret", "proxy-connection", "x-mine", "connection:"] {
        assert!(!heard.contains(gone), "{gone} in {heard}");
    }
    assert_eq!(bench.decisions().await, ["allow example.com"]);
}

#[tokio::test]
async fn each_request_on_a_connection_is_judged_anew() {
    let (bench, server) = (Bench::limited(&["example.com"]), Server::of_http().await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    bench.resolver.set("other.example", &[&["127.0.0.1"]]);
    let port = server.port();
    let request = |host: &str| format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    let requests = [request("example.com"), request("other.example"), request("example.com")].concat();
    let answer = exchange(&bench, Mode::Proxy, &requests).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert_eq!(answer.matches("x-stead-refused: host_not_allowed").count(), 1, "{answer}");
    assert!(answer.contains("allowed_hosts"), "it says who can change that: {answer}");
    assert_eq!(server.heard().len(), 2);
    let decisions = ["allow example.com", "host_not_allowed other.example", "allow example.com"];
    assert_eq!(bench.decisions().await, decisions);
    assert_eq!(bench.resolver.asked(), 1, "the way of the first is kept for the third");
}

#[tokio::test]
async fn the_host_header_must_be_that_of_the_connection() {
    let (bench, server) = (Bench::limited(&["example.com", "allowed.example"]), Server::of_http().await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let port = server.port();
    let hosts = [
        format!("Host: evil.example:{port}\r\n"),
        format!("Host: allowed.example:{port}\r\n"),
        "Host: example.com:1\r\n".into(),
        format!("Host: 127.0.0.1:{port}\r\n"),
    ];
    for host in hosts {
        let request = format!("GET / HTTP/1.1\r\n{host}\r\n");
        let answer = exchange(&bench, origin("example.com", port), &request).await;
        assert!(refused(&answer, "403", "host_mismatch"), "{host}: {answer}");
        let proxied = format!("GET http://example.com:{port}/ HTTP/1.1\r\n{host}\r\n");
        let answer = exchange(&bench, Mode::Proxy, &proxied).await;
        assert!(refused(&answer, "403", "host_mismatch"), "{host}: {answer}");
    }
    let absolute = format!("GET http://evil.example:{port}/ HTTP/1.1\r\nHost: example.com:{port}\r\n\r\n");
    let answer = exchange(&bench, origin("example.com", port), &absolute).await;
    assert!(refused(&answer, "403", "host_mismatch"), "{answer}");
    let old = exchange(&bench, origin("example.com", port), "GET / HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 403") && old.contains("x-stead-refused: host_mismatch"), "{old}");
    assert!(server.heard().is_empty());

    let good = format!("GET / HTTP/1.1\r\nHost: EXAMPLE.com.:{port}\r\n\r\n");
    assert!(exchange(&bench, origin("example.com", port), &good).await.starts_with("HTTP/1.1 200 OK"));
    let [heard] = &server.heard()[..] else { panic!("{:?}", server.heard()) };
    assert!(heard.contains(&format!("host: example.com:{port}\r\n")), "{heard}");
}

#[tokio::test]
async fn an_address_that_stands_for_a_name_means_it_in_a_host_header_too() {
    let (bench, server) = (Bench::limited(&["example.com"]), Server::of_http().await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let port = server.port();
    let address = bench.sandbox.names.lock().address_of(&"example.com".parse().unwrap());
    let request = format!("GET / HTTP/1.1\r\nHost: {address}:{port}\r\n\r\n");
    assert!(exchange(&bench, origin("example.com", port), &request).await.starts_with("HTTP/1.1 200 OK"));
    assert!(server.heard()[0].contains(&format!("host: example.com:{port}\r\n")));
}

#[tokio::test]
async fn what_could_be_smuggled_is_refused() {
    let (bench, server) = (Bench::unrestricted(), Server::of_http().await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let port = server.port();
    let host = format!("Host: example.com:{port}\r\n");
    let smuggled = [
        format!("{host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{host}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
        format!("{host}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd"),
        format!("{host}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"),
        format!("{host}Transfer-Encoding: chunked, identity\r\n\r\n"),
        format!("{host}Transfer-Encoding: xchunked\r\n\r\n"),
        format!("{host}{host}\r\n"),
        format!("{host}X: a\r\n b\r\n\r\n"),
        format!("{host}X : a\r\n\r\n"),
        "Host: example.com evil.example\r\n\r\n".into(),
        "Host: user@example.com\r\n\r\n".into(),
        "\r\n".into(),
    ];
    let absolute = format!("http://example.com:{port}/");
    for rest in smuggled {
        for (mode, target) in [(origin("example.com", port), "/"), (Mode::Proxy, &*absolute)] {
            let request = format!("POST {target} HTTP/1.1\r\n{rest}");
            let answer = exchange(&bench, mode, &request).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{request:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "nothing after it is answered: {answer}");
        }
    }
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn bodies_pass_whichever_way_they_are_framed() {
    let (bench, server) = (Bench::unrestricted(), Server::of_http().await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let port = server.port();
    let head = format!("POST / HTTP/1.1\r\nHost: example.com:{port}\r\n");
    let sized = format!("{head}Content-Length: 4\r\n\r\nabcd");
    assert!(exchange(&bench, origin("example.com", port), &sized).await.starts_with("HTTP/1.1 200 OK"));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n");
    let answer = exchange(&bench, origin("example.com", port), &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("connection: close\r\n"), "{answer}");
    let heard = server.heard().concat();
    assert!(heard.contains("content-length: 4\r\n") && heard.contains("transfer-encoding: chunked\r\n"), "{heard}");
    assert_eq!(heard.matches("abcd").count(), 2);
}

#[tokio::test]
async fn a_proxy_says_what_it_is_for() {
    let bench = Bench::unrestricted();
    for target in ["/", "https://example.com/"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n");
        let answer = exchange(&bench, Mode::Proxy, &request).await;
        assert!(refused(&answer, "400", "protocol_unsupported"), "{answer}");
        assert!(answer.contains("CONNECT"));
    }
    let numbers = "GET http://0x7f.1/ HTTP/1.1\r\nHost: 0x7f.1\r\n\r\n";
    assert!(exchange(&bench, Mode::Proxy, numbers).await.starts_with("HTTP/1.1 400"));
    let inside = exchange(&bench, origin("example.com", 80), "CONNECT example.com:443 HTTP/1.1\r\n\r\n").await;
    assert!(refused(&inside, "400", "request_malformed"), "{inside}");
}

#[tokio::test]
async fn forbidden_addresses_are_refused_with_a_word_on_who_can_change_it() {
    let bench = Bench::unrestricted();
    bench.resolver.set("metadata.example", &[&["169.254.169.254"]]);
    let hosts = ["metadata.example", "169.254.169.254", "[::ffff:169.254.169.254]", "10.0.0.1", "[fe80::1]"];
    for host in hosts {
        let request = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = exchange(&bench, Mode::Proxy, &request).await;
        assert!(refused(&answer, "403", "address_forbidden"), "{host}: {answer}");
        assert!(answer.contains("allow_private"));
    }
    let nobody = exchange(&bench, Mode::Proxy, "GET http://no.example/ HTTP/1.1\r\nHost: no.example\r\n\r\n").await;
    assert!(refused(&nobody, "502", "name_unresolved"), "{nobody}");
}

#[tokio::test]
async fn websocket_switches_and_nothing_else_does() {
    let words = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nframes";
    let (bench, server) = (Bench::unrestricted(), Server::saying(words).await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let port = server.port();
    let request = |protocol: &str| {
        format!("GET / HTTP/1.1\r\nHost: example.com:{port}\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")
    };
    let (mode, websocket) = (origin("example.com", port), request("websocket"));
    let answer = exchange_until(&bench, mode, &websocket, |text| text.ends_with("frames")).await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\nframes"), "{answer}");
    let answer = exchange(&bench, origin("example.com", port), &request("h2c")).await;
    assert!(refused(&answer, "502", "unreachable"), "{answer}");
    assert!(!server.heard()[1].contains("upgrade"), "{:?}", server.heard());
}

#[tokio::test]
async fn no_more_leaves_than_may() {
    let limits = Limits { egress_bytes: Some(300), ..Limits::default() };
    let (bench, server) = (Bench::new(Policy::Unrestricted, limits), Server::of_http().await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let port = server.port();
    let body = "x".repeat(1_000);
    let request = format!("POST / HTTP/1.1\r\nHost: example.com:{port}\r\nContent-Length: 1000\r\n\r\n{body}");
    let answer = exchange(&bench, origin("example.com", port), &request).await;
    assert!(refused(&answer, "413", "egress_limit"), "{answer}");
    let next = format!("GET / HTTP/1.1\r\nHost: example.com:{port}\r\n\r\n");
    let answer = exchange(&bench, origin("example.com", port), &next).await;
    assert!(refused(&answer, "413", "egress_limit"), "{answer}");
    assert_eq!(bench.sandbox.meter.usage().up, 300);
    assert!(server.heard().concat().len() <= 300);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_given_up() {
    let bench = Bench::unrestricted();
    let (mut ours, theirs) = duplex(1 << 10);
    let connection = bench.connection();
    let began = Instant::now();
    let trickle = async {
        ours.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        while ours.write_all(b"X: y\r\n").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        served = serve(&connection, Box::new(theirs), Mode::Proxy) => assert!(served.is_none()),
        () = trickle => {}
    }
    assert!((10..=12).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_head_is_bounded() {
    let bench = Bench::unrestricted();
    let request = format!("GET / HTTP/1.1\r\nHost: example.com\r\nX: {}\r\n\r\n", "y".repeat(MOST_OF_HEAD));
    let (mut ours, theirs) = duplex(1 << 20);
    let connection = bench.connection();
    ours.write_all(request.as_bytes()).await.unwrap();
    assert!(serve(&connection, Box::new(theirs), Mode::Proxy).await.is_none());
    let answer = read_until(&mut ours, |_| false).await;
    assert!(answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 400"), "{answer}");
}
