//! Starting, stopping, and what stays.

use std::time::Duration;

use crate::client::{of, says, text};
use crate::place::Place;

const KEEPS: &str = r#"
turns:
  - call: [{ tool: bash, input: { command: "cd /tmp; X=kept; echo one > here" } }]
  - say: "Noted."
  - call: [{ tool: bash, input: { command: "pwd; echo $X; cat here" } }]
  - say: "{{last_result}}"
"#;

const SLOW: &str = r#"
turns:
  - call: [{ tool: bash, input: { command: "sleep 2; echo slept" } }]
  - say: "{{last_result}}"
"#;

#[tokio::test]
async fn a_stopped_server_leaves_everything_to_the_next_one_shells_included() {
    let place = Place::new(&[("keeps", KEEPS)]);
    let server = place.serve().await;
    let session = server.client.session("script/keeps").await;
    server.client.post(&format!("/v1/sessions/{session}/events"), says("Remember.")).await;
    let before = server.client.idle(&session).await;
    assert!(server.terminate().await, "{}", place.log());
    let server = place.serve().await;
    assert_eq!(server.client.events(&session).await, before);
    server.client.post(&format!("/v1/sessions/{session}/events"), says("What was it?")).await;
    let events = server.client.idle(&session).await;
    assert_eq!(text(of(&events, "agent.message").last().unwrap()).trim(), "/tmp\nkept\none");
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn a_command_goes_on_while_no_server_runs_and_its_result_is_used() {
    let place = Place::new(&[("slow", SLOW)]);
    let server = place.serve().await;
    let session = server.client.session("script/slow").await;
    server.client.post(&format!("/v1/sessions/{session}/events"), says("Sleep.")).await;
    while of(&server.client.events(&session).await, "agent.tool_use").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Until the sandbox has the call, a crash would only make it run later.
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.kill();
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    let server = place.serve().await;
    let events = server.client.idle(&session).await;
    assert_eq!(text(of(&events, "agent.message").last().unwrap()).trim(), "slept");
    assert_eq!(of(&events, "agent.tool_result").len(), 1);
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_with_the_way_out() {
    let place = Place::new(&[]);
    let server = place.serve().await;
    let told = place.refuses(&[]).await;
    let directory = place.data().display().to_string();
    for part in ["another Stead owns the data directory", &directory, "STEAD_DATA_DIR"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(server.client.is_answered().await, "the first one is not disturbed");
}

#[test]
fn an_unknown_key_of_the_configuration_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stead.toml");
    std::fs::write(&file, "lisen = \"127.0.0.1:1\"\n").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stead"));
    let output = command.args(["serve", "--config"]).arg(&file).current_dir(&directory).output().unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("lisen"), "{told}");
}

#[test]
fn the_published_openapi_document_is_the_one_that_is_served() {
    let published = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json")).unwrap();
    let served = std::process::Command::new(env!("CARGO_BIN_EXE_stead")).arg("openapi").output().unwrap();
    assert_eq!(
        published,
        String::from_utf8(served.stdout).unwrap(),
        "run `cargo xtask openapi`, and look at the difference"
    );
}
