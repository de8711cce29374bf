//! `stead keys`: through the server that has the database for itself, without one, and beside several.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::Client;
use crate::place::{Database, Place, both};

/// What a command of `stead keys` prints that must succeed.
async fn keys(place: &Place, arguments: &[&str]) -> Value {
    let output = place.run(&[&["keys"][..], arguments].concat()).await;
    assert!(output.status.success(), "stead keys {arguments:?}: {}", both(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How a poll of a worker with this key is answered.
async fn poll(client: &Client, environment: &str, key: &str) -> StatusCode {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.get(format!("{}/v1/environments/{environment}/work/poll", client.url)).bearer_auth(key);
    let request = request.header("anthropic-version", "2023-06-01");
    request.header("anthropic-beta", "managed-agents-2026-04-01").send().await.unwrap().status()
}

async fn are_made_and_revoked(place: &Place) {
    let server = place.serve().await;
    let environment = json!({"name": "e", "config": {"type": "self_hosted"}});
    let environment = server.client.post("/v1/environments", environment).await["id"].as_str().unwrap().to_owned();
    let made = keys(place, &["create", "--environment", &environment, "--name", "one"]).await;
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!(poll(&server.client, &environment, key).await, StatusCode::OK);
    keys(place, &["revoke", id]).await;
    assert_eq!(poll(&server.client, &environment, key).await, StatusCode::UNAUTHORIZED);
    let output = place.run(&["keys", "create", "--environment", "env_nowhere"]).await;
    assert!(!output.status.success() && both(&output).contains("env_nowhere"), "{}", both(&output));
    assert!(server.terminate().await);

    let later = keys(place, &["create", "--environment", &environment, "--name", "two"]).await;
    let listed = keys(place, &["list"]).await;
    let told: Vec<_> =
        listed.as_array().unwrap().iter().map(|key| (&key["name"], key["revoked_at"].is_null())).collect();
    assert_eq!(told, [(&json!("two"), true), (&json!("one"), false)]);
    assert!(!listed.to_string().contains("sk-ant"), "a key is told once");
    let server = place.serve().await;
    assert_eq!(poll(&server.client, &environment, later["key"].as_str().unwrap()).await, StatusCode::OK);
    assert_eq!(poll(&server.client, &environment, key).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn keys_of_workers_are_made_and_revoked_with_a_server_and_without() {
    are_made_and_revoked(&Place::new(&[])).await;
}

#[tokio::test]
async fn keys_of_workers_are_made_and_revoked_beside_servers_of_one_database() {
    let Some(database) = Database::postgres() else { return };
    are_made_and_revoked(&Place::on(database, &[])).await;
}
