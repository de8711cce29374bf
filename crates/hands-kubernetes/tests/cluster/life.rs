//! From nothing to an answer, over a restart of the server, and to nothing again.

use std::fs;

use hands::{Content, Execute, Found, Hand, Lost, Sandbox, Spec};
use serde_json::json;

use crate::fake::Cluster;

pub(crate) fn spec(name: &str) -> Spec {
    Spec { name: name.into(), ..Spec::default() }
}

pub(crate) async fn bash(hand: &dyn Hand, id: &str, command: &str) -> String {
    let input = json!({ "command": command }).as_object().cloned().unwrap();
    let outcome = hand.execute(Execute { call: id.into(), tool: "bash".into(), input }).await.unwrap();
    match outcome.content.as_slice() {
        [Content::Text { text }] => text.trim().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sandbox_is_made_adopted_and_destroyed() {
    let cluster = Cluster::start().await;
    let kubernetes = cluster.kubernetes();
    let hand = kubernetes.provision(&spec("sesn_1"), 1).await.unwrap();
    assert_eq!(bash(&*hand, "one", "NAME=value; echo hi").await, "hi");
    let address = hand.address().clone();
    assert_eq!((address.backend.as_str(), address.home.as_deref()), ("kubernetes", Some("home")));
    drop(hand);

    // A later server on the same data directory.
    let later = cluster.kubernetes();
    let hand = later.adopt(&address, 2).await.unwrap();
    assert_eq!(bash(&*hand, "two", "echo $NAME").await, "value");
    // Longer than a piece of anything on the way.
    assert_eq!(bash(&*hand, "three", "head -c 90000 /dev/zero | tr '\\0' x").await, "x".repeat(90_000));
    let found = hand.look(vec!["one".into(), "four".into()]).await.unwrap();
    assert!(matches!(found.as_slice(), [Found::Finished { .. }, Found::NeverReceived]));
    // The earlier one is no longer this session's brain.
    assert!(matches!(kubernetes.adopt(&address, 1).await, Err(Lost::Fenced(2))));

    let kept = later.kept().await;
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].name.as_str(), kept[0].incarnation.as_ref()), ("sesn_1", Some(&address.incarnation)));
    later.destroy("sesn_1", Some("another")).await.unwrap();
    assert_eq!(cluster.names().len(), 1);
    later.destroy("sesn_1", Some(&address.incarnation)).await.unwrap();
    later.destroy("sesn_1", None).await.unwrap();
    assert!(cluster.names().is_empty() && later.kept().await.is_empty());
    assert!(matches!(later.adopt(&address, 3).await, Err(Lost::Gone(_))));
}

#[tokio::test]
async fn a_pod_that_has_ended_is_gone_and_replaced() {
    let cluster = Cluster::start().await;
    let kubernetes = cluster.kubernetes();
    let hand = kubernetes.provision(&spec("sesn_1"), 1).await.unwrap();
    let address = hand.address().clone();
    drop(hand);
    cluster.end().await;
    assert!(matches!(kubernetes.adopt(&address, 2).await, Err(Lost::Gone(_))));
    let hand = kubernetes.provision(&spec("sesn_1"), 2).await.unwrap();
    assert_ne!(hand.address().incarnation, address.incarnation);
    assert_eq!(cluster.names().len(), 1, "the earlier pod is gone");
}

#[tokio::test]
async fn input_files_come_and_go() {
    let cluster = Cluster::start().await;
    let kubernetes = cluster.kubernetes();
    let from = cluster.directory.path().join("from");
    // Longer than a piece of anything on the way.
    let long = "first".repeat(50_000);
    fs::write(&from, &long).unwrap();
    let spec = Spec { uploads: vec![(from.clone(), "/deep/first.txt".into())], ..spec("sesn_1") };
    let hand = kubernetes.provision(&spec, 1).await.unwrap();
    let inside = |name: &str| cluster.path("mnt/session/uploads").join(name);
    assert_eq!(fs::read_to_string(inside("deep/first.txt")).unwrap(), long);

    fs::write(&from, "").unwrap();
    kubernetes.upload(hand.address(), "/deep/second.txt", Some(&from)).await.unwrap();
    assert_eq!(fs::read_to_string(inside("deep/second.txt")).unwrap(), "");
    kubernetes.upload(hand.address(), "/deep/first.txt", None).await.unwrap();
    kubernetes.upload(hand.address(), "/deep/first.txt", None).await.unwrap();
    assert!(!inside("deep/first.txt").exists() && inside("deep/second.txt").exists());
    assert!(kubernetes.upload(hand.address(), "../handd", None).await.is_err());

    let mut gone = hand.address().clone();
    gone.incarnation = "another".into();
    kubernetes.upload(&gone, "/x", Some(&from)).await.unwrap();
    assert!(!inside("x").exists());
}

#[tokio::test]
async fn a_trial_leaves_nothing_behind() {
    let cluster = Cluster::start().await;
    let kubernetes = cluster.kubernetes();
    kubernetes.prepare().await.unwrap();
    assert!(cluster.names().is_empty());
    let report = kubernetes.doctor().await.to_string();
    assert!(report.contains("a sandbox was made and answered"), "{report}");
}
