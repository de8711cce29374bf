//! A server of its own for each test, and a client that says what it wants in one line.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const KEY: &str = "test-key";

/// How long anything may take. Long, because the machine may be busy; what is waited for is always an event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A data directory with scripts, on which servers come and go.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new(scripts: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("scripts");
        std::fs::create_dir(&folder).unwrap();
        for (name, text) in scripts {
            std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
        }
        Self { directory }
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) async fn serve(&self) -> Server {
        self.serve_with(&[]).await
    }

    /// Starts a server, with more environment variables, and waits until it answers.
    pub(crate) async fn serve_with(&self, variables: &[(&str, String)]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
        command.arg("serve").env_clear().current_dir(self.path()).stdout(Stdio::null());
        command.stderr(std::fs::File::options().create(true).append(true).open(self.path().join("log")).unwrap());
        for name in ["PATH", "HOME", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        command.env("STEAD_LISTEN", format!("127.0.0.1:{port}")).env("STEAD_DATA_DIR", self.data());
        command
            .env("STEAD_API_KEY", KEY)
            .env("STEAD_SCRIPTS_DIR", self.path().join("scripts"))
            .env("STEAD_LOG", "info");
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let server = Server { child: command.spawn().unwrap(), client: Client::new(port) };
        for _ in 0..600 {
            if server.client.http.get(format!("{}/health", server.client.url)).send().await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the server does not answer; its log:\n{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }
}

pub(crate) struct Server {
    child: Child,
    pub(crate) client: Client,
}

impl Server {
    /// Without a word, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// In good order; returns whether it ended with success.
    pub(crate) async fn terminate(mut self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        for _ in 0..2_000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the server does not stop");
    }

    pub(crate) fn is_dead(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
}

impl Client {
    fn new(port: u16) -> Self {
        // A connection for each request: servers die and close in these tests, and a kept one would only be found broken.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
        Self { http, url: format!("http://127.0.0.1:{port}") }
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

    pub(crate) async fn delete(&self, path: &str) -> Value {
        ok(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    /// A session of an agent with the toolset.
    pub(crate) async fn session(&self, model: &str) -> String {
        let agent = json!({"name": "a", "model": model, "tools": [{"type": "agent_toolset_20260401"}]});
        let agent = self.post("/v1/agents", agent).await["id"].clone();
        let environment = self.post("/v1/environments", json!({"name": "e"})).await["id"].clone();
        let session = self.post("/v1/sessions", json!({"agent": agent, "environment_id": environment})).await;
        session["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn events(&self, session: &str) -> Vec<Value> {
        self.get(&format!("/v1/sessions/{session}/events")).await["data"].as_array().unwrap().clone()
    }

    pub(crate) async fn status(&self, session: &str) -> String {
        self.get(&format!("/v1/sessions/{session}")).await["status"].as_str().unwrap().to_owned()
    }

    /// Waits until the session is idle again.
    pub(crate) async fn idle(&self, session: &str) -> Vec<Value> {
        for _ in 0..6_000 {
            if self.status(session).await == "idle" {
                return self.events(session).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the session does not come to rest: {:#?}", self.events(session).await);
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
