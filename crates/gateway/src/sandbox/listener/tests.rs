use std::os::fd::AsFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::bench::Bench;
use crate::sandbox::check;
use crate::{Limits, Policy};

const REQUEST: &[u8] = b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n";

fn listener() -> (net::TcpListener, net::SocketAddr) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn served(bench: &Bench, descriptors: Vec<(SocketKind, OwnedFd)>) -> impl Future<Output = ()> {
    let sockets = check(descriptors).unwrap();
    serve(Arc::clone(&bench.shared), Arc::clone(&bench.sandbox), sockets)
}

async fn answer(address: net::SocketAddr) -> String {
    let mut program = TcpStream::connect(address).await.unwrap();
    program.write_all(REQUEST).await.unwrap();
    let mut answer = String::new();
    // One that is turned away may be reset before it has read why.
    let _ = program.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn connections_are_accepted_though_the_flag_is_taken_back() {
    let bench = Bench::limited(&[]);
    let (listener, address) = listener();
    let theirs = listener.try_clone().unwrap();
    let serving = served(&bench, vec![(SocketKind::Proxy, listener.into())]);
    let programs = async {
        for _ in 0..3 {
            let flags = fcntl_getfl(&theirs).unwrap();
            fcntl_setfl(&theirs, flags - OFlags::NONBLOCK).unwrap();
            assert!(answer(address).await.contains("x-stead-refused: host_not_allowed\r\n"));
        }
    };
    tokio::select! {
        () = serving => panic!("the listener was given up"),
        () = programs => {}
    }
}

#[tokio::test]
async fn a_listener_that_is_shut_ends_what_serves_it() {
    let bench = Bench::unrestricted();
    let (listener, _) = listener();
    let theirs = listener.try_clone().unwrap();
    let serving = served(&bench, vec![(SocketKind::Proxy, listener.into())]);
    let shutting = async {
        shutdown(theirs.as_fd(), Shutdown::Both).unwrap();
    };
    let ((), ()) = tokio::join!(serving, shutting);
}

#[tokio::test]
async fn the_end_of_a_sandbox_ends_what_serves_it() {
    let bench = Bench::unrestricted();
    let (listener, _) = listener();
    let (life, sandbox) = std::os::unix::net::UnixStream::pair().unwrap();
    let descriptors = vec![(SocketKind::Proxy, listener.into()), (SocketKind::Life, life.into())];
    let serving = served(&bench, descriptors);
    let ending = async { drop(sandbox) };
    let ((), ()) = tokio::join!(serving, ending);
}

#[tokio::test]
async fn past_the_limit_connections_are_turned_away_in_words() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let bench = Bench::new(Policy::Unrestricted, limits);
    let (listener, address) = listener();
    let serving = served(&bench, vec![(SocketKind::Proxy, listener.into())]);
    let programs = async {
        let first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let mut answer = String::new();
        second.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("too_many_connections"), "{answer}");
        drop(first);
        while bench.sandbox.meter.usage().open > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = serving => panic!("the listener was given up"),
        () = programs => {}
    }
    assert_eq!(bench.decisions().await, ["too_many_connections -"]);
}

#[tokio::test]
async fn queries_are_answered_whatever_the_flag_says() {
    let bench = Bench::unrestricted();
    let socket = net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (theirs, address) = (socket.try_clone().unwrap(), socket.local_addr().unwrap());
    let serving = served(&bench, vec![(SocketKind::DnsUdp, socket.into())]);
    let programs = async {
        let flags = fcntl_getfl(&theirs).unwrap();
        fcntl_setfl(&theirs, flags - OFlags::NONBLOCK).unwrap();
        let program = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01";
        let mut answer = [0; 512];
        for _ in 0..3 {
            program.send_to(query, address).await.unwrap();
            let length = program.recv(&mut answer).await.unwrap();
            assert_eq!(answer[..2], query[..2]);
            assert_eq!(answer[length - 4..length - 1], [127, 198, 0]);
        }
    };
    tokio::select! {
        () = serving => panic!("the resolver was given up"),
        () = programs => {}
    }
}
