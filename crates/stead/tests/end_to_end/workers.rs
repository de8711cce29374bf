//! `stead worker`: sessions of self-hosted environments, served from this machine by workers that come and go.

use std::fs::File;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::agent::{DOES, environment, session_in};
use crate::client::{Client, eventually, of};
use crate::place::{Database, Place, refused};
use crate::server::Server;

/// Impatient ones: what is tested is what comes after a while.
const BRIEF: &str = "[worker]\nidle_seconds = 1\n";

/// Of one that is to be replaced soon.
const LEASE: &str = "lease_seconds = 5\n";

/// An environment, its key, and the place that its workers start from.
struct Scene {
    place: Place,
    server: Server,
    environment: String,
    key: Value,
}

impl Scene {
    async fn set(database: Database) -> Self {
        Self::in_place(Place::on(database, &[DOES]).with_config(BRIEF)).await
    }

    async fn in_place(place: Place) -> Self {
        let server = place.serve().await;
        let environment = environment(&server.client, json!({"type": "self_hosted"})).await;
        let key = server.client.post("/v1/stead/keys", json!({"environment_id": environment})).await;
        Self { place, server, environment, key }
    }

    fn command(&self) -> std::process::Command {
        let mut command = self.place.command(&["worker"]);
        command.env("ANTHROPIC_ENVIRONMENT_ID", &self.environment);
        command.env("ANTHROPIC_ENVIRONMENT_KEY", self.key["key"].as_str().unwrap());
        command.env("ANTHROPIC_BASE_URL", &self.server.client.url);
        command
    }

    fn worker(&self) -> Server {
        let log = File::options().create(true).append(true).open(self.place.path().join("worker.log")).unwrap();
        Server::of(self.command().stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    async fn session(&self) -> String {
        session_in(&self.server.client, &self.environment).await
    }

    /// Whether the session's sandbox has been asked to do something.
    fn has_begun(&self, session: &str) -> bool {
        let journal = self.place.data().join("worker/hands").join(session).join("journal");
        std::fs::metadata(journal).is_ok_and(|journal| journal.len() > 0)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("worker.log")).unwrap_or_default()
    }
}

fn turns(events: &[Value]) -> usize {
    of(events, "session.status_idle").iter().filter(|idle| idle["stop_reason"]["type"] == "end_turn").count()
}

/// The results so far, once that many turns are over.
async fn results(client: &Client, session: &str, count: usize) -> Vec<Value> {
    let events = eventually("the turn is over", async || {
        let events = client.events(session).await;
        (turns(&events) >= count).then_some(events)
    })
    .await;
    of(&events, "user.tool_result").into_iter().cloned().collect()
}

/// All that a result says.
fn words(result: &Value) -> String {
    let blocks = result["content"].as_array().unwrap().iter();
    blocks.map(|block| block["text"].as_str().unwrap().trim()).collect::<Vec<_>>().join("\n")
}

/// What the agent sees of a command.
async fn does(client: &Client, session: &str, command: &str) -> String {
    let before = turns(&client.events(session).await);
    client.say(session, command).await;
    let results = results(client, session, before + 1).await;
    words(results.last().unwrap())
}

async fn serves(scene: Scene) {
    let worker = scene.worker();
    let (client, session) = (&scene.server.client, scene.session().await);
    assert_eq!(does(client, &session, "echo kept > /workspace/file; echo done").await, "done");
    assert_eq!(does(client, &session, "cat /workspace/file").await, "kept");
    eventually("its sandbox is put away", async || scene.log().contains("was put away").then_some(())).await;
    let answer = does(client, &session, "cat /workspace/file").await;
    assert!(answer.starts_with("kept") && answer.contains("was put away"), "{answer}");
    assert_eq!(does(client, &session, "cat /workspace/file").await, "kept");
    assert!(!scene.log().contains("was refused"), "what has a result is not run again: {}", scene.log());
    // Without a word of a network in its configuration there is none.
    assert_ne!(does(client, &session, "getent hosts localhost.example; echo $?").await, "0");
    assert!(worker.terminate().await, "{}", scene.log());
}

#[tokio::test]
async fn a_worker_runs_what_agents_ask_for_and_keeps_their_files() {
    serves(Scene::set(Database::Sqlite).await).await;
}

#[tokio::test]
async fn a_worker_runs_what_agents_ask_for_on_postgresql_too() {
    let Some(database) = Database::postgres() else { return };
    serves(Scene::set(database).await).await;
}

#[tokio::test]
async fn a_call_whose_worker_dies_runs_once_and_ends_under_the_next() {
    let scene = Scene::in_place(Place::new(&[DOES]).with_config(BRIEF).with_config(LEASE)).await;
    let (client, session) = (&scene.server.client, scene.session().await);
    let worker = scene.worker();
    client.say(&session, "echo run >> /workspace/runs; sleep 3; cat /workspace/runs").await;
    eventually("the call runs", async || scene.has_begun(&session).then_some(())).await;
    worker.kill();
    let _next = scene.worker();
    let results = results(client, &session, 1).await;
    assert_eq!(results.iter().map(words).collect::<Vec<_>>(), ["run"]);
    assert_eq!(does(client, &session, "cat /workspace/runs").await, "run");
}

#[tokio::test]
async fn a_worker_that_is_told_to_end_says_what_became_of_its_call() {
    let scene = Scene::set(Database::Sqlite).await;
    let (client, session) = (&scene.server.client, scene.session().await);
    let worker = scene.worker();
    client.say(&session, "sleep 600").await;
    eventually("the call runs", async || scene.has_begun(&session).then_some(())).await;
    assert!(worker.terminate().await, "{}", scene.log());
    let results = results(client, &session, 1).await;
    assert_eq!((results.len(), &results[0]["is_error"]), (1, &json!(true)), "{results:#?}");
    let _next = scene.worker();
    assert_eq!(does(client, &session, "echo on").await.lines().next(), Some("on"));
}

#[tokio::test]
async fn an_interrupt_ends_the_call_that_a_worker_runs() {
    let scene = Scene::set(Database::Sqlite).await;
    let (client, session) = (&scene.server.client, scene.session().await);
    let _worker = scene.worker();
    client.say(&session, "sleep 600").await;
    eventually("the call runs", async || scene.has_begun(&session).then_some(())).await;
    let interrupt = json!({"events": [{"type": "user.interrupt"}]});
    client.post(&format!("/v1/sessions/{session}/events"), interrupt).await;
    results(client, &session, 1).await;
    // The agent's script goes on where it was interrupted.
    client.say(&session, "Never mind.").await;
    results(client, &session, 2).await;
    // Were the call still running, this would wait for it.
    let answer = does(client, &session, "echo on").await;
    assert!(answer.starts_with("on"), "{answer}: {}", scene.log());
}

#[tokio::test]
async fn a_key_that_is_none_or_was_revoked_ends_a_worker_with_the_reason() {
    let scene = Scene::set(Database::Sqlite).await;
    let mut command = scene.command();
    command.env("ANTHROPIC_ENVIRONMENT_KEY", "sk-ant-oat01-none");
    let told = refused(command).await;
    assert!(told.contains("is this a key of the environment") && told.contains("401"), "{told}");

    let session = scene.session().await;
    let mut worker = scene.worker();
    assert_eq!(does(&scene.server.client, &session, "echo served").await, "served");
    let id = scene.key["id"].as_str().unwrap();
    scene.server.client.post(&format!("/v1/stead/keys/{id}/revoke"), json!({})).await;
    eventually("the worker ends", async || worker.is_dead().then_some(())).await;
    assert!(scene.log().contains("revoked"), "{}", scene.log());
}
