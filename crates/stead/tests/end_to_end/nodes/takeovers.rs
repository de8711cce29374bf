//! A node stops, dies, or stands still in the middle of a turn, and the other goes on with it.

use std::time::Duration;

use tokio::time::timeout;

use crate::pair::Pair;
use crate::traces::{CALLS, SPEAKS, Trace, undisturbed};

/// Much shorter than the lease that would have to be waited for.
const BY_PROOF: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_turn_goes_on_elsewhere_when_its_node_is_stopped_and_nobody_notices() {
    let Some(pair) = Pair::new(&[CALLS.script()], "") else { return };
    let mut servers = pair.serve().await;
    let session = CALLS.reach(&servers[0].client).await;
    let brain = pair.brain(&session).await;
    assert!(servers.remove(brain).terminate().await);
    let other = &servers[0].client;
    other.idle(&session).await;
    undisturbed(&CALLS.is_done_once(other, &session).await);
    pair.close(servers).await;
}

#[tokio::test]
async fn a_turn_goes_on_elsewhere_once_its_node_is_proved_dead_long_before_its_lease_ends() {
    let Some(pair) = Pair::new(&[CALLS.script()], "lease_ms = 60000\n") else { return };
    let mut servers = pair.serve().await;
    let session = CALLS.reach(&servers[0].client).await;
    let brain = pair.brain(&session).await;
    servers.remove(brain).kill();
    let other = &servers[0].client;
    let idle = timeout(BY_PROOF, other.idle(&session)).await;
    assert!(idle.is_ok(), "the other node waits for the lease");
    // No request to the model was under way, so there is nothing to tell of.
    undisturbed(&CALLS.is_done_once(other, &session).await);
    pair.close(servers).await;
}

#[tokio::test]
async fn an_answer_that_dies_with_its_node_is_asked_for_again_elsewhere() {
    let Some(pair) = Pair::new(&[SPEAKS.script()], "lease_ms = 60000\n") else { return };
    let mut servers = pair.serve().await;
    let session = SPEAKS.reach(&servers[0].client).await;
    let brain = pair.brain(&session).await;
    servers.remove(brain).kill();
    let other = &servers[0].client;
    let idle = timeout(BY_PROOF, other.idle(&session)).await;
    assert!(idle.is_ok(), "the other node waits for the lease");
    let events = SPEAKS.is_done_once(other, &session).await;
    let rescheduled = events.iter().filter(|event| event["type"] == "session.status_rescheduled").count();
    assert_eq!(rescheduled, 1, "clients see that it is tried again");
    pair.close(servers).await;
}

#[tokio::test]
async fn a_node_that_stands_still_during_a_call_loses_its_session_and_adds_nothing_when_it_wakes() {
    stand_still_during(&CALLS).await;
}

#[tokio::test]
async fn a_node_that_stands_still_during_an_answer_loses_its_session_and_adds_nothing_when_it_wakes() {
    stand_still_during(&SPEAKS).await;
}

async fn stand_still_during(trace: &Trace) {
    let Some(pair) = Pair::new(&[trace.script()], "lease_ms = 2000\n") else { return };
    let servers = pair.serve().await;
    let session = trace.reach(&servers[0].client).await;
    let brain = pair.brain(&session).await;
    let (still, other) = (&servers[brain], &servers[1 - brain].client);
    still.pause();
    other.idle(&session).await;
    let events = trace.is_done_once(other, &session).await;
    still.resume();
    // What it had under way ends meanwhile, and must lead to nothing.
    let next = trace.begin(&still.client).await;
    still.client.idle(&next).await;
    trace.is_done_once(&still.client, &next).await;
    for client in [&still.client, other] {
        assert_eq!(client.events(&session).await, events);
    }
    pair.close(servers).await;
}
