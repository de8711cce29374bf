//! Stored secrets: sealed where nobody can read them, through every end of server and gateway, and under which key.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use reqwest::StatusCode;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::client::{Client, eventually};
use crate::place::{Database, Place, both, shared};

/// Nothing else in any file of an installation reads like it.
const CANARY: &str = "canary-4f1d9c72";

fn bearer(secret: &str) -> Value {
    let (kind, url) = ("static_bearer", "https://mcp.example.com/mcp");
    json!({"auth": {"type": kind, "mcp_server_url": url, "token": secret}})
}

fn oauth() -> Value {
    json!({"auth": {
        "type": "mcp_oauth", "mcp_server_url": "https://oauth.example.com/mcp", "access_token": format!("{CANARY}-access"),
        "refresh": {
            "client_id": "c", "token_endpoint": "https://auth.example.com/token", "refresh_token": format!("{CANARY}-refresh"),
            "token_endpoint_auth": {"type": "client_secret_basic", "client_secret": format!("{CANARY}-client")},
        },
    }})
}

fn variable() -> Value {
    json!({"auth": {
        "type": "environment_variable", "secret_name": "API_KEY", "secret_value": format!("{CANARY}-value"),
        "networking": {"type": "unrestricted"},
    }})
}

async fn vault(client: &Client) -> String {
    client.post("/v1/vaults", json!({"display_name": "v"})).await["id"].as_str().unwrap().to_owned()
}

async fn credential(client: &Client, vault: &str, body: Value) -> String {
    let made = client.post(&format!("/v1/vaults/{vault}/credentials"), body).await;
    made["id"].as_str().unwrap().to_owned()
}

/// What a command of `stead vault` prints, and whether it ended well.
async fn keep(place: &Place, command: &str) -> (Value, bool) {
    let output = place.run(&["vault", command]).await;
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{command}: {}", both(&output)));
    (told, output.status.success())
}

/// The files below a directory that hold the bytes.
fn holding(directory: &Path, bytes: &[u8], found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => holding(&path, bytes, found),
            kind if kind.is_file() => {
                let held = fs::read(&path).unwrap_or_default();
                if held.windows(bytes.len()).any(|window| window == bytes) {
                    found.push(path.display().to_string());
                }
            }
            _ => {}
        }
    }
}

fn put(file: &Path, text: &str) {
    let _ = fs::remove_file(file);
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

async fn canaries_are_nowhere(place: &Place) {
    let server = place.serve_with(&[("STEAD_LOG", "trace".into())]).await;
    let client = &server.client;
    let vault = vault(client).await;
    let mut told = String::new();
    for body in [bearer(&format!("{CANARY}-token")), oauth(), variable()] {
        let made = client.post(&format!("/v1/vaults/{vault}/credentials"), body).await;
        told.push_str(&made.to_string());
    }
    let update = json!({"auth": {"type": "static_bearer", "token": format!("{CANARY}-second")}});
    let listed = client.get(&format!("/v1/vaults/{vault}/credentials")).await;
    let first = listed["data"].as_array().unwrap().iter().find(|one| one["auth"]["type"] == "static_bearer").unwrap();
    let path = format!("/v1/vaults/{vault}/credentials/{}", first["id"].as_str().unwrap());
    told.push_str(&client.post(&path, update).await.to_string());
    // What is refused is not to be found anywhere either.
    let refused = client.try_post(&path, bearer(&format!("{CANARY}-refused"))).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    told.push_str(&refused.text().await.unwrap());
    told.push_str(&listed.to_string());
    assert!(!told.contains(CANARY), "{told}");
    assert!(server.terminate().await);
    let mut found = Vec::new();
    // Database, its log of writes, blobs, and what server and gateway have said at their most talkative.
    holding(place.path(), CANARY.as_bytes(), &mut found);
    assert_eq!(found, [""; 0]);
}

#[tokio::test]
async fn a_secret_is_in_no_file_and_no_answer() {
    canaries_are_nowhere(&Place::new(&[])).await;
}

#[tokio::test]
async fn a_secret_is_in_no_dump_of_postgresql() {
    let Some(cluster) = shared() else { return };
    let (name, database) = Database::on(cluster);
    canaries_are_nowhere(&Place::on(database, &[])).await;
    let dump = cluster.dump(&name).unwrap();
    assert!(dump.contains("vault_credential") && !dump.contains(CANARY));
}

#[tokio::test]
async fn secrets_are_sealed_again_once_a_killed_gateway_is_replaced() {
    let place = Place::new(&[]);
    let server = place.serve().await;
    let vault = vault(&server.client).await;
    let id = credential(&server.client, &vault, bearer("one")).await;
    kill_process(place.gateway().unwrap(), Signal::KILL).unwrap();
    let path = format!("/v1/vaults/{vault}/credentials/{id}");
    let update = json!({"auth": {"type": "static_bearer", "token": "two"}});
    // It is started for the request, or the request is told to come again.
    eventually("it is sealed", async || {
        let answered = server.client.try_post(&path, update.clone()).await.unwrap();
        let status = answered.status();
        assert!(status.is_success() || status == StatusCode::INTERNAL_SERVER_ERROR, "{status}");
        status.is_success().then_some(())
    })
    .await;
    let (told, is_well) = keep(&place, "check").await;
    assert!(is_well && told["secrets"] == 1, "{told}");
}

async fn keys_are_rotated(place: &Place) {
    let server = place.serve().await;
    let vault = vault(&server.client).await;
    credential(&server.client, &vault, oauth()).await;
    let (rotated, _) = keep(place, "rotate").await;
    let newest = rotated["key"].as_str().unwrap();
    credential(&server.client, &vault, variable()).await;
    let (told, is_well) = keep(place, "check").await;
    assert!(is_well && told["secrets"] == 4 && told["keys"][newest] == 1, "{told}");
    // Without a server it is done as well.
    assert!(server.terminate().await);
    let (told, is_well) = keep(place, "rewrap").await;
    assert!(is_well && told["rewrapped"] == 3 && told["keys"] == json!({newest: 4}), "{told}");
    let (again, _) = keep(place, "rewrap").await;
    assert_eq!(again["rewrapped"], 0);
    // Nothing needs the first key any more.
    let file = place.data().join("vault.key");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.lines().last().unwrap()).unwrap();
    let (told, is_well) = keep(place, "check").await;
    assert!(is_well && told["secrets"] == 4, "{told}");
    let server = place.serve().await;
    credential(&server.client, &vault, bearer("three")).await;
}

#[tokio::test]
async fn keys_are_rotated_with_a_server_and_without() {
    keys_are_rotated(&Place::new(&[])).await;
}

#[tokio::test]
async fn keys_are_rotated_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    keys_are_rotated(&Place::on(database, &[])).await;
}

#[tokio::test]
async fn without_its_key_nothing_is_sealed_with_another() {
    let place = Place::new(&[]);
    let server = place.serve().await;
    let vault = vault(&server.client).await;
    let id = credential(&server.client, &vault, bearer("one")).await;
    let file = place.data().join("vault.key");
    let key = fs::read_to_string(&file).unwrap();
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for content in [None, Some(other), Some("not a key")] {
        match content {
            None => fs::remove_file(&file).unwrap(),
            Some(text) => put(&file, text),
        }
        let path = format!("/v1/vaults/{vault}/credentials");
        let refused = server.client.try_post(&path, variable()).await.unwrap();
        assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR, "{content:?}");
        let refused = refused.text().await.unwrap();
        assert!(refused.contains("stead vault check") && !refused.contains(CANARY), "{refused}");
        let now = fs::read_to_string(&file).ok();
        assert_eq!(now.as_deref(), content, "nothing took the place of the key");
    }
    put(&file, other);
    let (told, is_well) = keep(&place, "check").await;
    let faults = told["faults"].as_array().unwrap();
    assert!(!is_well && faults[0]["credential_id"] == json!(id) && faults[0]["field"] == "token", "{told}");
    // Put back, it is as if nothing had been.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let told = both(&place.run(&["vault", "check"]).await);
    assert!(told.contains("chmod 600"), "{told}");
    put(&file, &key);
    assert!(keep(&place, "check").await.1);
    credential(&server.client, &vault, variable()).await;
}

#[tokio::test]
async fn two_nodes_need_one_key() {
    let Some(database) = Database::postgres() else { return };
    let (one, other) = (Place::on(database.clone(), &[]), Place::on(database, &[]));
    let (first, second) = (one.serve().await, other.serve().await);
    let vault = vault(&first.client).await;
    credential(&first.client, &vault, bearer("one")).await;
    let path = format!("/v1/vaults/{vault}/credentials");
    let refused = second.client.try_post(&path, variable()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!other.data().join("vault.key").exists(), "a second key was made");
    fs::copy(one.data().join("vault.key"), other.data().join("vault.key")).unwrap();
    credential(&second.client, &vault, variable()).await;
    let (told, is_well) = keep(&other, "check").await;
    assert!(is_well && told["secrets"] == 2, "{told}");
}

#[tokio::test]
async fn of_requests_at_once_one_has_the_place() {
    let place = Place::new(&[]);
    let server = place.serve().await;
    let vault = vault(&server.client).await;
    let path = format!("/v1/vaults/{vault}/credentials");
    let sent = (0..8).map(|index| {
        let (client, path) = (server.client.clone(), path.clone());
        async move { client.try_post(&path, bearer(&format!("{index}"))).await.unwrap().status() }
    });
    let statuses = futures::future::join_all(sent).await;
    let count = |status| statuses.iter().filter(|got| **got == status).count();
    assert_eq!((count(StatusCode::OK), count(StatusCode::CONFLICT)), (1, 7), "{statuses:?}");
}
