//! The public API as a worker uses it.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use reqwest::header::{AUTHORIZATION, HeaderValue, InvalidHeaderValue};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wire::sse::{Decoder, Frame};

use crate::work::{Heartbeat, Work};

/// No event is larger: a result may carry 20 MiB of media.
const MAX_EVENT: usize = 64 << 20;

/// For an answer; and between two pieces of a stream, in which servers say every so often that they are there.
const PATIENCE: Duration = Duration::from_secs(120);

/// Milliseconds that a server may wait for work before it says that there is none.
const BLOCK: u32 = 999;

/// Events of one page.
const PAGE: u32 = 100;

/// Of history, only what tells which calls wait: a page of results could be hundreds of megabytes.
const TELLING: [&str; 12] = [
    "agent.tool_use",
    "agent.tool_result",
    "user.tool_result",
    "user.tool_confirmation",
    "user.interrupt",
    "user.message",
    "session.status_running",
    "session.status_idle",
    "session.status_rescheduled",
    "session.status_terminated",
    "session.deleted",
    "session.thread_status_terminated",
];

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the server refused ({}): {message}", .status.as_u16())]
    Refused { status: StatusCode, message: String },
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    #[error("the server says what cannot be understood: {0}")]
    Confused(String),
}

impl Error {
    /// Whether the same request would be refused again.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                let may_pass = matches!(status.as_u16(), 408 | 409 | 429);
                status.is_client_error() && !may_pass
            }
            Self::Unreachable(_) | Self::Confused(_) => false,
        }
    }

    pub(crate) fn has_status(&self, wanted: u16) -> bool {
        matches!(self, Self::Refused { status, .. } if status.as_u16() == wanted)
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        // The outermost says only that something failed.
        let mut words = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            words = format!("{words}: {cause}");
            source = cause.source();
        }
        Self::Unreachable(words)
    }
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("the key has characters that no key has")]
    Key(#[from] InvalidHeaderValue),
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

/// One server, and a credential for it.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    credential: HeaderValue,
}

impl Client {
    pub fn new(url: &str, key: &str) -> Result<Self, Unusable> {
        // A credential follows nobody elsewhere.
        let http = reqwest::Client::builder().redirect(Policy::none()).tcp_nodelay(true).read_timeout(PATIENCE);
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { http: http.build()?, url, credential: bearer(key)? })
    }

    /// The same server, with another credential.
    pub(crate) fn with(&self, token: &str) -> Result<Self, Unusable> {
        Ok(Self { credential: bearer(token)?, ..self.clone() })
    }

    /// The next item, if there is one within a second.
    pub(crate) async fn poll(&self, environment: &str, worker: &str) -> Result<Option<Work>, Error> {
        let path = format!("/v1/environments/{}/work/poll?block_ms={BLOCK}", plain(environment)?);
        let answer = self.send(self.get(&path).header("anthropic-worker-id", worker)).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        read(answer).await
    }

    pub(crate) async fn ack(&self, work: &Work) -> Result<(), Error> {
        self.send(self.post(&format!("{}/ack", of(work)?)).json(&json!({}))).await.map(drop)
    }

    pub(crate) async fn beat(&self, work: &Work, expected: &str, ttl: Duration) -> Result<Heartbeat, Error> {
        let request = self.post(&format!("{}/heartbeat", of(work)?));
        let request = request
            .query(&[("expected_last_heartbeat", expected), ("desired_ttl_seconds", &ttl.as_secs().to_string())]);
        read(self.send(request.json(&json!({}))).await?).await
    }

    pub(crate) async fn stop(&self, work: &Work) -> Result<(), Error> {
        self.send(self.post(&format!("{}/stop", of(work)?)).json(&json!({"force": true}))).await.map(drop)
    }

    /// Whether the session has ended for good.
    pub(crate) async fn has_ended(&self, session: &str) -> Result<bool, Error> {
        let session: Value = read(self.send(self.get(&format!("/v1/sessions/{}", plain(session)?))).await?).await?;
        Ok(session["status"] == "terminated" || !session["archived_at"].is_null())
    }

    /// A page of the session's history, oldest first, and where the next one begins.
    pub(crate) async fn history(
        &self,
        session: &str,
        page: Option<&str>,
    ) -> Result<(Vec<Value>, Option<String>), Error> {
        let limit = PAGE.to_string();
        let mut query = vec![("limit", limit.as_str()), ("order", "asc")];
        query.extend(page.map(|page| ("page", page)));
        query.extend(TELLING.iter().map(|kind| ("types[]", *kind)));
        let request = self.get(&format!("/v1/sessions/{}/events", plain(session)?)).query(&query);
        let mut answer: Value = read(self.send(request).await?).await?;
        let next = answer["next_page"].as_str().map(str::to_owned);
        match answer["data"].take() {
            Value::Array(events) => Ok((events, next)),
            _ => Err(Error::Confused("a page of events has none".into())),
        }
    }

    pub(crate) async fn stream(&self, session: &str) -> Result<Events, Error> {
        let request = self.get(&format!("/v1/sessions/{}/events/stream", plain(session)?));
        let bytes = self.send(request).await?.bytes_stream();
        Ok(Events { bytes: bytes.boxed(), decoder: Decoder::new(MAX_EVENT), ready: Vec::new() })
    }

    pub(crate) async fn say(&self, session: &str, event: &Value) -> Result<(), Error> {
        let request = self.post(&format!("/v1/sessions/{}/events", plain(session)?));
        self.send(request.json(&json!({"events": [event]}))).await.map(drop)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let request = request.header(AUTHORIZATION, self.credential.clone());
        let request = request.header("anthropic-version", "2023-06-01");
        let response = request.header("anthropic-beta", "managed-agents-2026-04-01").send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.text().await.unwrap_or_default();
        let message = serde_json::from_str::<Value>(&body)
            .ok()
            .and_then(|body| body["error"]["message"].as_str().map(str::to_owned))
            .unwrap_or_else(|| body.chars().take(200).collect());
        Err(Error::Refused { status, message })
    }
}

fn bearer(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A server's id as a part of a path, which it must not lead out of.
fn plain(id: &str) -> Result<&str, Error> {
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    is_plain.then_some(id).ok_or_else(|| Error::Confused(format!("{id:?} is no id")))
}

fn of(work: &Work) -> Result<String, Error> {
    Ok(format!("/v1/environments/{}/work/{}", plain(&work.environment_id)?, plain(&work.id)?))
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Error> {
    let body = response.bytes().await?;
    serde_json::from_slice(&body).map_err(|error| Error::Confused(error.to_string()))
}

/// What happens in a session from now on.
pub(crate) struct Events {
    bytes: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    decoder: Decoder,
    /// Decoded, latest first.
    ready: Vec<Frame>,
}

impl Events {
    /// None at the end, which is the connection's, not the session's.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Error> {
        let confused = |error: &dyn std::fmt::Display| Error::Confused(error.to_string());
        loop {
            while let Some(frame) = self.ready.pop() {
                if frame.event != "ping" {
                    return serde_json::from_str(&frame.data).map(Some).map_err(|error| confused(&error));
                }
            }
            let Some(chunk) = self.bytes.next().await else { return Ok(None) };
            self.decoder.push(&chunk?, &mut self.ready).map_err(|error| confused(&error))?;
            self.ready.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_for_good_is_told_from_what_may_pass() {
        let refused = |status| Error::Refused { status: StatusCode::from_u16(status).unwrap(), message: String::new() };
        for status in [400, 401, 403, 404, 412] {
            assert!(refused(status).is_final(), "{status}");
        }
        for status in [408, 409, 429, 500, 503, 529] {
            assert!(!refused(status).is_final(), "{status}");
        }
        assert!(!Error::Unreachable(String::new()).is_final());
    }

    #[test]
    fn an_id_leads_nowhere_else() {
        assert!(plain("sesn_01AbC-9").is_ok());
        for id in ["", "..", "a/b", "a?b", "a#b", "a%2fb", "ü"] {
            assert!(plain(id).is_err(), "{id}");
        }
    }

    #[test]
    fn a_key_that_is_no_header_is_refused_and_never_printed() {
        assert!(Client::new("http://127.0.0.1:1/", "two\nlines").is_err());
        assert!(!format!("{:?}", bearer("secret").unwrap()).contains("secret"));
    }
}
