//! Sandboxes of idle sessions are put away, and come back with their files: here, after a restart, on another node.

mod nodes;

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use hands::namespace::{Namespace, Options};
use hands::{Kept, Sandbox};
use serde_json::json;

use crate::agent::{DOES, does, result, session};
use crate::client::{Client, eventually, of, text};
use crate::place::Place;

/// As short as it can be set.
const SOON: &str = "[environments]\nidle_seconds = 1\n";

/// What the model is told when its sandbox is another one with the old files.
const RESTORED: &str = "The sandbox was put away while nobody needed it.";

/// Every way in which a file is changed.
const LEAVE: &str = "mkdir -p notes/deep && echo one > notes/deep/file && ln -s deep/file notes/link && \
                     chmod 750 notes/deep/file && echo tool > /usr/local/bin/own && chmod 755 /usr/local/bin/own && \
                     rm /etc/shells && echo passing > /tmp/passing && X=variable && cd /tmp && echo left";

const FIND: &str = "cd /workspace; cat notes/link; stat -c %a notes/deep/file; cat /usr/local/bin/own /tmp/passing; \
                    ls /etc/shells 2> /dev/null || echo gone; echo ${X:-no variable}";

const FOUND: &str = "one\n750\ntool\npassing\ngone\nno variable";

fn place() -> Place {
    Place::new(&[DOES]).with_config(SOON)
}

async fn kept(place: &Place, session: &str) -> Vec<Kept> {
    let sandbox = Namespace::new(Options { data_dir: place.data(), home: String::new() });
    sandbox.kept().await.into_iter().filter(|kept| kept.name == session).collect()
}

/// Waits until nothing of the session's sandbox is left but its files.
pub(crate) async fn is_put_away(place: &Place, session: &str) -> Kept {
    let look = async || kept(place, session).await.into_iter().find(|kept| kept.checkpoint.is_some());
    let kept = eventually("the sandbox is put away", look).await;
    let incarnation = kept.incarnation.clone().unwrap();
    eventually("its processes have ended", async || (processes(&incarnation) == 0).then_some(())).await;
    kept
}

/// The daemons of this incarnation of a sandbox.
fn processes(incarnation: &str) -> usize {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(incarnation)).count()
}

async fn cloud(client: &Client) -> String {
    session(client, json!({"type": "cloud"})).await
}

/// The next command finds the files, and its result says that the shell is another.
async fn comes_back(client: &Client, session: &str) {
    let told = text(&result(client, session, FIND).await);
    assert!(told.trim().starts_with(FOUND) && told.contains(RESTORED), "{told}");
    let told = text(&result(client, session, "cat /tmp/passing").await);
    assert_eq!(told.trim(), "passing", "it is said once");
    assert_eq!(of(&client.events(session).await, "session.error").len(), 0);
}

#[tokio::test]
async fn an_idle_sandbox_is_put_away_and_comes_back_with_its_files_as_often_as_that_happens() {
    let place = place();
    let server = place.serve().await;
    let session = cloud(&server.client).await;
    assert_eq!(does(&server.client, &session, LEAVE).await, "left");
    // As long as it lives there is a process to be found, or finding none would say nothing.
    let live = kept(&place, &session).await.remove(0);
    let alive = processes(live.incarnation.as_ref().unwrap());
    assert!(alive > 0 || kept(&place, &session).await.remove(0).checkpoint.is_some());
    let first = is_put_away(&place, &session).await;
    comes_back(&server.client, &session).await;
    assert_eq!(does(&server.client, &session, "echo two > notes/second; cat notes/second").await, "two");
    let second = is_put_away(&place, &session).await;
    assert_ne!(first.incarnation, second.incarnation);
    assert_eq!(kept(&place, &session).await.len(), 1, "what it was before is no longer there");
    comes_back(&server.client, &session).await;
    assert_eq!(does(&server.client, &session, "cat /workspace/notes/second").await, "two");
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn a_sandbox_that_somebody_works_with_is_not_put_away() {
    let place = place();
    let server = place.serve().await;
    let (busy, idle) = (cloud(&server.client).await, cloud(&server.client).await);
    assert_eq!(does(&server.client, &idle, "echo idle").await, "idle");
    server.client.say(&busy, "X=kept; sleep 8; echo done").await;
    is_put_away(&place, &idle).await;
    server.client.idle(&busy).await;
    assert_eq!(does(&server.client, &busy, "echo $X").await, "kept");
    for session in [busy, idle] {
        server.client.delete(&format!("/v1/sessions/{session}")).await;
    }
}

#[tokio::test]
async fn what_was_put_away_comes_back_under_the_next_server() {
    let place = place();
    let server = place.serve().await;
    let session = cloud(&server.client).await;
    assert_eq!(does(&server.client, &session, LEAVE).await, "left");
    is_put_away(&place, &session).await;
    assert!(server.terminate().await, "{}", place.log());
    let server = place.serve().await;
    comes_back(&server.client, &session).await;
    is_put_away(&place, &session).await;
    server.kill();
    let server = place.serve().await;
    comes_back(&server.client, &session).await;
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn a_sandbox_that_was_left_by_a_server_that_died_is_put_away_by_the_next() {
    let place = Place::new(&[DOES]);
    let server = place.serve().await;
    let session = cloud(&server.client).await;
    assert_eq!(does(&server.client, &session, LEAVE).await, "left");
    server.kill();
    let place = place.with_config(SOON);
    let server = place.serve().await;
    is_put_away(&place, &session).await;
    comes_back(&server.client, &session).await;
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

/// All that is below the data directory and named by the session.
fn traces(place: &Place, session: &str) -> Vec<String> {
    fn find(directory: &Path, session: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_string_lossy().contains(session) {
                found.push(path.display().to_string());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                find(&path, session, found);
            }
        }
    }
    let mut found = Vec::new();
    find(&place.data(), session, &mut found);
    found
}

#[tokio::test]
async fn a_session_that_is_deleted_or_archived_takes_along_what_was_put_away() {
    let place = place();
    let server = place.serve().await;
    let (deleted, archived) = (cloud(&server.client).await, cloud(&server.client).await);
    for session in [&deleted, &archived] {
        assert_eq!(does(&server.client, session, LEAVE).await, "left");
        is_put_away(&place, session).await;
        assert!(!traces(&place, session).is_empty());
    }
    server.client.delete(&format!("/v1/sessions/{deleted}")).await;
    server.client.post(&format!("/v1/sessions/{archived}/archive"), json!({})).await;
    for session in [&deleted, &archived] {
        let look = async || traces(&place, session).is_empty().then_some(());
        eventually("nothing of it is left", look).await;
    }
}

#[tokio::test]
async fn files_are_kept_for_as_long_as_is_configured_and_their_loss_is_told() {
    let place = place().with_config("keep_days = 2\n");
    let server = place.serve().await;
    let (old, young) = (cloud(&server.client).await, cloud(&server.client).await);
    for session in [&old, &young] {
        assert_eq!(does(&server.client, session, LEAVE).await, "left");
        is_put_away(&place, session).await;
    }
    assert!(server.terminate().await, "{}", place.log());
    for (session, days) in [(&old, 3), (&young, 1)] {
        let path = kept(&place, session).await[0].checkpoint.clone().unwrap().path;
        let file = File::options().write(true).open(path).unwrap();
        let written = file.metadata().unwrap().modified().unwrap();
        file.set_modified(written - Duration::from_secs(days * 24 * 60 * 60)).unwrap();
    }
    let server = place.serve().await;
    eventually("the older ones are gone", async || kept(&place, &old).await.is_empty().then_some(())).await;
    comes_back(&server.client, &young).await;
    let told = does(&server.client, &old, "ls /workspace/notes 2> /dev/null || echo nothing").await;
    assert!(told.contains("nothing") && !told.contains(RESTORED), "{told}");
    for session in [old, young] {
        server.client.delete(&format!("/v1/sessions/{session}")).await;
    }
}
