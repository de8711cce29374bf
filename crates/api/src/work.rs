//! `/v1/environments/{id}/work`: what workers of a self-hosted environment are given to do, and what they say of it.
//!
//! An item's document says what has become of it, its entry in the environment's queue who may be given it: the lease is
//! the time for which the queue hides it, by the store's clock. Both are in the store, so that any node answers for any
//! item. Where a request writes both, the queue comes first: a client that gets no answer asks again, and finds the lease
//! its own.

mod poll;
mod pollers;

use axum::Json;
use axum::extract::{Path, State};
use brain::{Beat, By, Place, WorkRecord};
use store::{Change, Document, Error, Filter, Kind, Order, Query};
use wire::environment::{Config, Environment};
use wire::page::Page;
use wire::work::{QueueStats, State as Stage, Stop, Update, Work};
use wire::{EnvironmentId, Problem, Timestamp};

use crate::app::{App, WORKSPACE};
use crate::body::{Body, Lenient};
use crate::documents::{self, find, missing, parse};
use crate::idempotency::Once;
use crate::identity::Identity;
use crate::query::Params;
use crate::reply::{Outcome, Refused, Reply, Text, json, unexpected};
use crate::sessions;

pub(crate) use poll::poll;
pub(crate) use pollers::Pollers;

/// The most items that are counted.
const COUNTED: usize = 10_000;

/// The environment of a path, if it is one that workers serve.
async fn find_environment(app: &App, id: &str) -> Result<EnvironmentId, Refused> {
    let environment: Environment = parse(&find(app, Kind::Environment, id).await?.document)?;
    match environment.settings.config {
        Config::SelfHosted {} => Ok(environment.id),
        Config::Cloud { .. } => {
            Err(Problem::invalid(format!("The environment {id} is not self-hosted: no workers serve it")).into())
        }
    }
}

/// The item of a path.
async fn find_item(app: &App, environment: &str, id: &str) -> Result<(Document, WorkRecord), Refused> {
    let document = find(app, Kind::Work, id).await?.document;
    if document.parent.as_deref() != Some(environment) {
        return Err(missing(Kind::Work, id).into());
    }
    let record = parse(&document)?;
    Ok((document, record))
}

/// The environment's items that have not ended, oldest first.
async fn live_items(app: &App, environment: EnvironmentId) -> Result<Vec<WorkRecord>, Refused> {
    let query = Query {
        workspace: WORKSPACE,
        kind: Kind::Work,
        filter: Filter { parent: Some(environment.to_string()), ..Filter::default() },
        order: Order::OldestFirst,
        after: None,
        limit: COUNTED,
    };
    let found = app.store().query(query).await.map_err(unexpected)?;
    let records: Result<_, Problem> = found.iter().map(|listed| parse(&listed.document)).collect();
    Ok(records?)
}

pub(crate) async fn retrieve(State(app): State<App>, Path((environment, id)): Path<(String, String)>) -> Reply<Work> {
    Ok(Json(find_item(&app, &environment, &id).await?.1.work))
}

pub(crate) async fn list(
    State(app): State<App>,
    Path(environment): Path<String>,
    mut params: Params,
) -> Reply<Page<Work>> {
    let environment = find_environment(&app, &environment).await?;
    let limit = params.limit(20, 100)?;
    let filter = Filter { parent: Some(environment.to_string()), include_archived: true, ..Filter::default() };
    let found = documents::page(&app, Kind::Work, filter, limit, params).await?;
    let read = |listed: &store::Listed| parse::<WorkRecord>(&listed.document).map(|record| record.work);
    let data: Result<Vec<Work>, Problem> = found.listed.iter().map(read).collect();
    Ok(Json(Page::new(data?, found.next)))
}

pub(crate) async fn stats(
    State(app): State<App>,
    Path(environment): Path<String>,
    params: Params,
) -> Reply<QueueStats> {
    params.end()?;
    let environment = find_environment(&app, &environment).await?;
    let now = app.now();
    let workers_polling = app.pollers.count(environment, now).await.map_err(unexpected)?;
    let placed: Vec<_> =
        live_items(&app, environment).await?.into_iter().map(|item| (item.place(now), item.work.created_at)).collect();
    let count = |place: Place| placed.iter().filter(|(other, _)| *other == place).count() as u64;
    let oldest_queued_at = placed.iter().filter(|(place, _)| *place != Place::Taken).map(|(_, at)| *at).min();
    let (depth, pending) = (count(Place::Waiting), count(Place::Polled));
    Ok(Json(QueueStats { r#type: "work_queue_stats", depth, pending, oldest_queued_at, workers_polling }))
}

/// Writes what has become of the item, with the answer that tells it. `false` if the item has changed meanwhile.
async fn write(app: &App, document: &Document, next: &WorkRecord, once: &Once, answer: &str) -> Result<bool, Refused> {
    let now = app.now();
    let next = next.over(document, now).map_err(unexpected)?;
    match app.store().apply(vec![Change::Update(next), once.remember(now, answer)]).await {
        Ok(()) => Ok(true),
        Err(Error::Stale { .. }) => Ok(false),
        Err(Error::NotFound) => Err(missing(Kind::Work, &document.id).into()),
        Err(error) => Err(unexpected(error)),
    }
}

/// Keeps the item from others for as long as its lease. `false` if another poll has been given it.
async fn hold(app: &App, record: &WorkRecord) -> Result<bool, Refused> {
    let (queue, id) = (WorkRecord::queue(record.work.environment_id), record.work.id.to_string());
    match app.store().postpone(&queue, &id, record.attempt, record.lease()).await {
        Ok(()) => Ok(true),
        Err(Error::NotFound) => Ok(false),
        Err(error) => Err(unexpected(error)),
    }
}

pub(crate) async fn ack(
    State(app): State<App>,
    Path((environment, id)): Path<(String, String)>,
    params: Params,
    once: Once,
) -> Outcome {
    params.end()?;
    let taken = || Problem::conflict("The work item is not there to be acknowledged: a worker has it, or it has ended");
    loop {
        let (document, record) = find_item(&app, &environment, &id).await?;
        let next = record.acknowledged(app.now()).ok_or_else(taken)?;
        if !hold(&app, &next).await? {
            // Another poll is about to write that it has the item; whoever had it before is too late.
            return Err(taken().into());
        }
        let answer = json(&next.work)?;
        if next == record {
            return once.unchanged(&app, answer).await;
        }
        if write(&app, &document, &next, &once, &answer).await? {
            return Ok(Text(answer));
        }
    }
}

pub(crate) async fn heartbeat(
    State(app): State<App>,
    Path((environment, id)): Path<(String, String)>,
    mut params: Params,
    once: Once,
) -> Outcome {
    let expected = params.take("expected_last_heartbeat");
    let ttl = params.number("desired_ttl_seconds", 1..=u64::from(u32::MAX))?;
    params.end()?;
    loop {
        let (document, record) = find_item(&app, &environment, &id).await?;
        let next = match record.beat(expected.as_deref(), ttl, app.now()) {
            Ok(Beat::Extends(next)) => next,
            Ok(Beat::Over) => return once.unchanged(&app, json(&record.heartbeat(false))?).await,
            Err(problem) if problem.lease.is_some() => return Err(Refused::precondition(problem)),
            Err(problem) => return Err(problem.into()),
        };
        if !hold(&app, &next).await? {
            return Err(Refused::precondition(record.lost()));
        }
        let answer = json(&next.heartbeat(true))?;
        if write(&app, &document, &next, &once, &answer).await? {
            return Ok(Text(answer));
        }
    }
}

pub(crate) async fn update(
    State(app): State<App>,
    Path((environment, id)): Path<(String, String)>,
    once: Once,
    Body(update): Body<Update>,
) -> Outcome {
    loop {
        let (document, record) = find_item(&app, &environment, &id).await?;
        let metadata = update.metadata.clone().over(record.work.metadata.clone(), "metadata")?;
        let next = WorkRecord { work: Work { metadata, ..record.work.clone() }, ..record.clone() };
        let answer = json(&next.work)?;
        if next == record {
            return once.unchanged(&app, answer).await;
        }
        if write(&app, &document, &next, &once, &answer).await? {
            return Ok(Text(answer));
        }
    }
}

pub(crate) async fn stop(
    State(app): State<App>,
    identity: Identity,
    Path((environment, id)): Path<(String, String)>,
    once: Once,
    Lenient(Stop { force }): Lenient<Stop>,
) -> Outcome {
    let by = if identity.is_operator() { By::Operator } else { By::Worker };
    loop {
        let (document, record) = find_item(&app, &environment, &id).await?;
        let Some(next) = record.stopped(force, by, app.now()) else {
            return Err(Problem::conflict("The work item has stopped already").into());
        };
        let answer = json(&next.work)?;
        let is_written = match next.work.state {
            Stage::Stopped => end(&app, &document, &next, Some((&once, answer.as_str()))).await?,
            _ => write(&app, &document, &next, &once, &answer).await?,
        };
        if is_written {
            if next.work.state == Stage::Stopping {
                // Its worker has this long to hear of it. Whoever has been given the item meanwhile hears of it too.
                hold(&app, &next).await?;
            }
            return Ok(Text(answer));
        }
    }
}

/// Ends the item, and has another one take its place where that is due. `false` if the item has changed meanwhile.
async fn end(
    app: &App,
    document: &Document,
    ended: &WorkRecord,
    answer: Option<(&Once, &str)>,
) -> Result<bool, Refused> {
    let live = sessions::open(app, &ended.session().to_string()).await?;
    let also = |now: Timestamp| -> Vec<Change> {
        answer.iter().map(|(once, answer)| once.remember_of(live.id, now, answer)).collect()
    };
    match app.brain.sessions().end_work(&live, document, ended, also).await {
        Ok(()) => {}
        Err(Error::Stale { .. }) => return Ok(false),
        Err(Error::NotFound) => return Err(missing(Kind::Work, &document.id).into()),
        Err(error) => return Err(unexpected(error)),
    }
    let queue = WorkRecord::queue(ended.work.environment_id);
    // What is left of it there, the next poll that takes it drops.
    let _ = app.store().finish(&queue, &document.id, ended.attempt).await;
    tracing::info!(target: "audit", work = %ended.work.id, session = %live.id, "a work item has ended");
    Ok(true)
}
