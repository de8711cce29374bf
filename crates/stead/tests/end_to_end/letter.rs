//! A message that is sent again until it is taken, and must then be there once.

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::client::{Client, PATIENCE, says};

/// How a client says that it sends the same again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// By a key of its own.
    Key,
    /// By counting its attempts, as SDKs do.
    Count,
}

#[derive(Debug, Clone)]
pub(crate) struct Letter {
    session: String,
    pub(crate) text: String,
    way: Way,
    attempts: u32,
}

impl Letter {
    pub(crate) fn new(session: &str, text: String, way: Way) -> Self {
        Self { session: session.to_owned(), text, way, attempts: 0 }
    }

    /// Sends it once. Its event's id, if it was taken; otherwise it must be sent again.
    pub(crate) async fn send(&mut self, client: &Client) -> Option<String> {
        let path = format!("/v1/sessions/{}/events", self.session);
        let mut request = client.request(Method::POST, &path).json(&says(&self.text));
        match self.way {
            Way::Key => {
                let name: String = self.text.chars().take(20).filter(char::is_ascii_graphic).collect();
                request = request.header("idempotency-key", format!("{}.{name}", self.session));
            }
            Way::Count if self.attempts > 0 => {
                request = request.header("x-stainless-retry-count", self.attempts.to_string());
            }
            Way::Count => {}
        }
        self.attempts += 1;
        let response = request.send().await.ok()?;
        let status = response.status();
        // The server may die while it answers.
        let body: Value = response.json().await.ok()?;
        if status == StatusCode::OK {
            return Some(body["data"][0]["id"].as_str().unwrap().to_owned());
        }
        assert!(status.is_server_error() || status == StatusCode::CONFLICT, "{status}: {body}");
        assert_eq!(body["type"], "error", "{body}");
        assert!(!body["error"]["message"].as_str().unwrap().is_empty(), "{body}");
        None
    }

    /// Sends it until it is taken.
    pub(crate) async fn deliver(&mut self, mut client: impl FnMut() -> Client) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(id) = self.send(&client()).await {
                return id;
            }
            assert!(Instant::now() < until, "nobody takes {self:?}");
            sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}
