//! From nothing to an answer, over a restart of the server, and to nothing again.

use std::fs;

use hands::{Content, Execute, Found, Hand, Lost, Sandbox, Spec};
use serde_json::json;

use crate::fake::Engine;

pub(crate) fn spec(name: &str) -> Spec {
    Spec { name: name.into(), ..Spec::default() }
}

pub(crate) fn call(id: &str, command: &str) -> Execute {
    let input = json!({ "command": command }).as_object().cloned().unwrap();
    Execute { call: id.into(), tool: "bash".into(), input }
}

pub(crate) async fn bash(hand: &dyn Hand, id: &str, command: &str) -> String {
    let outcome = hand.execute(call(id, command)).await.unwrap();
    match outcome.content.as_slice() {
        [Content::Text { text }] => text.trim().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sandbox_is_made_adopted_and_destroyed() {
    let engine = Engine::start();
    let docker = engine.docker();
    let hand = docker.provision(&spec("sesn_1"), 1).await.unwrap();
    assert_eq!(bash(&*hand, "one", "NAME=value; echo hi").await, "hi");
    let address = hand.address().clone();
    assert_eq!((address.backend.as_str(), address.home.as_deref()), ("docker", Some("home")));
    drop(hand);

    // A later server on the same data directory.
    let later = engine.docker();
    let hand = later.adopt(&address, 2).await.unwrap();
    assert_eq!(bash(&*hand, "two", "echo $NAME").await, "value");
    let found = hand.look(vec!["one".into(), "three".into()]).await.unwrap();
    assert!(matches!(found.as_slice(), [Found::Finished { .. }, Found::NeverReceived]));
    // The earlier one is no longer this session's brain.
    assert!(matches!(docker.adopt(&address, 1).await, Err(Lost::Fenced(2))));

    let kept = later.kept().await;
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].name.as_str(), kept[0].incarnation.as_ref()), ("sesn_1", Some(&address.incarnation)));
    later.destroy("sesn_1", Some("another")).await.unwrap();
    assert_eq!(engine.ids().len(), 1);
    later.destroy("sesn_1", Some(&address.incarnation)).await.unwrap();
    later.destroy("sesn_1", None).await.unwrap();
    assert!(engine.ids().is_empty() && later.kept().await.is_empty());
    assert!(matches!(later.adopt(&address, 3).await, Err(Lost::Gone(_))));
}

#[tokio::test]
async fn the_next_sandbox_of_a_session_knows_what_the_last_was_asked_to_do() {
    let engine = Engine::start();
    let docker = engine.docker();
    let hand = docker.provision(&spec("sesn_1"), 1).await.unwrap();
    let file = engine.directory.path().join("counted");
    let count = format!("echo x >> {0}; wc -l < {0}", file.display());
    assert_eq!(bash(&*hand, "one", &count).await, "1");
    let address = hand.address().clone();
    drop(hand);
    engine.end().await;
    assert!(matches!(docker.adopt(&address, 2).await, Err(Lost::Gone(_))));

    let hand = docker.provision(&spec("sesn_1"), 2).await.unwrap();
    assert_ne!(hand.address().incarnation, address.incarnation);
    assert_eq!(bash(&*hand, "one", &count).await, "1");
    assert_eq!(fs::read_to_string(file).unwrap(), "x\n");
    assert_eq!(engine.ids().len(), 1, "the earlier container is gone");
}

#[tokio::test]
async fn input_files_come_and_go() {
    let engine = Engine::start();
    let docker = engine.docker();
    let from = engine.directory.path().join("from");
    fs::write(&from, "first").unwrap();
    let spec = Spec { uploads: vec![(from.clone(), "/deep/first.txt".into())], ..spec("sesn_1") };
    let hand = docker.provision(&spec, 1).await.unwrap();
    let inside = |name: &str| engine.path("mnt/session/uploads").join(name);
    assert_eq!(fs::read_to_string(inside("deep/first.txt")).unwrap(), "first");

    fs::write(&from, "second").unwrap();
    docker.upload(hand.address(), "/deep/second.txt", Some(&from)).await.unwrap();
    assert_eq!(fs::read_to_string(inside("deep/second.txt")).unwrap(), "second");
    docker.upload(hand.address(), "/deep/first.txt", None).await.unwrap();
    docker.upload(hand.address(), "/deep/first.txt", None).await.unwrap();
    assert!(!inside("deep/first.txt").exists() && inside("deep/second.txt").exists());
    assert!(docker.upload(hand.address(), "../handd", None).await.is_err());

    let mut gone = hand.address().clone();
    gone.incarnation = "another".into();
    docker.upload(&gone, "/x", Some(&from)).await.unwrap();
    assert!(!inside("x").exists());
}

#[tokio::test]
async fn a_trial_leaves_nothing_behind() {
    let engine = Engine::start();
    let docker = engine.docker();
    docker.prepare().await.unwrap();
    assert!(engine.ids().is_empty());
    let report = docker.doctor().await.to_string();
    assert!(report.contains("a sandbox was made and answered"), "{report}");
}
