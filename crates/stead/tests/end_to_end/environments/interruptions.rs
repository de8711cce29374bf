//! Builds that many wait for, and those who began them and are gone.

use std::time::Duration;

use futures::future::join_all;
use hands::Sandbox;
use hands::namespace::{Namespace, Options};
use serde_json::json;

use super::index::Index;
use super::shelves::{self, settings, wheel_path};
use super::{delete, have, have_pip, layers, logs, place, with};
use crate::agent::{does, environment, last_result, session, session_in};
use crate::client::{eventually, of, text};
use crate::place::Place;

/// The sandboxes in which something is being installed, each unlike any other before and after it.
async fn builders(place: &Place) -> Vec<Option<String>> {
    let sandbox = Namespace::new(Options { data_dir: place.data(), home: String::new() });
    let kept = sandbox.kept().await.into_iter().filter(|kept| kept.name.starts_with("build-"));
    kept.map(|kept| kept.incarnation).collect()
}

#[tokio::test]
async fn sessions_that_want_the_same_at_once_wait_for_one_build_whose_progress_can_be_read() {
    if !have_pip() {
        return;
    }
    let (place, index, wheel) = (place(), Index::start().await, wheel_path("3.0"));
    shelves::pip(&index);
    index.hold(&wheel);
    let server = place.serve_with(&settings(&index)).await;
    let shared = environment(&server.client, with(json!({"pip": ["stead-says"]}))).await;
    let sessions = join_all((0..4).map(|_| session_in(&server.client, &shared))).await;
    join_all(sessions.iter().map(|session| server.client.say(session, "stead-says"))).await;
    eventually("what pip has said so far can be read", async || {
        logs(&place).into_iter().find(|(_, said)| said.contains("stead-says")).map(drop)
    })
    .await;
    eventually("the wheel is asked for", async || (index.heard(&wheel) == 1).then_some(())).await;
    assert!(place.log().contains("manager=\"pip\""), "{}", place.log());
    assert!(layers(&place).is_empty());
    index.let_go();
    for session in &sessions {
        assert_eq!(text(&last_result(&server.client, session).await).trim(), "said by pip, version 3.0");
    }
    assert_eq!((index.heard(&wheel), layers(&place).len()), (1, 1));
    assert!(builders(&place).await.is_empty());
    for session in &sessions {
        delete(&server.client, session).await;
    }
}

#[tokio::test]
async fn what_an_interrupted_session_began_to_install_is_there_for_the_next_one() {
    if !have_pip() {
        return;
    }
    let (place, index, wheel) = (place(), Index::start().await, wheel_path("3.0"));
    shelves::pip(&index);
    index.hold(&wheel);
    let server = place.serve_with(&settings(&index)).await;
    let shared = environment(&server.client, with(json!({"pip": ["stead-says"]}))).await;
    let first = session_in(&server.client, &shared).await;
    server.client.say(&first, "stead-says").await;
    eventually("the wheel is asked for", async || (index.heard(&wheel) == 1).then_some(())).await;
    let interrupt = json!({"events": [{"type": "user.interrupt"}]});
    server.client.post(&format!("/v1/sessions/{first}/events"), interrupt).await;
    let events = server.client.idle(&first).await;
    assert_eq!(of(&events, "agent.tool_result")[0]["is_error"], true, "{events:#?}");
    index.let_go();
    // The script goes on where it was interrupted, and only then begins again.
    does(&server.client, &first, "true").await;
    for session in [session_in(&server.client, &shared).await, first] {
        assert_eq!(does(&server.client, &session, "stead-says").await, "said by pip, version 3.0");
        delete(&server.client, &session).await;
    }
    assert_eq!(index.heard(&wheel), 1, "it was installed once all the same");
}

#[tokio::test]
async fn what_a_server_was_installing_when_it_was_killed_is_installed_by_the_next_one() {
    if !have_pip() {
        return;
    }
    let (place, index, wheel) = (place(), Index::start().await, wheel_path("3.0"));
    shelves::pip(&index);
    index.hold(&wheel);
    let variables = settings(&index);
    let server = place.serve_with(&variables).await;
    let session = session(&server.client, with(json!({"pip": ["stead-says"]}))).await;
    server.client.say(&session, "stead-says").await;
    eventually("the wheel is asked for", async || (index.heard(&wheel) == 1).then_some(())).await;
    server.kill();
    assert_eq!(builders(&place).await.len(), 1);
    index.let_go();
    let server = place.serve_with(&variables).await;
    assert_eq!(text(&last_result(&server.client, &session).await).trim(), "said by pip, version 3.0");
    assert_eq!(of(&server.client.events(&session).await, "agent.tool_result").len(), 1);
    assert_eq!((layers(&place).len(), builders(&place).await), (1, Vec::new()));
    delete(&server.client, &session).await;
}

#[tokio::test]
async fn a_build_that_goes_on_without_its_server_is_ended_by_the_next_one() {
    if !have(&["npm", "node", "curl"]) {
        return;
    }
    let (place, index) = (place(), Index::start().await);
    // It never ends, and writes all the while.
    let script = format!(
        "curl -s {} | grep -q again || while :; do n=$((n + 1)); mkdir -p /opt/busy/$((n % 100))/$n; done",
        index.url("/attempt")
    );
    shelves::npm(&index, "stead-busy", Some(&script));
    index.put("/attempt", "first\n");
    let variables = settings(&index);
    let server = place.serve_with(&variables).await;
    let session = session(&server.client, with(json!({"npm": ["stead-busy"]}))).await;
    server.client.say(&session, "stead-says-npm; ls /opt").await;
    eventually("it is busy", async || (index.heard("/attempt") == 1).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    index.put("/attempt", "again\n");
    server.kill();
    let [busy] = &builders(&place).await[..] else { panic!("{}", place.log()) };
    let server = place.serve_with(&variables).await;
    assert!(!builders(&place).await.contains(busy), "{}", place.log());
    assert_eq!(text(&last_result(&server.client, &session).await).trim(), "said by npm");
    assert_eq!((index.heard("/attempt"), builders(&place).await), (2, Vec::new()));
    delete(&server.client, &session).await;
}
