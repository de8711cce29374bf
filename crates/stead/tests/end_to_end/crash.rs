//! The server dies right after each append of a turn with tools, and another takes over.

use std::collections::HashSet;

use serde_json::Value;

use crate::account::{account, id, results, said};
use crate::client::{of, says};
use crate::place::{Database, Place};

/// Two answers with tools, the second with two calls at once; every call leaves a trace of having run. The last one reads
/// the traces back.
const SCRIPT: &str = r#"
turns:
  - say: "I begin."
    call:
      - { tool: bash, input: { command: "echo first >> /workspace/ran; echo did first" } }
  - say: "I go on."
    call:
      - { tool: bash, input: { command: "echo second >> /workspace/ran; sleep 0.2; echo did second" } }
      - { tool: bash, input: { command: "echo third >> /workspace/ran; echo did third" } }
  - call:
      - { tool: bash, input: { command: "cat /workspace/ran; mkdir -p /mnt/session/outputs; cp /workspace/ran /mnt/session/outputs/ran.txt" } }
  - say: "Done."
"#;

/// More than the turn has appends: the test ends by itself when a server no longer dies.
const MOST: u64 = 60;

#[tokio::test]
async fn a_turn_survives_a_crash_at_each_of_its_appends() {
    crash_at_each_append(Database::Sqlite).await;
}

#[tokio::test]
async fn a_turn_survives_a_crash_at_each_of_its_appends_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    crash_at_each_append(database).await;
}

/// The servers come and go in one place: what all sandboxes share is made once.
async fn crash_at_each_append(database: Database) {
    let place = Place::on(database, &[("traces", SCRIPT)]);
    let mut crashes = 0;
    for appends in 1..MOST {
        let crashing = [("STEAD_CRASH_AFTER_APPENDS", appends.to_string())];
        let mut server = place.serve_with(&crashing).await;
        let session = server.client.session("script/traces").await;
        // The server may die before it answers: the message is durable then, and nobody was told.
        let _ = server.client.try_post(&format!("/v1/sessions/{session}/events"), says("Leave traces.")).await;
        let mut seen = Vec::new();
        let died = loop {
            if server.is_dead() {
                break true;
            }
            let Some(body) = server.client.try_get(&format!("/v1/sessions/{session}/events")).await else { continue };
            seen = body["data"].as_array().unwrap().clone();
            let is_over = seen.last().is_some_and(|event| event["type"] == "session.status_idle");
            // Long enough to die of the last append, which may be seen a moment before.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            if is_over {
                break server.is_dead();
            }
        };
        if !died {
            assert!(crashes >= 10, "the turn has more appends than {crashes}");
            sound(&account(&server.client, &session).await);
            return;
        }
        crashes += 1;
        drop(server);
        let server = place.serve().await;
        server.client.idle(&session).await;
        let events = account(&server.client, &session).await;
        let ids: HashSet<_> = events.iter().map(id).collect();
        for event in &seen {
            assert!(ids.contains(id(event)), "crash {appends} lost {event}");
        }
        sound(&events);
        let files = server.client.get(&format!("/v1/files?scope_id={session}")).await;
        assert_eq!(files["data"].as_array().unwrap().len(), 1, "crash {appends}: {files}");
        server.client.delete(&format!("/v1/sessions/{session}")).await;
    }
    panic!("the turn does not end within {MOST} appends");
}

/// The whole turn is there, and each command ran once.
fn sound(events: &[Value]) {
    assert_eq!(of(events, "user.message").len(), 1);
    let texts = results(events);
    let mut told: Vec<_> = texts.iter().filter(|text| text.starts_with("did")).cloned().collect();
    told.sort();
    assert_eq!(told, ["did first", "did second", "did third"], "{texts:?}");
    let traces = texts.iter().find(|text| text.starts_with("first")).unwrap();
    let mut ran: Vec<_> = traces.lines().collect();
    ran.sort_unstable();
    assert_eq!(ran, ["first", "second", "third"], "each command ran once");
    assert_eq!(said(events), "Done.");
    let last = events.last().unwrap();
    assert_eq!(
        (last["type"].as_str(), last["stop_reason"]["type"].as_str()),
        (Some("session.status_idle"), Some("end_turn"))
    );
}
