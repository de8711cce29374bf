//! Names whose addresses change between the moment they are judged and the moment they are used.

use gateway::{Policy, SocketKind};
use tokio::net::TcpStream;

use super::house::{CANARY, House, Server, said};
use crate::bench::limited;

/// An open address and, under the same port, one that is not.
const GOOD: &str = "127.0.0.1";
const BAD: &str = "127.0.0.2";

/// Both servers, and their port.
async fn servers() -> (Server, Server, u16) {
    let good = Server::at(&format!("{GOOD}:0"), "good").await;
    let port = good.port();
    let bad = Server::at(&format!("{BAD}:{port}"), CANARY).await;
    (good, bad, port)
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_next_time_leads_nowhere() {
    for policy in [Policy::Unrestricted, limited(&["rebound.example"])] {
        let (good, bad, port) = servers().await;
        let house = House::with(&["127.0.0.1/32"]).await;
        house.liar.set("rebound.example", &[&[GOOD], &[BAD]]);
        let program = house.attach("sbx_1", policy).await;
        let mut reached = 0;
        for round in 0..4 {
            for told in [
                program.asks("rebound.example", port).await,
                program.tunnels("rebound.example", port).await,
                program.socks("rebound.example", port).await,
            ] {
                assert!(!told.contains(CANARY), "in round {round}: {told}");
                reached += usize::from(told.ends_with("good"));
            }
        }
        assert_eq!(bad.heard(), [""; 0]);
        // As many connections as it was told the good address, and asked once for each.
        assert_eq!((reached, good.heard().len(), house.liar.asked("rebound.example")), (6, 6, 12));
    }
}

#[tokio::test]
async fn one_answer_with_both_addresses_leads_to_the_open_one_alone() {
    let (good, bad, port) = servers().await;
    let house = House::with(&["127.0.0.1/32"]).await;
    house.liar.set("mixed.example", &[&[BAD, "::1", "169.254.169.254", GOOD]]);
    // Nobody listens at the first, which is open: the next one must not be tried for want of an answer.
    house.liar.set("fallback.example", &[&["::ffff:127.0.0.1", BAD]]);
    let program = house.attach("sbx_1", Policy::Unrestricted).await;
    assert!(program.tunnels("mixed.example", port).await.ends_with("good"));
    assert_eq!(good.heard().len(), 1);
    drop(good);
    let told = program.tunnels("fallback.example", port).await;
    assert!(told.contains("x-stead-refused: unreachable\r\n"), "{told}");
    assert_eq!(bad.heard(), [""; 0]);
}

#[tokio::test]
async fn a_program_that_knows_of_no_proxy_is_led_by_the_address_of_the_moment_too() {
    let (good, bad, port) = servers().await;
    let house = House::with(&["127.0.0.1/32"]).await;
    house.liar.set("good.example", &[&[GOOD], &[BAD]]);
    let at = house.attach_at("sbx_1", Policy::Unrestricted, SocketKind::Other, port).await;
    let mut reached = 0;
    for _ in 0..6 {
        let told = said(TcpStream::connect(at).await.unwrap(), &[b"GET / HTTP/1.0\r\n\r\n"]).await;
        assert!(!told.contains(CANARY), "{told}");
        reached += usize::from(told.ends_with("good"));
    }
    assert_eq!((reached, good.heard().len()), (3, 3));
    assert_eq!(bad.heard(), [""; 0]);
}

#[tokio::test]
async fn where_the_operator_opens_it_the_other_address_is_reached() {
    let (_good, bad, port) = servers().await;
    let house = House::with(&["127.0.0.0/8"]).await;
    house.liar.set("rebound.example", &[&[GOOD], &[BAD]]);
    let program = house.attach("sbx_1", Policy::Unrestricted).await;
    program.asks("rebound.example", port).await;
    assert!(program.asks("rebound.example", port).await.contains(CANARY));
    assert_eq!(bad.heard().len(), 1);
}
