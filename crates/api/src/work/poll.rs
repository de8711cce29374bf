//! `GET /v1/environments/{id}/work/poll`

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brain::{By, Place, WorkRecord};
use store::{Error, Kind};
use tokio::time::Instant;
use wire::session::Status;
use wire::work::{Secret, State as Stage, Work};
use wire::{EnvironmentId, Invalid, KeyId};

use super::{end, find_environment, live_items};
use crate::app::{App, WORKSPACE};
use crate::documents::parse;
use crate::identity::Identity;
use crate::query::Params;
use crate::reply::{Refused, Reply, json, unexpected};
use crate::token;

/// How long an item that was polled waits for its acknowledgement, before another poll is given it.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// How often a poll that waits looks for what other nodes have queued.
const LOOK: Duration = Duration::from_millis(200);

/// The longest id of a worker, in bytes.
const LONGEST_ID: usize = 256;

/// A day, in milliseconds.
const LONGEST_WAIT: u64 = 86_400_000;

/// One item, or null.
pub(crate) async fn poll(
    State(app): State<App>,
    identity: Identity,
    Path(environment): Path<String>,
    headers: HeaderMap,
    mut params: Params,
) -> Reply<Option<Work>> {
    let wait = params.number("block_ms", 1..=999)?.map(Duration::from_millis).unwrap_or_default();
    let reclaim = params.number("reclaim_older_than_ms", 0..=LONGEST_WAIT)?.map(Duration::from_millis);
    params.end()?;
    let worker = worker_id(&headers)?;
    let environment = find_environment(&app, &environment).await?;
    if let Some(worker) = worker {
        app.pollers.polled(environment, worker, app.now()).await;
    }
    let by = Poll { environment, key: identity.key(), worker };
    let until = Instant::now() + wait;
    let mut reclaim = reclaim;
    loop {
        // Listened for before the look, so that nothing falls between.
        let queued = app.brain.sessions().work_queued();
        if let Some(work) = claim(&app, &by).await? {
            return Ok(Json(Some(work)));
        }
        // Only once, and where nothing else is due: it reads every item.
        if let Some(age) = reclaim.take() {
            hasten(&app, environment, age).await?;
            continue;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || app.stop.is_cancelled() {
            return Ok(Json(None));
        }
        tokio::select! {
            biased;
            () = app.stop.cancelled() => {}
            () = queued => {}
            () = tokio::time::sleep(LOOK.min(left)) => {}
        }
    }
}

/// Who polls, if it says so.
fn worker_id(headers: &HeaderMap) -> Result<Option<&str>, Invalid> {
    const NAME: &str = "anthropic-worker-id";
    let Some(value) = headers.get(NAME) else { return Ok(None) };
    let id = value.to_str().ok().filter(|id| id.len() <= LONGEST_ID);
    let id = id.ok_or_else(|| Invalid::new(NAME, format!("Input should be at most {LONGEST_ID} ASCII characters")))?;
    Ok(Some(id.trim()).filter(|id| !id.is_empty()))
}

/// Who polls, and for what.
struct Poll<'a> {
    environment: EnvironmentId,
    key: Option<KeyId>,
    worker: Option<&'a str>,
}

/// Takes the item that has been due for longest.
async fn claim(app: &App, by: &Poll<'_>) -> Result<Option<Work>, Refused> {
    let queue = WorkRecord::queue(by.environment);
    loop {
        let taken = app.store().take(&queue, 1, UNACKNOWLEDGED).await.map_err(unexpected)?;
        let Some(taken) = taken.into_iter().next() else { return Ok(None) };
        if let Some(work) = hand_out(app, &queue, &taken.item.id, taken.attempt, by.key).await? {
            let Poll { environment, worker, .. } = by;
            tracing::info!(target: "audit", work = %work.id, %environment, worker, "a work item was handed out");
            return Ok(Some(work));
        }
    }
}

/// Makes due what others have polled longer ago than this, and not acknowledged.
async fn hasten(app: &App, environment: EnvironmentId, age: Duration) -> Result<(), Refused> {
    let (now, queue) = (app.now(), WorkRecord::queue(environment));
    let is_old = |record: &WorkRecord| {
        record.place(now) == Place::Polled
            && record.polled_at.is_some_and(|at| u128::from(now.since(at)) > age.as_millis())
    };
    for record in live_items(app, environment).await?.into_iter().filter(is_old) {
        match app.store().postpone(&queue, &record.work.id.to_string(), record.attempt, Duration::ZERO).await {
            // Another poll was faster.
            Ok(()) | Err(Error::NotFound) => {}
            Err(error) => return Err(unexpected(error)),
        }
    }
    Ok(())
}

/// The item that was taken, with a token for it. `None` if nobody is to have it.
async fn hand_out(app: &App, queue: &str, id: &str, attempt: u32, key: Option<KeyId>) -> Result<Option<Work>, Refused> {
    loop {
        let document = match app.store().get(WORKSPACE, Kind::Work, id).await {
            Ok(listed) => Some(listed.document).filter(|document| document.archived_at.is_none()),
            Err(Error::NotFound) => None,
            Err(error) => return Err(unexpected(error)),
        };
        let Some(document) = document else {
            // It ended with its entry left behind. If that stays, the next poll drops it.
            let _ = app.store().finish(queue, id, attempt).await;
            return Ok(None);
        };
        let record: WorkRecord = parse(&document)?;
        if record.attempt > attempt {
            // So long ago was it taken that another poll has it.
            return Ok(None);
        }
        // Its worker was to end and has not said that it did, or there is nothing left to do.
        if record.work.state == Stage::Stopping || has_ended(app, &record).await? {
            let Some(ended) = record.stopped(true, By::Worker, app.now()) else { return Ok(None) };
            match end(app, &document, &WorkRecord { attempt, ..ended }, None).await {
                Ok(true) => return Ok(None),
                Ok(false) => continue,
                // Its session was deleted a moment ago, and the item with it.
                Err(refused) if refused.status() == StatusCode::NOT_FOUND => {
                    let _ = app.store().finish(queue, id, attempt).await;
                    return Ok(None);
                }
                Err(refused) => return Err(refused),
            }
        }
        let minted = token::mint(token::Kind::Work, record.work.id.bits(), &*app.brain.sessions().rng);
        let now = app.now();
        let next = record.claimed(attempt, (minted.digest, key), now);
        let document = next.over(&document, now).map_err(unexpected)?;
        match app.store().apply(vec![store::Change::Update(document)]).await {
            Ok(()) => {
                let secret = URL_SAFE_NO_PAD.encode(json(&Secret { sessions_token: &minted.text })?);
                return Ok(Some(Work { secret: Some(secret), ..next.work }));
            }
            Err(Error::Stale { .. }) => {}
            Err(Error::NotFound) => return Ok(None),
            Err(error) => return Err(unexpected(error)),
        }
    }
}

/// Whether the item's session takes no more results.
async fn has_ended(app: &App, record: &WorkRecord) -> Result<bool, Refused> {
    match app.store().head(record.session()).await {
        Ok(head) => Ok(head.summary.status == Status::Terminated),
        // Its item goes with it.
        Err(Error::NotFound) => Ok(false),
        Err(error) => Err(unexpected(error)),
    }
}
