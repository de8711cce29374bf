//! The gateway and whoever controls it.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;

use futures::FutureExt;
use gateway::{Client, Error, Policy, RunError, Settings, SocketKind, Traces, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, Echo, Inside, echoes, limited, settings, terms};

#[tokio::test]
async fn sandboxes_stay_when_their_server_goes() {
    let bench = Bench::start(&["example.com"]).await;
    let echo = Echo::start().await;
    let inside = {
        let first = Client::new(&bench.path());
        let inside = Inside::new();
        first.attach(terms("sbx_1", Policy::Unrestricted), &inside.descriptors()).await.unwrap();
        inside
    };
    let (_, mut program) = inside.tunnel("example.com", echo.port()).await;
    assert!(echoes(&mut program, "without a server").await);
    let listed = bench.client.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].sandbox, "sbx_1");
    assert_eq!(listed[0].session.as_deref(), Some("session of sbx_1"));
    assert_eq!(listed[0].sockets, [SocketKind::Proxy, SocketKind::DnsUdp]);
    assert_eq!(listed[0].usage.connections, 1);
}

#[tokio::test]
async fn a_client_finds_the_gateway_that_was_started_again() {
    let mut bench = Bench::start(&["example.com"]).await;
    let echo = Echo::start().await;
    let inside = bench.attach("sbx_1", Policy::Unrestricted).await;
    bench.stop().await;
    bench.start_again().await;
    assert!(bench.client.list().await.unwrap().is_empty(), "it knows nothing of the one before");
    // The daemon has kept its sockets, and gives them again.
    bench.client.attach(terms("sbx_1", Policy::Unrestricted), &inside.descriptors()).await.unwrap();
    let (_, mut program) = inside.tunnel("example.com", echo.port()).await;
    assert!(echoes(&mut program, "again").await);
}

#[tokio::test]
async fn attaching_again_replaces_terms_and_sockets() {
    let bench = Bench::start(&["example.com"]).await;
    let echo = Echo::start().await;
    let inside = bench.attach("sbx_1", limited(&[])).await;
    bench.client.attach(terms("sbx_1", Policy::Unrestricted), &[]).await.unwrap();
    let (_, mut program) = inside.tunnel("example.com", echo.port()).await;
    assert!(echoes(&mut program, "old sockets").await);
    let again = bench.attach("sbx_1", Policy::Unrestricted).await;
    let (_, mut other) = again.tunnel("example.com", echo.port()).await;
    assert!(echoes(&mut other, "new sockets").await);
    assert!(echoes(&mut program, "what was open stays").await);
    assert_eq!(bench.client.list().await.unwrap().len(), 1);
    assert_eq!(bench.client.usage("sbx_1").await.unwrap().connections, 2);
}

#[tokio::test]
async fn wrong_wishes_are_refused_with_a_reason() {
    let bench = Bench::start(&[]).await;
    let refused = |result: Result<(), Error>| match result {
        Err(Error::Refused(message)) => message,
        other => panic!("{other:?}"),
    };
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let wrong = [(SocketKind::Proxy, datagrams.as_fd())];
    let message = refused(bench.client.attach(terms("sbx_1", Policy::Unrestricted), &wrong).await);
    assert!(message.contains("another kind"), "{message}");
    let message = refused(bench.client.attach(terms("sbx_1", Policy::Unrestricted), &[]).await);
    assert!(message.contains("nothing to be served on"), "{message}");
    let message = refused(bench.client.attach(terms("", Policy::Unrestricted), &Inside::new().descriptors()).await);
    assert!(message.contains("name"), "{message}");
    let message = refused(bench.client.update("sbx_1", Policy::Unrestricted).await);
    assert!(message.contains("no sandbox sbx_1"), "{message}");
    bench.client.detach("sbx_1").await.unwrap();
    assert!(bench.client.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn settings_hold_for_all_from_now_on() {
    let bench = Bench::start(&["example.com"]).await;
    let echo = Echo::start().await;
    let inside = bench.attach("sbx_1", Policy::Unrestricted).await;
    bench.client.settings(Settings::default()).await.unwrap();
    let (head, _) = inside.tunnel("example.com", echo.port()).await;
    assert!(head.contains("x-stead-refused: address_forbidden\r\n"), "{head}");
    bench.client.settings(settings()).await.unwrap();
    let (head, _) = inside.tunnel("example.com", echo.port()).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[tokio::test]
async fn it_stops_when_it_is_told_to() {
    let mut bench = Bench::start(&[]).await;
    bench.client.stop().await.unwrap();
    bench.has_stopped().await;
    assert!(!bench.path().join("socket").exists());
}

#[tokio::test]
async fn it_ends_once_its_directory_is_gone() {
    let mut bench = Bench::start(&[]).await;
    let _inside = bench.attach("sbx_1", Policy::Unrestricted).await;
    std::fs::remove_dir_all(bench.path()).unwrap();
    bench.has_stopped().await;
}

#[tokio::test]
async fn a_watch_ends_with_the_gateway_and_not_before() {
    let mut bench = Bench::start(&[]).await;
    let watch = bench.client.watch().await.unwrap();
    bench.client.settings(settings()).await.unwrap();
    assert!(watch.ended().now_or_never().is_none());
    bench.stop().await;
    watch.ended().await;
    assert!(matches!(bench.client.watch().await, Err(Error::Unreachable(_))));
}

#[tokio::test]
async fn an_impatient_client_finds_the_next_gateway_too() {
    let mut bench = Bench::start(&[]).await;
    let client = Client::impatient(&bench.path());
    client.list().await.unwrap();
    bench.stop().await;
    assert!(matches!(client.list().await, Err(Error::Unreachable(_))));
    bench.start_again().await;
    client.list().await.unwrap();
    bench.stop().await;
    bench.start_again().await;
    client.list().await.unwrap();
}

#[tokio::test]
async fn it_leaves_word_of_itself_for_those_who_do_not_ask() {
    let bench = Bench::start(&[]).await;
    let audit = bench.path().join("audit/audit-00000001.jsonl");
    assert_eq!(Traces::of(&bench.path()), Traces { pid: Some(std::process::id()), audit: Some(audit) });
    assert_eq!(Traces::of(&bench.path().join("elsewhere")), Traces { pid: None, audit: None });
}

#[tokio::test]
async fn one_gateway_runs_in_a_directory() {
    let bench = Bench::start(&[]).await;
    let second = run(bench.options(), CancellationToken::new()).await;
    assert!(matches!(second, Err(RunError::Running(_))), "{second:?}");
    bench.client.list().await.unwrap();
}

#[tokio::test]
async fn only_its_user_may_open_the_socket() {
    let bench = Bench::start(&[]).await;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&bench.path().join("socket")), 0o600);
    assert_eq!(mode(&bench.path()), 0o700);
    assert_eq!(mode(&bench.path().join("audit")), 0o700);
    assert_eq!(mode(&bench.path().join("audit/audit-00000001.jsonl")), 0o600);
}

#[tokio::test]
async fn one_who_does_not_greet_is_told_nothing() {
    let bench = Bench::start(&[]).await;
    for (first, told) in
        [(r#"{"request": "list"}"#, "refused"), (r#"{"request": "hello", "protocol": 0}"#, "refused"), ("no JSON", "")]
    {
        let mut stream = UnixStream::connect(bench.path().join("socket")).await.unwrap();
        let length = u32::try_from(first.len()).unwrap();
        stream.write_all(&length.to_be_bytes()).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains(told) && answer.is_empty() == told.is_empty(), "{first}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_nobody_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let error = Client::new(directory.path()).list().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
}
