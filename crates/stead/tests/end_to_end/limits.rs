//! Limits of the installation and of one environment, as a session meets them: it is told, and goes on.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::agent::{DOES, does, result, session, session_in};
use crate::client::{Client, of, text};
use crate::place::Place;

/// For every sandbox of the place.
const LIMITS: &str = "[limits]\nmemory_mib = 128\ndisk_mib = 32\nprocesses = 64\nopen_files = 128\ncall_seconds = 4\n";

fn place() -> Place {
    Place::new(&[DOES]).with_config(LIMITS)
}

/// A session in an environment with this metadata.
async fn with(client: &Client, metadata: Value) -> String {
    let environment = client.post("/v1/environments", json!({"name": "e", "metadata": metadata})).await;
    session_in(client, environment["id"].as_str().unwrap()).await
}

/// The command meets a limit, which its result names; the one after it runs in the same sandbox.
async fn meets(client: &Client, session: &str, command: &str, limit: &str) {
    let before = does(client, session, "mkdir -p /tmp/kept && echo kept > /tmp/kept/file && cat /tmp/kept/file").await;
    assert_eq!(before, "kept");
    let told = result(client, session, command).await;
    assert!(text(&told).contains(limit), "{command}: {limit} is not in {told}");
    assert_eq!(does(client, session, "cat /tmp/kept/file").await, "kept", "after {command}");
    let events = client.events(session).await;
    assert_eq!(of(&events, "session.error"), Vec::<&Value>::new());
    assert_eq!(events.last().unwrap()["stop_reason"]["type"], "end_turn");
}

#[tokio::test]
async fn a_command_over_its_memory_is_ended_and_the_session_goes_on() {
    let place = place();
    let server = place.serve().await;
    let session = session(&server.client, json!({"type": "cloud"})).await;
    // `tail` keeps the last line, and here the line never ends.
    let limit = "[the sandbox's memory limit of 128 MiB was reached; processes were ended]";
    meets(&server.client, &session, "tail /dev/zero", limit).await;
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn a_command_over_its_time_is_ended_and_the_session_goes_on() {
    let place = place();
    let server = place.serve().await;
    let session = session(&server.client, json!({"type": "cloud"})).await;
    let limit = "the call was ended after 4 seconds, the longest a call may take here";
    meets(&server.client, &session, "sleep 300", limit).await;
    assert_eq!(does(&server.client, &session, "pgrep -c sleep; true").await, "0", "it has ended for good");
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn a_command_that_meets_any_other_limit_is_told_which() {
    let place = place();
    let server = place.serve().await;
    let session = session(&server.client, json!({"type": "cloud"})).await;
    let files = "python3 -c 'all = [open(\"/dev/null\") for n in range(200)]'";
    let threads = "python3 -c 'import threading, time\nfor n in range(200): \
                   threading.Thread(target=time.sleep, args=(1,), daemon=True).start()'";
    for (command, limit) in [
        ("dd if=/dev/zero of=/workspace/big bs=1M count=100; status=$?; rm /workspace/big; (exit $status)", "disk"),
        (files, "limit of 128 open files in one process"),
        (threads, "limit of 64 processes and threads"),
    ] {
        meets(&server.client, &session, command, limit).await;
    }
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn an_environment_sets_limits_of_its_own_and_leaves_the_others() {
    let place = place();
    let server = place.serve().await;
    let session = with(&server.client, json!({"stead.memory_mib": "64", "stead.call_seconds": "2", "team": "a"})).await;
    meets(&server.client, &session, "tail /dev/zero", "memory limit of 64 MiB").await;
    meets(&server.client, &session, "sleep 300", "ended after 2 seconds").await;
    assert_eq!(does(&server.client, &session, "ulimit -n").await, "128");
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn a_limit_that_cannot_be_set_is_refused_with_the_environment() {
    let place = place();
    let server = place.serve().await;
    for (key, value, part) in [
        ("stead.memory_mib", "a lot", "is not a number"),
        ("stead.memory_mib", "0", "out of range"),
        ("stead.ram", "64", "there is no such limit"),
    ] {
        let body = json!({"name": "e", "metadata": {key: value}});
        let refused = server.client.request(Method::POST, "/v1/environments").json(&body).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        let refused: Value = refused.json().await.unwrap();
        let told = refused["error"]["message"].as_str().unwrap();
        assert!(told.contains(&format!("metadata.{key}")) && told.contains(part), "{told}");
    }
}
