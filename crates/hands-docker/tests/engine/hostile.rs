//! An engine that fails, streams that break, and containers that are not ours.

use std::fs;

use hands::{Address, Lost, ProvisionError, Sandbox};
use hyper::StatusCode;
use serde_json::json;

use crate::{
    fake::{Engine, HOME, Mischief},
    life::{bash, spec},
};

#[tokio::test]
async fn a_stream_that_breaks_or_lies_costs_a_connection_and_no_call() {
    for mischief in [Mischief::Cut, Mischief::Huge, Mischief::Stray] {
        let engine = Engine::start();
        let hand = engine.docker().provision(&spec("sesn_1"), 1).await.unwrap();
        let file = engine.directory.path().join("counted");
        engine.play(mischief);
        let said = bash(&*hand, "one", &format!("echo x >> {0}; wc -l < {0}", file.display())).await;
        assert_eq!(said, "1", "{mischief:?}");
        assert_eq!(fs::read_to_string(file).unwrap(), "x\n", "{mischief:?}");
    }
}

#[tokio::test]
async fn a_container_of_another_home_is_left_alone() {
    let engine = Engine::start();
    let docker = engine.docker();
    let labels = json!({ "stead.home": "another", "stead.session": "sesn_1", "stead.incarnation": "one" });
    engine.shelter("foreign", &labels);
    engine.shelter("unlabelled", &json!({}));
    engine.shelter("../../secrets", &json!({ "stead.home": HOME, "stead.session": "sesn_2" }));
    let address = Address {
        backend: "docker".into(),
        directory: "docker/sesn_1".into(),
        incarnation: "one".into(),
        home: Some(HOME.into()),
    };
    assert!(docker.kept().await.is_empty());
    assert!(matches!(docker.adopt(&address, 1).await, Err(Lost::Gone(_))));
    // Nor by saying that it is of there.
    let there = Address { home: Some("another".into()), ..address };
    assert!(matches!(docker.adopt(&there, 1).await, Err(Lost::Gone(_))));

    let hand = docker.provision(&spec("sesn_1"), 1).await.unwrap();
    assert_eq!(bash(&*hand, "one", "echo hi").await, "hi");
    docker.destroy("sesn_1", None).await.unwrap();
    docker.destroy("sesn_2", None).await.unwrap();
    assert_eq!(engine.ids(), ["../../secrets", "foreign", "unlabelled"]);
}

#[tokio::test]
async fn a_failing_engine_leaves_no_container_and_says_why() {
    let engine = Engine::start();
    let docker = engine.docker();
    for place in ["/archive", "/start", "/exec"] {
        engine.refuse(place, StatusCode::INTERNAL_SERVER_ERROR, "out of order");
        match docker.provision(&spec("sesn_1"), 1).await {
            Err(ProvisionError::Failed(why)) => assert!(why.contains("out of order"), "{place}: {why}"),
            Err(error) => panic!("{place}: {error}"),
            Ok(_) => panic!("{place}: a sandbox was made"),
        }
        assert!(engine.ids().is_empty(), "{place}");
    }
    engine.refuse("/create", StatusCode::NOT_FOUND, "No such image: image");
    match docker.provision(&spec("sesn_1"), 1).await {
        Err(ProvisionError::Unsupported { step, reason }) => {
            assert_eq!(step, "image");
            assert!(reason.contains("No such image"), "{reason}");
        }
        _ => panic!("a sandbox without an image"),
    }
}

#[tokio::test]
async fn storage_without_quotas_is_found_out_once_and_said() {
    let engine = Engine::start();
    let docker = engine.docker();
    let message = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option";
    engine.refuse("/create", StatusCode::INTERNAL_SERVER_ERROR, message);
    docker.provision(&spec("sesn_1"), 1).await.unwrap();
    assert!(engine.wanted()["HostConfig"].get("StorageOpt").is_none());
    let report = docker.doctor().await.to_string();
    assert!(report.contains("can fill its disk"), "{report}");
}

#[tokio::test]
async fn an_engine_out_of_reach_says_nothing_of_the_sandbox() {
    let engine = Engine::start();
    let docker = engine.docker();
    let hand = docker.provision(&spec("sesn_1"), 1).await.unwrap();
    let address = hand.address().clone();
    drop(hand);
    engine.refuse("/containers/json", StatusCode::SERVICE_UNAVAILABLE, "starting");
    assert!(matches!(docker.adopt(&address, 2).await, Err(Lost::Refused(why)) if why.contains("starting")));
    fs::rename(engine.directory.path().join("engine.sock"), engine.directory.path().join("away")).unwrap();
    assert!(matches!(docker.adopt(&address, 2).await, Err(Lost::Refused(_))));
    fs::rename(engine.directory.path().join("away"), engine.directory.path().join("engine.sock")).unwrap();
    assert!(docker.adopt(&address, 2).await.is_ok());
}
