//! A sandbox that takes all it can of the gateway, and another beside it.

use std::time::Duration;

use gateway::{Limits, Policy, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::house::{House, Program, Server};

/// For the head of a request.
const HEAD: Duration = Duration::from_secs(3);

/// What never becomes a whole request: of a proxy's client, of a tunnel's, of SOCKS, of nobody yet.
const BEGINNINGS: [&[u8]; 6] = [
    b"GET http://good.example/ HTTP/1.1\r\nX: ",
    b"CONNECT good.example:443 HTTP/1.1\r\n",
    b"P",
    b"\x05\xff",
    b"\x05",
    b"",
];

async fn house() -> House {
    let house = House::patient(&["127.0.0.0/8"], Timeouts { head: HEAD, ..Timeouts::default() }).await;
    house.liar.set("good.example", &[&["127.0.0.1"]]);
    house
}

async fn is_served(program: &Program, port: u16) -> bool {
    timeout(HEAD, program.asks("good.example", port)).await.is_ok_and(|told| told.ends_with("served"))
}

#[tokio::test]
async fn slow_clients_use_up_their_own_sandboxs_places_and_not_for_long() {
    let (house, server) = (house().await, Server::at("127.0.0.1:0", "served").await);
    let (slow, other) =
        (house.attach("slow", Policy::Unrestricted).await, house.attach("other", Policy::Unrestricted).await);
    let (most, port) = (Limits::default().connections, server.port());
    assert!(is_served(&slow, port).await && is_served(&other, port).await);
    let mut kept: Vec<TcpStream> = Vec::new();
    let began = Instant::now();
    for number in 0..most as usize + 50 {
        let mut stream = slow.connect().await;
        // Those beyond the last place are turned away.
        let _ = stream.write_all(BEGINNINGS[number % BEGINNINGS.len()]).await;
        kept.push(stream);
    }
    while house.client.usage("slow").await.unwrap().open < most {
        assert!(began.elapsed() < HEAD, "there are places left: {:?}", house.client.usage("slow").await);
        sleep(Duration::from_millis(5)).await;
    }
    let told = slow.asks("good.example", port).await;
    assert!(told.contains("x-stead-refused: too_many_connections\r\n"), "{told}");
    assert!(is_served(&other, port).await, "another sandbox has to wait");

    // However they keep it up.
    let trickle = async {
        loop {
            sleep(Duration::from_millis(50)).await;
            for stream in &mut kept {
                let _ = timeout(Duration::from_millis(5), stream.write_all(b"y")).await;
            }
        }
    };
    let recovered = async {
        while !is_served(&slow, port).await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = trickle => {}
        done = timeout(HEAD * 5, recovered) => assert!(done.is_ok(), "slow clients are waited for for ever"),
    }
    assert!(began.elapsed() >= HEAD, "a client has its time");
}

#[tokio::test]
async fn one_sandboxs_bytes_are_not_anothers() {
    let (house, server) = (house().await, Server::at("127.0.0.1:0", "served").await);
    let port = server.port();
    let limits = Limits { egress_bytes: Some(400), ..Limits::default() };
    let (one, two) = (house.attach("one", Policy::Unrestricted).await, house.attach("two", Policy::Unrestricted).await);
    for sandbox in ["one", "two"] {
        let terms = gateway::Attach { limits, ..crate::bench::terms(sandbox, Policy::Unrestricted) };
        house.client.attach(terms, &[]).await.unwrap();
    }
    let mut told = String::new();
    for _ in 0..10 {
        told = one.asks("good.example", port).await;
    }
    assert!(told.contains("x-stead-refused: egress_limit\r\n"), "{told}");
    assert!(house.client.usage("one").await.unwrap().up <= 400);
    assert_eq!(house.client.usage("two").await.unwrap().up, 0);
    assert!(is_served(&two, port).await);
}

#[tokio::test]
async fn a_socket_that_was_told_to_linger_holds_up_nobody() {
    const LINGER: Duration = Duration::from_secs(5);
    let house = house().await;
    let much: &'static str = Box::leak("x".repeat(32 << 20).into_boxed_str());
    let (large, server) = (Server::at("127.0.0.1:0", much).await, Server::at("127.0.0.1:0", "served").await);
    let (one, other) =
        (house.attach("one", Policy::Unrestricted).await, house.attach("other", Policy::Unrestricted).await);
    one.lingers(LINGER);
    let mut stream = one.connect().await;
    let opening = format!("CONNECT good.example:{} HTTP/1.1\r\n\r\n", large.port());
    stream.write_all(opening.as_bytes()).await.unwrap();
    stream.read_u8().await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    // Never read: what is on its way fills both sockets.
    let mut before = 0;
    loop {
        sleep(Duration::from_millis(300)).await;
        let now = house.client.usage("one").await.unwrap().down;
        if now == before && now > 0 {
            break;
        }
        before = now;
    }
    let began = Instant::now();
    house.client.detach("one").await.unwrap();
    assert!(is_served(&other, server.port()).await);
    assert!(began.elapsed() < LINGER / 2, "another sandbox has waited for {:?}", began.elapsed());
    drop(stream);
}
