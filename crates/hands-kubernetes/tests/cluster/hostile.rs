//! A cluster that fails, streams that break, networks that are open, and pods that are not ours.

use std::fs;

use hands::{Address, Lost, ProvisionError, Sandbox};
use hyper::StatusCode;
use serde_json::json;

use crate::{
    fake::{Cluster, HOME, Mischief},
    life::{bash, spec},
};

#[tokio::test]
async fn a_stream_that_breaks_or_lies_costs_a_connection_and_no_call() {
    for mischief in [Mischief::Cut, Mischief::Huge, Mischief::Stray] {
        let cluster = Cluster::start().await;
        let hand = cluster.kubernetes().provision(&spec("sesn_1"), 1).await.unwrap();
        let file = cluster.directory.path().join("counted");
        cluster.play(mischief);
        let said = bash(&*hand, "one", &format!("echo x >> {0}; wc -l < {0}", file.display())).await;
        assert_eq!(said, "1", "{mischief:?}");
        assert_eq!(fs::read_to_string(file).unwrap(), "x\n", "{mischief:?}");
    }
}

#[tokio::test]
async fn a_pod_of_another_home_is_left_alone() {
    let cluster = Cluster::start().await;
    let kubernetes = cluster.kubernetes();
    let labels = json!({ "stead.home": "another", "stead.session": "sesn_1", "stead.incarnation": "one" });
    cluster.shelter("stead-one", &labels);
    cluster.shelter("unlabelled", &json!({}));
    let address = Address {
        backend: "kubernetes".into(),
        directory: "kubernetes/sesn_1".into(),
        incarnation: "one".into(),
        home: Some(HOME.into()),
    };
    assert!(kubernetes.kept().await.is_empty());
    assert!(matches!(kubernetes.adopt(&address, 1).await, Err(Lost::Gone(_))));
    // Nor by saying that it is of there.
    let there = Address { home: Some("another".into()), ..address };
    assert!(matches!(kubernetes.adopt(&there, 1).await, Err(Lost::Gone(_))));

    let hand = kubernetes.provision(&spec("sesn_1"), 1).await.unwrap();
    assert_eq!(bash(&*hand, "one", "echo hi").await, "hi");
    kubernetes.destroy("sesn_1", None).await.unwrap();
    assert_eq!(cluster.names(), ["stead-one", "unlabelled"]);
}

#[tokio::test]
async fn pods_that_reach_the_clusters_network_are_not_offered() {
    let cluster = Cluster::start().await;
    cluster.open();
    match cluster.kubernetes().prepare().await {
        Err(ProvisionError::Unsupported { step, reason }) => {
            assert_eq!(step, "network");
            assert!(reason.contains("NetworkPolicy"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(cluster.names().is_empty());
}

#[tokio::test]
async fn a_failing_cluster_leaves_no_pod_and_says_why() {
    let cluster = Cluster::start().await;
    let kubernetes = cluster.kubernetes();
    for place in ["/pods", "/exec"] {
        cluster.refuse(place, StatusCode::FORBIDDEN, "not allowed");
        match kubernetes.provision(&spec("sesn_1"), 1).await {
            Err(ProvisionError::Failed(why)) => assert!(why.contains("not allowed"), "{place}: {why}"),
            Err(error) => panic!("{place}: {error}"),
            Ok(_) => panic!("{place}: a sandbox was made"),
        }
        assert!(cluster.names().is_empty(), "{place}");
    }
    cluster.hold_up("ErrImagePull");
    match kubernetes.provision(&spec("sesn_1"), 1).await {
        Err(ProvisionError::Failed(why)) => assert!(why.contains("ErrImagePull: so it is"), "{why}"),
        _ => panic!("a sandbox without an image"),
    }
    assert!(cluster.names().is_empty());
}

#[tokio::test]
async fn a_cluster_out_of_reach_says_nothing_of_the_sandbox() {
    let cluster = Cluster::start().await;
    let kubernetes = cluster.kubernetes();
    let hand = kubernetes.provision(&spec("sesn_1"), 1).await.unwrap();
    let address = hand.address().clone();
    drop(hand);
    for status in [StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE] {
        cluster.refuse("/exec", status, "later");
        assert!(matches!(kubernetes.adopt(&address, 2).await, Err(Lost::Refused(why)) if why.contains("later")));
    }
    cluster.hold_up("ContainerCreating");
    assert!(matches!(kubernetes.adopt(&address, 2).await, Err(Lost::Refused(_))));
}
