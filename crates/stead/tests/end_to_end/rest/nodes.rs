//! What one node has put away, another brings back: from the shelf that both reach.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::{FIND, FOUND, LEAVE, RESTORED, comes_back, is_put_away, kept};
use crate::agent::{DOES, does, last_result, session};
use crate::client::{eventually, text};
use crate::pair::Pair;

/// Two nodes, and a shelf that both have mounted.
fn pair() -> Option<(Pair, TempDir)> {
    let shelf = tempfile::tempdir().unwrap();
    let url = format!("file://{}", shelf.path().display());
    let config = format!("lease_ms = 2000\ngrace_ms = 1000\n[environments]\nidle_seconds = 1\nshelf = \"{url}\"\n");
    Some((Pair::new(&[DOES], &config)?, shelf))
}

/// The files on the shelf that are whole: what is still being uploaded has a `#` in its name.
fn on(shelf: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(shelf).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(on(&entry.path()));
        } else if !entry.file_name().to_string_lossy().contains('#') {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn what_a_lost_node_has_put_away_comes_back_on_another() {
    let Some((pair, shelf)) = pair() else { return };
    let mut servers = pair.serve().await;
    let session = session(&servers[0].client, json!({"type": "cloud"})).await;
    assert_eq!(does(&servers[0].client, &session, LEAVE).await, "left");
    let home = pair.home(&session).await;
    is_put_away(&pair.places[home], &session).await;
    let put =
        eventually("it is on the shelf", async || on(shelf.path()).into_iter().find(|file| file.contains(&session)))
            .await;
    // The machine is gone, with all that was on it.
    let away = pair.places[home].path().join("away");
    servers.remove(home).kill();
    fs::rename(pair.places[home].data(), &away).unwrap();
    let other = servers[0].client.clone();
    comes_back(&other, &session).await;
    eventually("the shelf is cleared of it", async || (!on(shelf.path()).contains(&put)).then_some(())).await;

    // It comes back, and what it still has is of no use any more.
    fs::rename(&away, pair.places[home].data()).unwrap();
    servers.push(pair.places[home].serve().await);
    eventually("the old files are removed", async || kept(&pair.places[home], &session).await.is_empty().then_some(()))
        .await;
    // It is on the other node now, which puts it away in its turn.
    is_put_away(&pair.places[1 - home], &session).await;
    comes_back(&other, &session).await;
    other.delete(&format!("/v1/sessions/{session}")).await;
    eventually("nothing is on the shelf", async || on(shelf.path()).is_empty().then_some(())).await;
    pair.close(servers).await;
}

#[tokio::test]
async fn a_session_deleted_on_one_node_takes_along_what_the_other_has_put_away() {
    let Some((pair, shelf)) = pair() else { return };
    let servers = pair.serve().await;
    let session = session(&servers[0].client, json!({"type": "cloud"})).await;
    assert_eq!(does(&servers[0].client, &session, LEAVE).await, "left");
    let home = pair.home(&session).await;
    is_put_away(&pair.places[home], &session).await;
    eventually("it is on the shelf", async || (on(shelf.path()).len() == 1).then_some(())).await;
    servers[1 - home].client.delete(&format!("/v1/sessions/{session}")).await;
    eventually("the files are removed there", async || {
        kept(&pair.places[home], &session).await.is_empty().then_some(())
    })
    .await;
    eventually("and from the shelf", async || on(shelf.path()).is_empty().then_some(())).await;
    pair.close(servers).await;
}

/// Turns until the node that did not put the sandbox away has worked on the session. Either may take it up.
const TURNS: usize = 8;

#[tokio::test]
async fn without_a_shelf_another_node_has_the_files_from_the_one_that_put_them_away() {
    let Some(pair) = Pair::new(&[DOES], "[environments]\nidle_seconds = 1\n") else { return };
    let servers = pair.serve().await;
    let session = session(&servers[0].client, json!({"type": "cloud"})).await;
    assert_eq!(does(&servers[0].client, &session, LEAVE).await, "left");
    let home = pair.home(&session).await;
    let client = &servers[1 - home].client;
    for turn in 1.. {
        is_put_away(&pair.places[home], &session).await;
        client.say(&session, &format!("{FIND}; sleep 1")).await;
        let brain = pair.brain(&session).await;
        let told = text(&last_result(client, &session).await);
        assert!(told.trim().starts_with(FOUND) && told.contains(RESTORED), "turn {turn}: {told}");
        if brain != home {
            break;
        }
        assert!(turn < TURNS, "the other node never takes the session up");
    }
    assert!(pair.places[1 - home].has_hand(&session));
    let look = async || kept(&pair.places[home], &session).await.is_empty().then_some(());
    eventually("the old files are removed", look).await;
    pair.close(servers).await;
}
