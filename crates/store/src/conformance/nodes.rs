//! Nodes: alive as long as they beat, then dead for good, and buried together with their leases.

use wire::SessionId;

use super::fixture::{
    BRIEF, LONG, SESSION, append, claim, create, expire, hold, join, message, node, positions, release,
};
use crate::{Append, Appended, Dead, Error, Known, Lease, Node, Store};

/// The ids of all that are registered.
async fn registered(store: &dyn Store) -> Vec<String> {
    let nodes = store.nodes().await.expect("nodes can be listed");
    let mut ids: Vec<String> = nodes.into_iter().map(|known| known.node.id).collect();
    ids.sort();
    ids
}

pub(super) async fn a_node_joins_once_and_beats_while_it_lives(store: &dyn Store) {
    assert!(registered(store).await.is_empty(), "a new store knows no nodes");
    let one = node("one", "here");
    let other = Node { address: None, ..node("other", "there") };
    store.join(one.clone(), LONG).await.unwrap();
    store.join(other.clone(), LONG).await.unwrap();
    let usurper = Node { path: "/elsewhere".into(), ..one.clone() };
    assert_eq!(store.join(usurper, LONG).await, Err(Error::Exists), "an id is registered once");
    let mut known = store.nodes().await.unwrap();
    known.sort_by(|one, other| one.node.id.cmp(&other.node.id));
    let expected = [one, other].map(|node| Known { node, is_expired: false });
    assert_eq!(known, expected, "nodes are told as they joined");

    store.beat("one", LONG).await.expect("a node that lives may beat");
    assert_eq!(store.beat("stranger", LONG).await, Err(Error::NotFound), "only what has joined may beat");
    create(store, SESSION).await;
    let refused = store.append(claim(SESSION, 1, "stranger")).await;
    assert_eq!(refused, Err(Error::Fenced { epoch: 0 }), "only what has joined may claim");
    store.append(claim(SESSION, 1, "one")).await.expect("a node that lives may claim");
}

pub(super) async fn a_node_whose_time_is_over_is_dead_for_good(store: &dyn Store) {
    let free = SessionId::from_bits(5);
    create(store, SESSION).await;
    create(store, free).await;
    join(store, &["dead", "heir"]).await;
    store.append(claim(SESSION, 1, "dead")).await.unwrap();
    expire(store, "dead").await;

    let law = "a node whose time is over is dead, though nobody has buried it";
    assert_eq!(store.beat("dead", LONG).await, Err(Error::NotFound), "{law}: it beats");
    assert_eq!(store.join(node("dead", "here"), LONG).await, Err(Error::Exists), "{law}: it joins again");
    let claimed = store.append(claim(free, 1, "dead")).await;
    assert_eq!(claimed, Err(Error::Fenced { epoch: 0 }), "{law}: it claims");
    for late in [claim(SESSION, 1, "dead"), hold(1, 1), release(1, 1)] {
        let lease = late.lease.clone();
        assert_eq!(store.append(late).await, Err(Error::Fenced { epoch: 1 }), "{law}: {lease:?}");
    }
    assert_eq!(positions(store, SESSION).await, [1], "{law}: it writes");

    let law = "a lease is not free before its owner is buried";
    let claimed = store.append(claim(SESSION, 1, "heir")).await;
    assert_eq!(claimed, Err(Error::Fenced { epoch: 1 }), "{law}: it is claimed");
    let work = Append { runnable: true, ..append(SESSION, 1, vec![message(2)]) };
    store.append(work).await.expect("a client's append asks for no node");
    assert!(store.runnable(9).await.unwrap().is_empty(), "{law}: its session is runnable");
    assert_eq!(registered(store).await, ["dead", "heir"], "a node whose time is over is told until it is buried");
}

pub(super) async fn burying_the_expired_frees_their_leases(store: &dyn Store) {
    let (other, kept) = (SessionId::from_bits(5), SessionId::from_bits(6));
    for session in [SESSION, other, kept] {
        create(store, session).await;
    }
    join(store, &["dead", "heir", "one"]).await;
    for (session, owner) in [(SESSION, "dead"), (other, "dead"), (kept, "one")] {
        store.append(claim(session, 1, owner)).await.unwrap();
    }
    assert_eq!(store.bury(Dead::Expired).await, Ok(0), "nobody's time is over");
    store.join(node("late", "here"), BRIEF).await.unwrap();
    expire(store, "dead").await;
    assert_eq!(store.bury(Dead::Expired).await, Ok(2), "the leases of the dead are freed, and counted");
    assert_eq!(store.bury(Dead::Expired).await, Ok(0), "the dead are buried once");
    assert_eq!(registered(store).await, ["heir", "one"], "the dead are gone, with leases or without, and only they");
    assert_eq!(store.beat("dead", LONG).await, Err(Error::NotFound), "what was buried does not beat");

    let mut runnable = store.runnable(9).await.unwrap();
    runnable.sort();
    assert_eq!(runnable, [SESSION, other], "what the dead had to do is there for others");
    assert_eq!(store.append(hold(1, 1)).await, Err(Error::Fenced { epoch: 1 }), "a lease that was freed is not held");
    let claimed = store.append(claim(SESSION, 1, "heir")).await;
    assert_eq!(claimed, Ok(Appended { head: 1, epoch: 2 }), "the next claim raises the epoch");
    assert_eq!(store.append(hold(1, 1)).await, Err(Error::Fenced { epoch: 2 }), "the dead are fenced by their heir");
    store.append(hold(1, 2)).await.expect("the heir has the lease");
    let living = Append { lease: Lease::Hold { epoch: 1 }, ..append(kept, 1, vec![message(2)]) };
    store.append(living).await.expect("the living keep their leases");
}

pub(super) async fn a_node_is_buried_by_its_name(store: &dyn Store) {
    create(store, SESSION).await;
    join(store, &["dead", "one"]).await;
    store.append(claim(SESSION, 1, "dead")).await.unwrap();
    assert_eq!(store.bury(Dead::Node("stranger".into())).await, Ok(0), "there is no such node");
    assert_eq!(store.bury(Dead::Node("one".into())).await, Ok(0), "it had no lease");
    assert_eq!(registered(store).await, ["dead"], "the node of that name is buried, and no other");
    assert_eq!(store.bury(Dead::Node("dead".into())).await, Ok(1), "it had one lease");
    let law = "a node that is known to be dead may be buried before its time is over";
    assert!(registered(store).await.is_empty(), "{law}: it is told");
    assert_eq!(store.beat("dead", LONG).await, Err(Error::NotFound), "{law}: it beats");
    for late in [claim(SESSION, 1, "dead"), hold(1, 1), release(1, 1)] {
        let lease = late.lease.clone();
        assert_eq!(store.append(late).await, Err(Error::Fenced { epoch: 1 }), "{law}: {lease:?}");
    }
    assert_eq!(store.runnable(9).await.unwrap(), [SESSION], "{law}: its session is not runnable");
}

pub(super) async fn the_owner_of_a_directory_buries_those_before_it(store: &dyn Store) {
    let (elsewhere, own) = (SessionId::from_bits(5), SessionId::from_bits(6));
    for session in [SESSION, elsewhere, own] {
        create(store, session).await;
    }
    for (id, directory) in [("first", "here"), ("second", "here"), ("third", "here"), ("other", "there")] {
        store.join(node(id, directory), LONG).await.unwrap();
    }
    for (session, owner) in [(SESSION, "first"), (elsewhere, "other"), (own, "third")] {
        store.append(claim(session, 1, owner)).await.unwrap();
    }
    let before = Dead::Before { directory: "here".into(), id: "third".into() };
    assert_eq!(store.bury(before.clone()).await, Ok(1), "the lease of an earlier node of the directory is freed");
    assert_eq!(store.bury(before.clone()).await, Ok(0), "the dead are buried once");
    let law = "the node itself is spared, and so are those of other directories";
    assert_eq!(registered(store).await, ["other", "third"], "{law}");
    assert_eq!(store.runnable(9).await.unwrap(), [SESSION], "{law}: they keep their leases");
    for session in [elsewhere, own] {
        let living = Append { lease: Lease::Hold { epoch: 1 }, ..append(session, 1, vec![message(2)]) };
        store.append(living).await.expect(law);
    }
    store.join(node("fourth", "here"), LONG).await.unwrap();
    store.bury(Dead::Node("third".into())).await.unwrap();
    assert_eq!(store.bury(before).await, Ok(0), "who is not registered any more buries nobody");
    assert_eq!(registered(store).await, ["fourth", "other"], "the word of the dead came late");
}
