//! Sending a request again without a second effect.
//!
//! What a POST is answered is remembered in the transaction of its effect, under a name that is a hash: of its
//! `Idempotency-Key`, or else of all that it says, since SDKs repeat without a key what they got no answer to. So there
//! is no effect without its answer, wherever a send breaks off. A refusal had no effect, and is not remembered.
//!
//! Attempts at one request may be under way on several nodes at once. Each looks, before anything else, what was
//! answered by then. The store refuses the effect of one that another has overtaken since, by the law of
//! [`store::Catalog`], and the other's answer is given in its place. Beyond that is a first attempt that a node reads
//! only after its repetition was answered elsewhere: nothing tells it from the same request sent anew.
//!
//! An answer is kept as it was sent, in clear text: a handler that answers with a secret must not remember it. No handler
//! does.

mod post;
#[cfg(test)]
mod tests;
mod underway;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use store::{Answer, AnyStore, Attempt, Change, Clock, Rng};
use tokio::time::timeout;
use wire::{SessionId, Timestamp};

use crate::app::{App, WORKSPACE};
use crate::body;
use crate::identity::Identity;
use crate::reply::{Outcome, Refused, Text, internal, unexpected};
use post::Claim;
use underway::{Sending, Underway};

pub(crate) use post::{Post, digest};

/// How long the answer to a request with a key is kept, in milliseconds.
const KEYED: u64 = 24 * 60 * 60 * 1_000;

/// How long other answers are kept: longer than SDKs go on repeating a request.
const UNKEYED: u64 = 60 * 1_000;

/// How long a request that is sent again waits for the first send's answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The requests that are being answered, and those that were.
pub(crate) struct Answers {
    store: AnyStore,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    /// Whose requests they are: the id of the API key.
    client: String,
    underway: Arc<Underway>,
}

impl Answers {
    pub(crate) fn new(store: AnyStore, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>, client: String) -> Self {
        Self { store, clock, rng, client, underway: Arc::default() }
    }

    /// Has the request answered, unless it was answered before. `fingerprint` stands for its body.
    pub(crate) async fn once<F: Future<Output = Response>>(
        &self,
        post: &Post,
        fingerprint: String,
        answer: impl FnOnce(Once) -> F,
    ) -> Result<Response, Refused> {
        let name = post.name(&self.client, &fingerprint);
        let (kept, sending) = self.enter(&post.claim, &name).await?;
        let found = self.store.answer(WORKSPACE, &name).await.map_err(unexpected)?;
        let is_first = post.claim == Claim::First;
        let begin = if is_first { Attempt::first } else { Attempt::again };
        let attempt = begin(format!("{:032x}", self.rng.bits()), found.as_ref());
        let once = Once(Arc::new(Named { name, fingerprint, attempt, kept, _sending: sending }));
        let now = self.clock.now();
        if let Some(earlier) = found.filter(|found| !is_first && found.expires_at > now) {
            return once.replay(earlier);
        }
        let response = answer(once.clone()).await;
        if response.status().is_success() {
            return Ok(response);
        }
        // Refused, or failed: another attempt may have come through meanwhile, on another node or after its client hung
        // up, and then that is the answer. Or this one has, and only its commit was not confirmed.
        match self.store.answer(WORKSPACE, &once.0.name).await {
            Ok(Some(other)) if !once.0.attempt.may_follow(&other.attempt) => once.replay(other),
            Ok(_) | Err(_) => Ok(response),
        }
    }

    /// Takes the attempt's place among those that are under way here. Also says for how long its answer is kept.
    async fn enter(&self, claim: &Claim, name: &str) -> Result<(u64, Sending), Refused> {
        Ok(match claim {
            Claim::Key(_) => (KEYED, self.underway.enter(name).map_err(|_| busy())?),
            Claim::Again => (UNKEYED, timeout(PATIENCE, self.turn(name)).await.map_err(|_| busy())?),
            Claim::First => (UNKEYED, self.underway.join(name)),
        })
    }

    /// Waits until no other send of the request is underway.
    async fn turn(&self, name: &str) -> Sending {
        loop {
            match self.underway.enter(name) {
                Ok(sending) => return sending,
                Err(over) => over.cancelled().await,
            }
        }
    }
}

fn busy() -> Refused {
    Refused::for_now("An earlier send of this request is still being answered. Send it again")
}

/// One send of a request that changes something. Whoever makes the change remembers the answer with it.
#[derive(Clone)]
pub(crate) struct Once(Arc<Named>);

struct Named {
    name: String,
    fingerprint: String,
    attempt: Attempt,
    /// Milliseconds.
    kept: u64,
    _sending: Sending,
}

impl Once {
    /// To be written together with the effect: the answer, byte for byte.
    pub(crate) fn remember(&self, now: Timestamp, json: &str) -> Change {
        Change::Remember(self.answer(now, json))
    }

    /// The same for an answer that tells of a session, and must not outlive it. To be written with the session's log:
    /// only then is it sure that the session is still there.
    pub(crate) fn remember_of(&self, session: SessionId, now: Timestamp, json: &str) -> Change {
        Change::Remember(Answer { subject: Some(session), ..self.answer(now, json) })
    }

    fn answer(&self, now: Timestamp, json: &str) -> Answer {
        Answer {
            workspace: WORKSPACE,
            name: self.0.name.clone(),
            fingerprint: self.0.fingerprint.clone(),
            attempt: self.0.attempt.clone(),
            status: StatusCode::OK.as_u16(),
            body: json.to_owned(),
            at: now,
            expires_at: now.plus_millis(self.0.kept),
            subject: None,
        }
    }

    /// The answer to a request that had nothing to change.
    pub(crate) async fn unchanged(&self, app: &App, json: String) -> Outcome {
        app.store().apply(vec![self.remember(app.now(), &json)]).await.map_err(unexpected)?;
        Ok(Text(json))
    }

    fn replay(&self, earlier: Answer) -> Result<Response, Refused> {
        if earlier.fingerprint != self.0.fingerprint {
            let message = "idempotency-key: Another request was sent under this key. Use a new key for a new request";
            return Err(Refused::unprocessable(message));
        }
        let status = StatusCode::from_u16(earlier.status).unwrap_or(StatusCode::OK);
        let mut response = (status, Text(earlier.body)).into_response();
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
        Ok(response)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Once {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let once = parts.extensions.get::<Self>().cloned();
        once.ok_or_else(|| internal("a defect: the route is not behind its idempotency layer").into())
    }
}

/// Gives the handlers of POSTs with a JSON body their [`Once`].
pub(crate) async fn layer(State(app): State<App>, request: Request, next: Next) -> Result<Response, Refused> {
    if request.method() != Method::POST {
        return Ok(next.run(request).await);
    }
    let worker = request.extensions().get::<Identity>().and_then(Identity::client);
    let post = Post::of(request.uri(), request.headers())?.of_worker(worker);
    let (parts, body) = request.into_parts();
    let bytes = body::read(Request::from_parts(parts.clone(), body)).await?;
    // With the key's digest, so that nobody who reads the database finds by trial what a request has said.
    let fingerprint = digest(&[app.key.digest(), &bytes]);
    let mut request = Request::from_parts(parts, Body::from(bytes));
    let answer = move |once: Once| {
        request.extensions_mut().insert(once);
        next.run(request)
    };
    app.answers.once(&post, fingerprint, answer).await
}
