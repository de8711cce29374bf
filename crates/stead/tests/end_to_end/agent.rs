//! An agent that does what it is told, in its shell.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, PATIENCE, of, text};

/// Its script, for a place.
pub(crate) const DOES: (&str, &str) = (
    "does",
    r#"
turns:
  - call: [{ tool: bash, input: { command: "{{last_text}}" } }]
  - say: "Done."
then: restart
"#,
);

/// How long a command may take whose sandbox has to be made first, with packages that have to be installed before.
const LONG: Duration = PATIENCE.saturating_mul(5);

/// A new environment.
pub(crate) async fn environment(client: &Client, config: Value) -> String {
    let environment = client.post("/v1/environments", json!({"name": "e", "config": config})).await;
    environment["id"].as_str().unwrap().to_owned()
}

/// A session of the agent in this environment.
pub(crate) async fn session_in(client: &Client, environment: &str) -> String {
    let agent = json!({"name": "a", "model": "script/does", "tools": [{"type": "agent_toolset_20260401"}]});
    let agent = client.post("/v1/agents", agent).await["id"].clone();
    let session = json!({"agent": agent, "environment_id": environment});
    client.post("/v1/sessions", session).await["id"].as_str().unwrap().to_owned()
}

/// The same in a new environment.
pub(crate) async fn session(client: &Client, config: Value) -> String {
    let environment = environment(client, config).await;
    session_in(client, &environment).await
}

/// The result of a command, as the agent has it.
pub(crate) async fn result(client: &Client, session: &str, command: &str) -> Value {
    client.say(session, command).await;
    last_result(client, session).await
}

/// That of the command that was given last, once the session rests.
pub(crate) async fn last_result(client: &Client, session: &str) -> Value {
    let events = client.idle_within(session, LONG).await;
    let last = of(&events, "agent.tool_result").last().copied().cloned();
    last.unwrap_or_else(|| panic!("there is no result in {events:#?}"))
}

/// What the agent sees of a command, whether it fails or not.
pub(crate) async fn does(client: &Client, session: &str, command: &str) -> String {
    text(&result(client, session, command).await).trim().to_owned()
}

/// What it sees of one that must not succeed.
pub(crate) async fn fails(client: &Client, session: &str, command: &str) -> String {
    let result = result(client, session, command).await;
    assert_eq!(result["is_error"], true, "{command}: {result}");
    text(&result).trim().to_owned()
}
