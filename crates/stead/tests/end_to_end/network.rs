//! What sandboxes reach: hosts, through the gateway and whatever becomes of that, and nothing else.

mod attacks;
mod web;

use std::fs;

use rustix::process::{Signal, getsid, kill_process};
use serde_json::{Value, json};

use self::web::{WORDS, Web};
use crate::agent::{self, DOES, does};
use crate::client::{Client, KEY, eventually};
use crate::place::{Place, both};

/// Two names that the operator has given to this machine.
const HOSTS: &str = "[network.hosts]\n\"name.internal\" = \"127.0.0.1\"\n\"other.internal\" = \"127.0.0.1\"\n";

fn place() -> Place {
    Place::new(&[DOES]).with_config(HOSTS)
}

async fn session(client: &Client, networking: Value) -> String {
    agent::session(client, json!({"type": "cloud", "networking": networking})).await
}

async fn unrestricted(client: &Client) -> String {
    session(client, json!({"type": "unrestricted"})).await
}

fn audit(place: &Place) -> Vec<Value> {
    let file = place.data().join("gateway/audit/audit-00000001.jsonl");
    let text = fs::read_to_string(file).unwrap_or_default();
    // The last line may be half written.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn a_command_reaches_a_host_and_that_is_on_record() {
    let (place, web) = (place(), Web::start().await);
    let server = place.serve().await;
    let session = unrestricted(&server.client).await;
    let url = web.url("name.internal");
    assert_eq!(does(&server.client, &session, &format!("curl -sS -m 20 {url}")).await, WORDS);
    let record = audit(&place).into_iter().find(|record| record["host"] == "name.internal").unwrap();
    assert_eq!((&record["verdict"], &record["session"]), (&json!("allow"), &json!(session)));

    let pid = place.gateway().unwrap();
    let told = both(&place.run(&["doctor"]).await);
    let line = told.lines().find(|line| line.starts_with("gateway")).unwrap_or_else(|| panic!("{told}"));
    let expected = format!("runs as process {}, sandboxes served: 1; its audit records", pid.as_raw_nonzero());
    assert!(line.contains(&expected), "{line}");
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn a_limited_environment_refuses_other_hosts_with_the_reason() {
    let (place, web) = (place(), Web::start().await);
    let server = place.serve().await;
    let limited = json!({"type": "limited", "allowed_hosts": ["name.internal"]});
    let session = session(&server.client, limited).await;
    let (allowed, other) = (web.url("name.internal"), web.url("other.internal"));
    assert_eq!(does(&server.client, &session, &format!("curl -sS -m 20 {allowed}")).await, WORDS);
    let told = does(&server.client, &session, &format!("curl -sS -m 20 {other} 2>&1; true")).await;
    assert!(told.contains("Could not resolve host"), "{told}");
    let proxied = format!("curl -sS -m 20 -x http://127.0.0.1:3128 {other} 2>&1; true");
    let told = does(&server.client, &session, &proxied).await;
    assert!(told.contains("other.internal is not among the hosts that this environment allows"), "{told}");
    assert!(told.contains("allowed_hosts"), "{told}");
    assert_eq!(web.heard(), 1);
    for protocol in ["dns", "http"] {
        eventually("the refusal is on record", async || {
            audit(&place).into_iter().find(|record| {
                let is_denied = record["verdict"] == "deny" && record["code"] == "host_not_allowed";
                let is_this = record["host"] == "other.internal" && record["session"] == *session;
                is_denied && is_this && record["protocol"] == protocol
            })
        })
        .await;
    }
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn nothing_of_this_machine_and_its_networks_is_reached_without_the_operators_word() {
    let (place, web) = (place(), Web::start().await);
    let server = place.serve().await;
    let session = unrestricted(&server.client).await;
    let curl = "curl -g -sS -m 20";
    let through = "curl -g -sS -m 20 -x http://127.0.0.1:3128";
    let control = format!("{curl} {}", web.url("name.internal"));
    assert_eq!(does(&server.client, &session, &control).await, WORDS);

    let port = web.port();
    let mut commands: Vec<String> =
        ["169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "192.0.2.1"]
            .iter()
            .map(|address| format!("{curl} http://{address}/latest/"))
            .collect();
    let addresses = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[fd00::1]", "[fe80::1]"];
    commands.extend(addresses.iter().map(|address| format!("{through} http://{address}:{port}/")));
    for command in commands {
        let told = does(&server.client, &session, &format!("{command} 2>&1; true")).await;
        assert!(told.contains("which sandboxes may not reach"), "{command}: {told}");
    }
    // Its own loopback interface, where nothing listens.
    for host in ["127.0.0.1", "localhost"] {
        let told = does(&server.client, &session, &format!("{curl} http://{host}:{port}/ 2>&1; true")).await;
        assert!(!told.contains(WORDS) && told.contains("onnect"), "{host}: {told}");
    }
    assert_eq!(web.heard(), 1, "only the control was heard");
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn an_environment_that_allows_no_host_reaches_none() {
    let (place, web) = (place(), Web::start().await);
    let server = place.serve().await;
    let session = session(&server.client, json!({"type": "limited"})).await;
    let url = web.url("name.internal");
    for command in [
        format!("curl -sS -m 20 {url}"),
        format!("curl -sS -m 20 -x http://127.0.0.1:3128 {url}"),
        format!("curl -sS -m 20 -x socks5h://127.0.0.1:3128 {url}"),
        "curl -sS -m 20 http://169.254.169.254/latest/".to_owned(),
    ] {
        let told = does(&server.client, &session, &format!("{command} 2>&1; true")).await;
        assert!(!told.is_empty() && !told.contains(WORDS), "{command}: {told}");
    }
    assert_eq!(web.heard(), 0);
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn a_gateway_that_is_killed_is_followed_by_another_that_serves_the_same_sandboxes() {
    let (place, web) = (place(), Web::start().await);
    let server = place.serve().await;
    let session = unrestricted(&server.client).await;
    let command = format!("curl -sS -m 20 {}", web.url("name.internal"));
    assert_eq!(does(&server.client, &session, &command).await, WORDS);
    for _ in 0..2 {
        let before = place.gateway().unwrap();
        kill_process(before, Signal::KILL).unwrap();
        assert_eq!(does(&server.client, &session, &command).await, WORDS, "{}", place.log());
        assert_ne!(place.gateway().unwrap(), before);
    }
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn sandboxes_and_gateway_live_on_while_no_server_runs_and_the_next_one_takes_them_up() {
    let (place, web) = (place(), Web::start().await);
    let server = place.serve().await;
    let session = unrestricted(&server.client).await;
    let url = web.url("name.internal");
    let later = format!("X=kept; (sleep 5; curl -sS -m 20 {url}) > /tmp/later 2>&1 & echo begun");
    assert_eq!(does(&server.client, &session, &later).await, "begun");
    let before = place.gateway().unwrap();
    assert!(server.terminate().await, "{}", place.log());
    assert_eq!(web.heard(), 0, "the server took too long to stop");
    eventually("the sandbox reaches its host", async || (web.heard() == 1).then_some(())).await;

    let server = place.serve().await;
    assert_eq!(does(&server.client, &session, "wait; cat /tmp/later; echo $X").await, format!("{WORDS}\nkept"));
    assert_eq!(does(&server.client, &session, &format!("curl -sS -m 20 {url}")).await, WORDS);
    assert_eq!(place.gateway(), Some(before));
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn a_gateway_knows_nothing_of_the_servers_keys_and_ends_with_the_data_directory() {
    let (place, web) = (place(), Web::start().await);
    let server = place.serve().await;
    let session = unrestricted(&server.client).await;
    let command = format!("curl -sS -m 20 {}", web.url("name.internal"));
    assert_eq!(does(&server.client, &session, &command).await, WORDS);
    let pid = place.gateway().unwrap();
    assert_eq!(getsid(Some(pid)).unwrap(), pid, "it leads a session of its own");
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    assert!(!environment.contains(KEY) && environment.contains("STEAD_LOG"), "{environment}");

    drop(server);
    place.end_sandboxes();
    fs::remove_dir_all(place.data()).unwrap();
    eventually("the gateway ends", async || (!place.is_gateway(pid)).then_some(())).await;
}

#[tokio::test]
async fn a_gateway_that_cannot_start_is_told_of_with_the_place_of_its_log() {
    let place = place();
    fs::create_dir_all(place.data()).unwrap();
    // Where it wants a directory.
    fs::write(place.data().join("gateway"), "").unwrap();
    let server = place.serve().await;
    let session = unrestricted(&server.client).await;
    let told = does(&server.client, &session, "true").await;
    let log = place.data().join("gateway/log");
    assert!(told.contains("the gateway cannot be used") && told.contains(log.to_str().unwrap()), "{told}");
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}
