//! Leases: one owner, an epoch that only rises, and a fence for whoever has lost it.

use wire::SessionId;

use super::fixture::{SESSION, append, claim, create, hold, join, message, positions, release};
use crate::{Append, Appended, Error, Lease, Store};

pub(super) async fn a_lease_has_one_owner(store: &dyn Store) {
    create(store, SESSION).await;
    join(store, &["one", "other"]).await;
    let claimed = store.append(claim(SESSION, 1, "one")).await;
    assert_eq!(claimed, Ok(Appended { head: 1, epoch: 1 }), "a claim raises the epoch by one");
    let refused = store.append(claim(SESSION, 1, "other")).await;
    assert_eq!(refused, Err(Error::Fenced { epoch: 1 }), "a lease that another owner has is not claimed");
    let again = store.append(claim(SESSION, 1, "one")).await;
    assert_eq!(again, Ok(Appended { head: 1, epoch: 2 }), "an owner that claims again begins a new epoch");

    store.append(release(1, 2)).await.unwrap();
    let claimed = store.append(claim(SESSION, 2, "other")).await;
    assert_eq!(claimed, Ok(Appended { head: 2, epoch: 3 }), "a lease that was released can be claimed");
    assert_eq!(store.head(SESSION).await.unwrap().epoch, 3, "the header tells the epoch");
}

pub(super) async fn only_the_epoch_that_has_the_lease_may_hold_or_release(store: &dyn Store) {
    create(store, SESSION).await;
    join(store, &["one"]).await;
    for unclaimed in [hold(1, 0), release(1, 0)] {
        assert_eq!(store.append(unclaimed).await, Err(Error::Fenced { epoch: 0 }), "a lease nobody has is not held");
    }
    store.append(claim(SESSION, 1, "one")).await.unwrap();
    for stranger in [hold(1, 0), hold(1, 2), release(1, 0), release(1, 2)] {
        let lease = stranger.lease.clone();
        assert_eq!(store.append(stranger).await, Err(Error::Fenced { epoch: 1 }), "{lease:?} is fenced at epoch 1");
    }
    assert_eq!(positions(store, SESSION).await, [1], "whoever is fenced writes nothing");

    let held = store.append(hold(1, 1)).await;
    assert_eq!(held, Ok(Appended { head: 2, epoch: 1 }), "the owner appends, and the epoch stays");
    let client = store.append(append(SESSION, 2, vec![message(3)])).await;
    assert_eq!(client, Ok(Appended { head: 3, epoch: 1 }), "a client needs no lease");
    store.append(hold(3, 1)).await.expect("a client's append leaves the lease");
    let released = store.append(release(4, 1)).await;
    assert_eq!(released, Ok(Appended { head: 5, epoch: 1 }), "a release is an append");
    for late in [hold(5, 1), release(5, 1)] {
        assert_eq!(store.append(late).await, Err(Error::Fenced { epoch: 1 }), "after its release a lease is not held");
    }
}

pub(super) async fn being_fenced_comes_before_the_conflict(store: &dyn Store) {
    create(store, SESSION).await;
    join(store, &["one", "other"]).await;
    store.append(claim(SESSION, 1, "one")).await.unwrap();
    store.append(hold(1, 1)).await.unwrap();
    let law = "whoever is fenced is told so, not to fold and try again";
    assert_eq!(store.append(hold(1, 0)).await, Err(Error::Fenced { epoch: 1 }), "{law}");
    assert_eq!(store.append(claim(SESSION, 1, "other")).await, Err(Error::Fenced { epoch: 1 }), "{law}");
    let late = "a writer that has the lease and an old head conflicts, and keeps the lease";
    assert_eq!(store.append(release(1, 1)).await, Err(Error::Conflict { head: 2 }), "{late}");
    store.append(hold(2, 1)).await.expect(late);
}

pub(super) async fn only_sessions_with_work_and_a_free_lease_are_runnable(store: &dyn Store) {
    let sessions: Vec<SessionId> = (10..14).map(SessionId::from_bits).collect();
    for session in &sessions {
        create(store, *session).await;
    }
    let [idle, claimed, first, second] = sessions.as_slice() else { panic!("there are four sessions") };
    for session in [claimed, first, second] {
        let work = Append { runnable: true, ..append(*session, 1, vec![message(2)]) };
        store.append(work).await.unwrap();
    }
    join(store, &["brain"]).await;
    store.append(claim(*claimed, 2, "brain")).await.unwrap();
    let mut runnable = store.runnable(9).await.unwrap();
    runnable.sort();
    assert_eq!(
        runnable,
        [*first, *second],
        "neither {idle}, which has no work, nor {claimed}, which is claimed, is runnable"
    );
    assert_eq!(store.leased("brain").await.unwrap(), [*claimed], "its owner is told of it");
    assert!(store.leased("nobody").await.unwrap().is_empty(), "and nobody else");
    assert_eq!(store.runnable(1).await.unwrap().len(), 1, "at most as many are told as were asked for");

    let done = Append { runnable: false, ..append(*first, 2, vec![message(3)]) };
    store.append(done).await.unwrap();
    assert_eq!(store.runnable(9).await.unwrap(), [*second], "a session without work is not runnable");
    let leave = Append { lease: Lease::Release { epoch: 1 }, runnable: true, ..append(*claimed, 2, Vec::new()) };
    store.append(leave).await.unwrap();
    let mut runnable = store.runnable(9).await.unwrap();
    runnable.sort();
    assert!(store.leased("brain").await.unwrap().is_empty(), "a lease that is released is nobody's");
    assert_eq!(runnable, [*claimed, *second], "a lease that is released with work to do is runnable again");
}
