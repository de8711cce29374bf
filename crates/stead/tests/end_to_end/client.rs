//! A client that says what it wants in one line.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::stream::Stream;

pub(crate) const KEY: &str = "test-key";

/// How long anything may take. Long, because the machine may be busy; what is waited for is always an event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at what comes by itself.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) url: String,
}

impl Client {
    pub(crate) fn new(url: String) -> Self {
        // A connection for each request: servers die and close in these tests, and a kept one would be found broken.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
        Self { http, url }
    }

    pub(crate) async fn is_answered(&self) -> bool {
        self.http.get(format!("{}/health", self.url)).send().await.is_ok()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url)).header("x-api-key", KEY);
        request.header("anthropic-version", "2023-06-01").header("anthropic-beta", "managed-agents-2026-04-01")
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        ok(self.request(Method::POST, path).json(&body).send().await.unwrap()).await
    }

    /// For requests that may find a server dead.
    pub(crate) async fn try_post(&self, path: &str, body: Value) -> Option<Response> {
        self.request(Method::POST, path).json(&body).send().await.ok()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        ok(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// For servers that are dead, or whose database is.
    pub(crate) async fn try_get(&self, path: &str) -> Option<Value> {
        let response = self.request(Method::GET, path).send().await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        response.json().await.ok()
    }

    pub(crate) async fn delete(&self, path: &str) -> Value {
        ok(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    /// A session of an agent with the toolset.
    pub(crate) async fn session(&self, model: &str) -> String {
        self.session_with(model, json!([])).await
    }

    /// The same with files.
    pub(crate) async fn session_with(&self, model: &str, resources: Value) -> String {
        let agent = json!({"name": "a", "model": model, "tools": [{"type": "agent_toolset_20260401"}]});
        let agent = self.post("/v1/agents", agent).await["id"].clone();
        let environment = self.post("/v1/environments", json!({"name": "e"})).await["id"].clone();
        let session = json!({"agent": agent, "environment_id": environment, "resources": resources});
        self.post("/v1/sessions", session).await["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn say(&self, session: &str, text: &str) -> Value {
        self.post(&format!("/v1/sessions/{session}/events"), says(text)).await
    }

    /// All of them, however many pages that takes.
    pub(crate) async fn events(&self, session: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut query = String::new();
        loop {
            let page = self.get(&format!("/v1/sessions/{session}/events{query}")).await;
            events.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_page"].as_str() {
                Some(next) => query = format!("?page={next}"),
                None => return events,
            }
        }
    }

    /// Waits until the session has so many events of a type.
    pub(crate) async fn events_of(&self, session: &str, kind: &str, count: usize) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let events = self.events(session).await;
            if of(&events, kind).len() >= count {
                return events;
            }
            assert!(Instant::now() < until, "there are no {count} of {kind} in {events:#?}");
            sleep(PAUSE).await;
        }
    }

    pub(crate) async fn status(&self, session: &str) -> String {
        self.get(&format!("/v1/sessions/{session}")).await["status"].as_str().unwrap().to_owned()
    }

    /// Waits until the session is idle again.
    pub(crate) async fn idle(&self, session: &str) -> Vec<Value> {
        self.idle_within(session, PATIENCE).await
    }

    /// The same for what takes long everywhere.
    pub(crate) async fn idle_within(&self, session: &str, patience: Duration) -> Vec<Value> {
        let until = Instant::now() + patience;
        while self.status(session).await != "idle" {
            assert!(Instant::now() < until, "it does not come to rest: {:#?}", self.events(session).await);
            sleep(PAUSE).await;
        }
        self.events(session).await
    }

    /// The same while the server may be unable to answer.
    pub(crate) async fn idle_at_last(&self, session: &str) -> Vec<Value> {
        let path = format!("/v1/sessions/{session}");
        eventually("the session is idle", async || {
            self.try_get(&path).await.filter(|session| session["status"] == "idle")
        })
        .await;
        self.events(session).await
    }

    /// The session's stream from here on, or from behind the event at `position`. `None` if nobody answers.
    pub(crate) async fn try_stream(&self, session: &str, query: &str, position: Option<u64>) -> Option<Stream> {
        let path = format!("/v1/sessions/{session}/events/stream{query}");
        let mut request = self.request(Method::GET, &path).timeout(PATIENCE * 10);
        if let Some(position) = position {
            request = request.header("last-event-id", position.to_string());
        }
        let response = request.send().await.ok()?;
        (response.status() == StatusCode::OK).then(|| Stream::new(response))
    }

    pub(crate) async fn stream(&self, session: &str, query: &str) -> Stream {
        self.try_stream(session, query, None).await.unwrap()
    }
}

/// Looks until there is something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain: {what}");
        sleep(PAUSE).await;
    }
}

pub(crate) fn says(text: &str) -> Value {
    json!({"events": [{"type": "user.message", "content": [{"type": "text", "text": text}]}]})
}

/// The text of a result or a message.
pub(crate) fn text(event: &Value) -> String {
    event["content"].as_array().unwrap().iter().filter_map(|block| block["text"].as_str()).collect()
}

pub(crate) fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

async fn ok(response: Response) -> Value {
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}
