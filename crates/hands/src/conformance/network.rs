//! The way out: sockets that programs connect to without knowing, and that whoever is the gate serves.

use std::{os::fd::OwnedFd, sync::Arc, time::Duration};

use hand_protocol::Socket;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::task::spawn_blocking;

use super::{
    bench::{Bench, ONE, bash, provision, spec},
    echo::{Echo, Served},
};
use crate::{Network, Reach, Spec};

/// The end of a sandbox is told at once.
const SOON: Duration = Duration::from_secs(10);

fn network() -> Network {
    let hosts = vec!["some.name.example".to_owned()];
    Network { reach: Reach::Limited { hosts, packages: true }, egress: Some(1 << 30) }
}

fn with_network() -> Spec {
    Spec { network: Some(network()), ..spec(ONE) }
}

/// Asks whoever answers there, by nothing but the shell: no image need have more.
fn asking(host: &str, port: u16) -> String {
    format!("(exec 3<>/dev/tcp/{host}/{port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && tail -n 1 <&3) 2>&1")
}

pub(super) async fn without_a_way_out_nothing_is_reached(bench: &Bench) {
    let gate = Echo::new();
    let sandbox = bench.with_gate(gate.clone()).await;
    let hand = provision(&*sandbox, &spec(ONE)).await;
    // Refused means that a network answered, which only the loopback does; elsewhere there is no route.
    let said = bash(&*hand, &format!("{}; {}; true", asking("127.0.0.1", 9), asking("203.0.113.7", 80))).await;
    assert!(said.contains("Connection refused"), "{said}");
    assert!(said.contains("unreachable") || said.contains("No route to host"), "{said}");
    let said = bash(&*hand, &format!("{}; true", asking("some.name.example", 80))).await;
    assert!(!said.contains("198.18"), "no name is resolved: {said}");
    assert_eq!(gate.served(), [], "the gate has nothing to do with it");
}

pub(super) async fn whatever_a_program_connects_to_the_gate_is_told_of(bench: &Bench) {
    let gate = Echo::new();
    let sandbox = bench.with_gate(gate.clone()).await;
    let hand = provision(&*sandbox, &with_network()).await;
    let [Served { name, incarnation, network: told, kinds }] = gate.served().try_into().expect("it is served once");
    assert_eq!((name.as_str(), &incarnation, told), (ONE, &hand.address().incarnation, network()));
    let mut kinds: Vec<_> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    kinds.sort();
    let all = [Socket::Catch, Socket::DnsTcp, Socket::DnsUdp, Socket::Proxy].map(|kind| format!("{kind:?}"));
    assert_eq!(kinds, all);
    for (host, port, heard) in [
        ("203.0.113.7", 80, "Catch 203.0.113.7:80"),
        ("203.0.113.7", 8443, "Catch 203.0.113.7:8443"),
        ("2001:db8::7", 99, "Catch [2001:db8::7]:99"),
        ("169.254.169.254", 80, "Catch 169.254.169.254:80"),
        ("some.name.example", 443, "Catch 198.18.0.7:443"),
    ] {
        assert_eq!(bash(&*hand, &asking(host, port)).await, heard);
    }
    let proxied = bash(&*hand, &asking("127.0.0.1", 3_128)).await;
    assert!(proxied.starts_with("Proxy "), "{proxied}");
    let own = bash(&*hand, &format!("{}; true", asking("127.0.0.1", 9))).await;
    assert!(own.contains("Connection refused"), "the loopback is the sandbox's own: {own}");
}

async fn has_ended(life: &Arc<OwnedFd>, within: Duration) -> bool {
    let (life, within) = (Arc::clone(life), Timespec::try_from(within).unwrap());
    let wait = move || poll(&mut [PollFd::new(&*life, PollFlags::IN)], Some(&within)).unwrap();
    spawn_blocking(wait).await.unwrap() > 0
}

pub(super) async fn the_gate_learns_of_a_sandboxs_end(bench: &Bench) {
    let gate = Echo::new();
    let sandbox = bench.with_gate(gate.clone()).await;
    let hand = provision(&*sandbox, &with_network()).await;
    let life = Arc::new(gate.life());
    assert!(!has_ended(&life, Duration::from_millis(300)).await, "it lives");
    sandbox.destroy(ONE, None).await.unwrap();
    assert!(has_ended(&life, SOON).await, "its end is told");
    assert_eq!(gate.closed(), [hand.address().incarnation.clone()], "and that it is served no more");
}

pub(super) async fn a_new_gate_is_given_the_same_sockets(bench: &Bench) {
    let (first, second) = (Echo::new(), Echo::new());
    let sandbox = bench.with_gate(first.clone()).await;
    let hand = provision(&*sandbox, &with_network()).await;
    let later = bench.with_gate(second.clone()).await;
    later.reopen().await.expect("a new gate can be given what the last one had");
    assert_eq!(second.served(), first.served());
    let hand = later.adopt(hand.address(), 2).await.unwrap();
    assert_eq!(bash(&*hand, &asking("203.0.113.7", 80)).await, "Catch 203.0.113.7:80");
    later.destroy(ONE, None).await.unwrap();
    later.reopen().await.expect("of no sandbox there is nothing to give");
    assert_eq!(second.served().len(), 1);
}

pub(super) async fn without_a_gate_no_sandbox_with_a_network_is_made(bench: &Bench) {
    let refused = bench.refusal(&*bench.sandbox, &with_network()).await.to_string();
    assert!(refused.contains("gateway"), "{refused}");
}
