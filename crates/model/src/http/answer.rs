//! One answer, from the request to its last event: bytes in, frames through the provider's decoder, events out.

use std::{collections::VecDeque, error::Error as _, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use reqwest::{
    RequestBuilder, Response,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use wire::sse::{self, Frame};

use super::{Key, envelope::Envelope, refusal, too_long};
use crate::{Error, Event, text::bounded};

/// No model's answer comes near this; a server that sends more is broken or hostile.
const ANSWER_LIMIT: usize = 64 << 20;
/// How much of a refusal is read.
const REFUSAL_LIMIT: usize = 64 << 10;
/// Characters of a provider's message that are kept: it ends up in the log and on screens.
const MESSAGE_LIMIT: usize = 2_000;

/// A provider's half of reading an answer. Pure: frames in, events out.
pub(crate) trait Decode: Send + 'static {
    /// Takes the next frame. After an [`Event::Finished`] or an error it is not called again.
    fn push(&mut self, frame: &Frame) -> Result<Vec<Event>, Error>;

    /// The body ended, or broke off for `cause`, before [`Event::Finished`]. A provider whose protocol lets it know that
    /// nothing is missing finishes here all the same; the others return `cause`.
    fn end(&mut self, cause: Error) -> Result<Vec<Event>, Error>;
}

/// A frame's JSON.
pub(crate) fn read<T: DeserializeOwned>(data: &str) -> Result<T, Error> {
    serde_json::from_str(data).map_err(|error| Error::Malformed(format!("{error} in: {}", bounded(data, 200))))
}

/// What went wrong, with its causes and without the URL, which may hold a password.
pub(super) fn reasons(error: &reqwest::Error) -> String {
    let mut reasons = Vec::new();
    // The outermost text of reqwest repeats the URL and says nothing that its causes do not.
    let mut cause = error.source();
    while let Some(error) = cause {
        reasons.push(error.to_string());
        cause = error.source();
    }
    if reasons.is_empty() { "the HTTP client failed".to_owned() } else { reasons.join(": ") }
}

pub(super) fn stream<D: Decode>(
    request: RequestBuilder,
    key: Option<Key>,
    idle_timeout: Duration,
    decoder: D,
) -> BoxStream<'static, Result<Event, Error>> {
    let answer = Answer {
        request: Some(request),
        response: None,
        key,
        idle_timeout,
        frames: sse::Decoder::new(ANSWER_LIMIT),
        decoder,
        received: 0,
        ready: VecDeque::new(),
        ended: false,
    };
    stream::unfold(answer, |mut answer| async move {
        let item = answer.next().await?;
        Some((item, answer))
    })
    .boxed()
}

struct Answer<D> {
    /// Gone once it is sent.
    request: Option<RequestBuilder>,
    response: Option<Response>,
    key: Option<Key>,
    idle_timeout: Duration,
    frames: sse::Decoder,
    decoder: D,
    received: usize,
    /// What is decoded and not yet asked for.
    ready: VecDeque<Result<Event, Error>>,
    /// Whether the last item of the stream is in `ready` or was taken from it.
    ended: bool,
}

impl<D: Decode> Answer<D> {
    async fn next(&mut self) -> Option<Result<Event, Error>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if self.ended {
                return None;
            }
            match self.chunk().await {
                Ok(Some(bytes)) => self.decode(&bytes),
                Ok(None) => self.end(Error::Connection("the answer ended before it was complete".to_owned())),
                Err(cause) => self.end(cause),
            }
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(request) = self.request.take() {
            let response = within(self.idle_timeout, request.send()).await?;
            self.response = Some(accepted(response, self.idle_timeout).await?);
        }
        match &mut self.response {
            Some(response) => within(self.idle_timeout, response.chunk()).await,
            None => Ok(None),
        }
    }

    fn decode(&mut self, bytes: &[u8]) {
        self.received += bytes.len();
        if self.received > ANSWER_LIMIT {
            return self.fail(Error::Malformed(format!("an answer larger than {} MiB", ANSWER_LIMIT >> 20)));
        }
        let mut frames = Vec::new();
        let outcome = self.frames.push(bytes, &mut frames);
        for frame in frames {
            // Some gateways keep a connection awake with empty frames.
            if self.ended || frame.data.trim().is_empty() {
                continue;
            }
            match self.decoder.push(&frame) {
                Ok(events) => self.add(events),
                Err(error) => self.fail(error),
            }
        }
        if let (Err(error), false) = (outcome, self.ended) {
            self.fail(Error::Malformed(error.to_string()));
        }
    }

    fn end(&mut self, cause: Error) {
        match self.decoder.end(cause) {
            Ok(events) => self.add(events),
            Err(error) => self.fail(error),
        }
        // Whatever the decoder did, nothing more comes.
        self.ended = true;
    }

    fn add(&mut self, events: Vec<Event>) {
        self.ended |= events.iter().any(|event| matches!(event, Event::Finished(_)));
        self.ready.extend(events.into_iter().map(Ok));
    }

    /// Every error leaves through here, so that none carries the key or a novel.
    fn fail(&mut self, error: Error) {
        let error = error.map_message(|message| match &self.key {
            Some(key) => bounded(&key.masked_in(&message), MESSAGE_LIMIT),
            None => bounded(&message, MESSAGE_LIMIT),
        });
        self.ready.push_back(Err(error));
        self.ended = true;
    }
}

async fn within<T>(limit: Duration, step: impl Future<Output = reqwest::Result<T>>) -> Result<T, Error> {
    match timeout(limit, step).await {
        Ok(outcome) => outcome.map_err(|error| Error::Connection(reasons(&error))),
        Err(_) => Err(Error::Connection(format!("it was silent for {} seconds", limit.as_secs_f64()))),
    }
}

/// The response if it is a stream of events, else why not.
async fn accepted(response: Response, limit: Duration) -> Result<Response, Error> {
    let status = response.status();
    let other_type = other_type(response.headers());
    if status.is_success() && other_type.is_none() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    let body = start_of(response, limit).await;
    Err(match other_type {
        Some(kind) if status.is_success() => in_place_of_events(&kind, &body),
        _ => refusal::error(status.as_u16(), &headers, &body),
    })
}

/// Some servers refuse a conversation that is too long with a status of success: only the body says what it is.
fn in_place_of_events(kind: &str, body: &[u8]) -> Error {
    let envelope = Envelope::of_body(body);
    if envelope.status().is_some_and(|status| too_long::is_said(status, &envelope)) {
        return Error::TooLong(envelope.message);
    }
    Error::Malformed(format!("{kind} in place of events: {}", envelope.message))
}

/// The content type if it says that this is no stream of events. Servers that name none are believed.
fn other_type(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    (kind.starts_with("application/json") || kind.starts_with("text/html")).then(|| kind.to_owned())
}

/// The start of a refusal's body. A body that breaks off or stalls still says something.
async fn start_of(mut response: Response, limit: Duration) -> Vec<u8> {
    let mut start = Vec::new();
    let reading = async {
        while let Ok(Some(bytes)) = response.chunk().await {
            start.extend_from_slice(&bytes);
            if start.len() >= REFUSAL_LIMIT {
                break;
            }
        }
    };
    let stalled = timeout(limit, reading).await.is_err();
    tracing::debug!(stalled, bytes = start.len(), "a model provider refused a request");
    start
}
