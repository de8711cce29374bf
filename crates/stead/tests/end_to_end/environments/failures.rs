//! What cannot be installed, and what can be only later.

use serde_json::{Value, json};

use super::index::{HOST, HOSTS, Index};
use super::shelves::{self, settings, wheel_path};
use super::{delete, have, have_pip, layers, logs, place, with};
use crate::agent::{DOES, does, environment, fails, session, session_in};
use crate::place::Place;

#[tokio::test]
async fn a_package_that_does_not_exist_is_named_to_the_session_which_goes_on_without_it() {
    if !have_pip() {
        return;
    }
    let (place, index) = (place(), Index::start().await);
    shelves::pip(&index);
    let server = place.serve_with(&settings(&index)).await;
    let wanted = with(json!({"pip": ["stead-says", "stead-says-nothing"]}));
    let environment = environment(&server.client, wanted.clone()).await;
    let first = session_in(&server.client, &environment).await;
    let told = fails(&server.client, &first, "echo hello").await;
    assert!(told.contains("pip: `stead-says-nothing` cannot be installed: there is no such package"), "{told}");
    assert!(layers(&place).is_empty());

    // Whoever asks next need not wait for the same answer.
    let heard = index.heard_at_all();
    let second = session(&server.client, wanted).await;
    assert_eq!(fails(&server.client, &second, "echo hello").await, told);
    assert_eq!(index.heard_at_all(), heard);

    // The same session, once its environment asks for nothing that is not there.
    let mended = json!({"config": with(json!({"pip": ["stead-says"]}))});
    server.client.post(&format!("/v1/environments/{environment}"), mended).await;
    assert_eq!(does(&server.client, &first, "stead-says").await, "said by pip, version 3.0");
    for session in [first, second] {
        delete(&server.client, &session).await;
    }
}

#[tokio::test]
async fn every_manager_names_the_package_that_it_does_not_find() {
    let (place, index) = (place(), Index::start().await);
    shelves::pip(&index);
    shelves::npm(&index, "stead-says", None);
    shelves::go(&index);
    let server = place.serve_with(&settings(&index)).await;
    let cases: [(&[&str], Value, &str); 4] = [
        (&["python3", "pip3"], json!({"pip": ["stead-says==9.0"]}), "`stead-says==9.0`"),
        (&["npm"], json!({"npm": ["stead-says-nothing"]}), "there is no `stead-says-nothing`"),
        (&["npm"], json!({"npm": ["stead-says@9.0.0"]}), "`stead-says@9.0.0`"),
        (&["go"], json!({"go": ["example.test/nothing@v1.0.0"]}), "example.test/nothing@v1.0.0"),
    ];
    for (programs, packages, part) in cases {
        if !have(programs) {
            continue;
        }
        let session = session(&server.client, with(packages)).await;
        let told = fails(&server.client, &session, "echo hello").await;
        assert!(told.contains(part), "{part} is not in {told}");
        delete(&server.client, &session).await;
    }
}

/// pip itself asks six times for each thing that it wants.
const ATTEMPTS_OF_PIP: usize = 6;

#[tokio::test]
async fn a_build_that_fails_for_want_of_the_network_is_tried_again() {
    if !have_pip() {
        return;
    }
    let (place, index) = (place(), Index::start().await);
    shelves::pip(&index);
    let server = place.serve_with(&settings(&index)).await;
    // More than pip has patience for.
    index.refuse(ATTEMPTS_OF_PIP + 1);
    let session = session(&server.client, with(json!({"pip": ["stead-says"]}))).await;
    assert_eq!(does(&server.client, &session, "stead-says").await, "said by pip, version 3.0");
    let said: String = logs(&place).into_iter().map(|(_, said)| said).collect();
    assert!(said.contains("--- pip (attempt 2)"), "{said}");
    assert_eq!(index.heard(&wheel_path("3.0")), 1);
    delete(&server.client, &session).await;
}

#[tokio::test]
async fn an_index_that_does_not_answer_is_not_taken_for_one_without_the_package() {
    if !have_pip() {
        return;
    }
    let place = Place::new(&[DOES]).with_config(HOSTS);
    // Nobody listens there any more.
    let variables = settings(&Index::start().await);
    let server = place.serve_with(&variables).await;
    let session = session(&server.client, with(json!({"pip": ["stead-says"]}))).await;
    let told = fails(&server.client, &session, "echo hello").await;
    assert!(told.contains("the index could not be reached"), "{told}");
    assert!(!told.contains("no such package") && told.contains("stead-says"), "{told}");
    let said: String = logs(&place).into_iter().map(|(_, said)| said).collect();
    assert!(said.contains("--- pip (attempt 3)") && said.contains(HOST), "{said}");
    delete(&server.client, &session).await;
}
