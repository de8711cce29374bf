//! Sessions of self-hosted environments: what workers are told and say outlives any server, and any worker.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::agent::{DOES, environment, session_in};
use crate::client::{Client, eventually, of};
use crate::place::{Database, Place};
use crate::server::Server;

/// One worker, and the server that it speaks to just now.
struct Worker {
    key: String,
    queue: String,
    url: String,
}

impl Worker {
    async fn asks(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        let request = http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        let request = request.header("anthropic-version", "2023-06-01");
        let request = request.header("anthropic-beta", "managed-agents-2026-04-01");
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Waits until there is something to do.
    async fn polls(&self) -> Value {
        let path = format!("{}/poll?block_ms=500", self.queue);
        eventually("there is work", async || {
            let (status, work) = self.asks(Method::GET, &path, None).await;
            assert_eq!(status, StatusCode::OK, "{work}");
            (!work.is_null()).then_some(work)
        })
        .await
    }

    async fn posts(&self, work: &Value, what: &str) -> (StatusCode, Value) {
        let path = format!("{}/{}/{what}", self.queue, work["id"].as_str().unwrap());
        self.asks(Method::POST, &path, None).await
    }

    async fn says(&self, session: &str, call: &Value, text: &str) -> (StatusCode, Value) {
        let content = json!([{"type": "text", "text": text}]);
        let events = json!({"events": [{"type": "user.tool_result", "tool_use_id": call, "content": content}]});
        self.asks(Method::POST, &format!("/v1/sessions/{session}/events"), Some(events)).await
    }
}

/// A session that waits for a call, and a worker for it.
async fn waits(client: &Client) -> (String, Worker) {
    let environment = environment(client, json!({"type": "self_hosted"})).await;
    let made = client.post("/v1/stead/keys", json!({"environment_id": environment})).await;
    let session = session_in(client, &environment).await;
    client.say(&session, "echo hello").await;
    let key = made["key"].as_str().unwrap().to_owned();
    let queue = format!("/v1/environments/{environment}/work");
    (session, Worker { key, queue, url: client.url.clone() })
}

/// The call that waits, once it is there.
async fn call(client: &Client, session: &str) -> Value {
    let events = client.events_of(session, "session.status_idle", 1).await;
    of(&events, "agent.tool_use")[0]["id"].clone()
}

/// Ends the server as a crash would, and has the worker speak to the next one.
async fn crash(place: &Place, server: Server, worker: &mut Worker) -> Server {
    server.kill();
    let next = place.serve().await;
    worker.url.clone_from(&next.client.url);
    next
}

async fn has_one_result(client: &Client, session: &str) {
    let ended = |events: &[Value]| {
        of(events, "session.status_idle").iter().any(|idle| idle["stop_reason"]["type"] == "end_turn")
    };
    let events = eventually("the turn ends", async || {
        let events = client.events(session).await;
        ended(&events).then_some(events)
    })
    .await;
    assert_eq!(of(&events, "user.tool_result").len(), 1, "{events:#?}");
    assert_eq!(of(&events, "agent.message").len(), 1, "{events:#?}");
}

async fn survives_a_crash_after_each_step(place: &Place) {
    let server = place.serve().await;
    let (session, mut worker) = waits(&server.client).await;
    let server = crash(place, server, &mut worker).await;
    let call = call(&server.client, &session).await;
    let work = worker.polls().await;
    let server = crash(place, server, &mut worker).await;
    assert_eq!(worker.posts(&work, "ack").await.1["state"], "starting");
    let server = crash(place, server, &mut worker).await;
    assert_eq!(worker.posts(&work, "ack").await.0, StatusCode::OK, "twice is as good as once");
    let (_, beat) = worker.posts(&work, "heartbeat?expected_last_heartbeat=NO_HEARTBEAT").await;
    assert_eq!((&beat["lease_extended"], &beat["state"]), (&json!(true), &json!("active")));
    let server = crash(place, server, &mut worker).await;
    let last = beat["last_heartbeat"].as_str().unwrap();
    let (status, beat) = worker.posts(&work, &format!("heartbeat?expected_last_heartbeat={last}")).await;
    assert_eq!(status, StatusCode::OK, "{beat}");
    assert_eq!(worker.says(&session, &call, "hello").await.0, StatusCode::OK);
    let server = crash(place, server, &mut worker).await;
    assert_eq!(worker.says(&session, &call, "hello").await.0, StatusCode::BAD_REQUEST, "it has its result");
    has_one_result(&server.client, &session).await;
    assert_eq!(worker.posts(&work, "stop").await.1["state"], "stopping");
    let server = crash(place, server, &mut worker).await;
    let (_, beat) = worker.posts(&work, "heartbeat").await;
    assert_eq!(beat["state"], "stopping", "the worker hears of it from the next server");

    // What comes later is for the next item, whoever has had the first.
    let stop = format!("{}/{}/stop", worker.queue, work["id"].as_str().unwrap());
    let (_, stopped) = worker.asks(Method::POST, &stop, Some(json!({"force": true}))).await;
    assert_eq!(stopped["state"], "stopped");
    server.client.say(&session, "echo again").await;
    let next = worker.polls().await;
    assert_eq!(next["data"]["id"], session.as_str());
    assert_ne!(next["id"], work["id"]);
}

#[tokio::test]
async fn what_workers_are_told_and_say_outlives_the_server() {
    survives_a_crash_after_each_step(&Place::new(&[DOES])).await;
}

#[tokio::test]
async fn what_workers_are_told_and_say_outlives_the_server_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    survives_a_crash_after_each_step(&Place::on(database, &[DOES])).await;
}

#[tokio::test]
async fn what_a_dead_worker_had_is_for_the_next_one_and_the_call_has_one_result() {
    let place = Place::new(&[DOES]);
    let server = place.serve().await;
    let (session, first) = waits(&server.client).await;
    let call = call(&server.client, &session).await;
    let second = Worker { key: first.key.clone(), queue: first.queue.clone(), url: first.url.clone() };
    let work = first.polls().await;
    first.posts(&work, "ack").await;
    let (_, beat) = first.posts(&work, "heartbeat?expected_last_heartbeat=NO_HEARTBEAT&desired_ttl_seconds=1").await;
    assert_eq!(beat["ttl_seconds"], 1);
    // It says nothing more.
    assert_eq!(second.polls().await["id"], work["id"], "once the lease is over");
    second.posts(&work, "ack").await;
    let (status, _) = second.posts(&work, "heartbeat?expected_last_heartbeat=NO_HEARTBEAT").await;
    assert_eq!(status, StatusCode::OK);
    let last = beat["last_heartbeat"].as_str().unwrap();
    let (status, lost) = first.posts(&work, &format!("heartbeat?expected_last_heartbeat={last}")).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{lost}");
    assert_eq!(second.says(&session, &call, "hello").await.0, StatusCode::OK);
    assert_eq!(first.says(&session, &call, "hello, too late").await.0, StatusCode::BAD_REQUEST);
    has_one_result(&server.client, &session).await;
}
