use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::bench::{Bench, Server};
use crate::{Limits, Policy};

fn asked(host: &str, port: u16) -> Asked {
    Asked { host: host.parse().unwrap(), port }
}

async fn code(bench: &Bench, asked: &Asked) -> Option<Code> {
    bench.connection().reach(Protocol::Tcp, asked).await.err().map(|refusal| refusal.code)
}

#[tokio::test]
async fn a_name_that_changes_its_address_after_it_was_judged_changes_nothing() {
    let (bench, server) = (Bench::unrestricted(), Server::saying("hello").await);
    bench.resolver.set("rebound.example", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let asked = asked("rebound.example", server.port());
    let reached = bench.connection().reach(Protocol::Tcp, &asked).await.ok().unwrap();
    assert_eq!(reached.address.to_string(), "127.0.0.1");
    assert_eq!(bench.resolver.asked(), 1, "what is dialled was not looked up again");
    assert_eq!(code(&bench, &asked).await, Some(Code::AddressForbidden));
}

#[tokio::test]
async fn forbidden_addresses_among_others_are_passed_over() {
    let (bench, server) = (Bench::unrestricted(), Server::saying("hello").await);
    let mixed = ["169.254.169.254", "::", "10.0.0.1", "127.0.0.1"];
    bench.resolver.set("mixed.example", &[&mixed]);
    let asked = asked("mixed.example", server.port());
    let reached = bench.connection().reach(Protocol::Tcp, &asked).await.ok().unwrap();
    assert_eq!(reached.address.to_string(), "127.0.0.1");
    bench.resolver.set("mixed.example", &[&mixed[..3]]);
    assert_eq!(code(&bench, &asked).await, Some(Code::AddressForbidden));
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_followed_by_the_next() {
    let (bench, server) = (Bench::unrestricted(), Server::saying("hello").await);
    bench.resolver.set("two.example", &[&["127.0.0.9", "127.0.0.1"]]);
    assert_eq!(code(&bench, &asked("two.example", server.port())).await, None);
    let records = bench.records().await;
    let dialled: Vec<_> = records.iter().filter(|record| record["verdict"] == "allow").collect();
    assert_eq!(dialled.len(), 2, "each address that is dialled is recorded before");
    assert_eq!(dialled[0]["address"], "127.0.0.9");
    assert_eq!(dialled[1]["address"], "127.0.0.1");
}

#[tokio::test]
async fn what_is_not_allowed_is_not_even_looked_up() {
    let bench = Bench::limited(&["example.com", "127.0.0.1"]);
    assert_eq!(code(&bench, &asked("secret.evil.example", 443)).await, Some(Code::HostNotAllowed));
    assert_eq!(code(&bench, &asked("127.0.0.2", 443)).await, Some(Code::AddressNotListed));
    assert_eq!(bench.resolver.asked(), 0);
    let server = Server::saying("hello").await;
    assert_eq!(code(&bench, &asked("127.0.0.1", server.port())).await, None, "an address may be listed");
}

#[tokio::test]
async fn the_operators_hosts_come_before_dns() {
    let (bench, server) = (Bench::unrestricted(), Server::saying("hello").await);
    let settings = r#"{"hosts": {"models.internal": "127.0.0.1"}}"#;
    *bench.shared.settings.write() = Arc::new(serde_json::from_str(settings).unwrap());
    bench.resolver.set("models.internal", &[&["169.254.169.254"]]);
    assert_eq!(code(&bench, &asked("models.internal", server.port())).await, None);
    assert_eq!(bench.resolver.asked(), 0);
    assert_eq!(code(&bench, &asked("127.0.0.1", server.port())).await, Some(Code::AddressForbidden));
}

#[tokio::test]
async fn nothing_passes_that_cannot_be_recorded() {
    let bench = Bench::with_audit(Policy::Unrestricted, Limits::default(), 1);
    let server = Server::saying("hello").await;
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let asked = asked("example.com", server.port());
    assert_eq!(code(&bench, &asked).await, None);
    bench.lose_audit();
    // A file that was begun a moment before takes one more, and is full then.
    let (mut passed, mut last) = (1, code(&bench, &asked).await);
    while last.is_none() && passed < 4 {
        (passed, last) = (passed + 1, code(&bench, &asked).await);
    }
    assert_eq!(last, Some(Code::AuditUnavailable));
    assert_eq!(bench.sandbox.meter.usage().connections, passed);
}

#[tokio::test]
async fn a_connections_records_tell_what_it_was_from_its_beginning_to_its_end() {
    let (bench, server) = (Bench::unrestricted(), Server::saying("hello").await);
    bench.resolver.set("example.com", &[&["127.0.0.1"]]);
    let connection = bench.connection();
    let mut reached = connection.reach(Protocol::Socks5, &asked("example.com", server.port())).await.ok().unwrap();
    reached.stream.write_all(b"hi").await.unwrap();
    let mut answer = [0; 5];
    reached.stream.read_exact(&mut answer).await.unwrap();
    drop(reached);
    let records = bench.records().await;
    let [allow, end] = records.as_slice() else { panic!("{records:?}") };
    assert!(allow["time"].as_str().unwrap().ends_with('Z'));
    let common = serde_json::json!({
        "sandbox": "sbx_1", "session": "sesn_1", "connection": 1, "protocol": "socks5",
        "host": "example.com", "address": "127.0.0.1", "port": server.port(),
    });
    for (record, kind) in [(allow, "decision"), (end, "end")] {
        assert_eq!(record["kind"], kind);
        for (field, value) in common.as_object().unwrap() {
            assert_eq!(&record[field], value, "{field} of {kind}");
        }
    }
    assert_eq!(allow["verdict"], "allow");
    assert_eq!((&end["up"], &end["down"]), (&2.into(), &5.into()));
    assert_eq!(bench.sandbox.meter.usage().up, 2);
    assert_eq!(bench.sandbox.meter.usage().down, 5);
}
