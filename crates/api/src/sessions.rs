//! `/v1/sessions`

mod budget;
mod create;
mod update;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use brain::{Live, SessionRecord, Write, WriteError};
use session::{Cost, Refusal, Row, Stamp, State as Folded, Summary};
use store::{Change, Error, Filter, Kind, Lease, Listed};
use wire::page::{Deleted, Page};
use wire::session::{Session, Stats, Status};
use wire::{Invalid, Problem, SessionId, Timestamp};

use crate::app::App;
use crate::documents::{self, find, missing, parse};
use crate::idempotency::Once;
use crate::query::Params;
use crate::reply::{Outcome, Refused, Reply, Text, internal, json, unexpected};

pub(crate) use create::{create, no_resources};
pub(crate) use update::update;

/// The session of a path, open.
pub(crate) async fn open(app: &App, id: &str) -> Result<Arc<Live>, Refused> {
    let parsed: SessionId = id.parse().map_err(|_| missing(Kind::Session, id))?;
    match app.brain.sessions().open(parsed).await {
        Ok(live) => Ok(live),
        Err(Error::NotFound) => Err(missing(Kind::Session, id).into()),
        Err(error) => Err(unexpected(error)),
    }
}

/// The refusal of the pure core, as clients see it.
pub(crate) fn refused(refusal: Refusal) -> Refused {
    if refusal.ended {
        return Problem::conflict(refusal.message).into();
    }
    Invalid { code: refusal.code, ..Invalid::new(refusal.path, refusal.message) }.into()
}

pub(crate) fn unwritten(error: WriteError<Refused>, id: &str) -> Refused {
    match error {
        WriteError::Refused(refused) => refused,
        WriteError::Store(Error::NotFound) => missing(Kind::Session, id).into(),
        WriteError::Store(error) => unexpected(error),
    }
}

fn render(app: &App, id: SessionId, listed: &Listed) -> Result<Session, Problem> {
    let record: SessionRecord = parse(&listed.document)?;
    let summary = listed.summary.ok_or_else(|| internal(format!("the session {id} has no log")))?;
    Ok(compose(id, record, &summary, listed.document.created_at, listed.document.archived_at, app.now()))
}

/// The state once the rows are appended to it.
fn after(state: &Folded, rows: &[Row]) -> Folded {
    let mut next = state.clone();
    rows.iter().for_each(|row| next.fold(row));
    next
}

pub(crate) fn compose(
    id: SessionId,
    record: SessionRecord,
    summary: &Summary,
    created_at: Timestamp,
    archived_at: Option<Timestamp>,
    now: Timestamp,
) -> Session {
    let ended = summary.status == Status::Terminated;
    let until = if ended { summary.updated_at } else { now };
    let active_ms = summary.active_ms(until);
    Session {
        id,
        r#type: "session",
        title: record.title,
        status: summary.status,
        agent: record.agent,
        environment_id: record.environment_id,
        metadata: record.metadata,
        resources: record.resources.into_iter().map(|mount| mount.resource).collect(),
        vault_ids: record.vault_ids,
        budget: summary.budget.map(Cost::budget),
        usage: summary.totals.usage(active_ms),
        stats: Stats { active_seconds: seconds(active_ms), duration_seconds: seconds(until.since(created_at)) },
        outcome_evaluations: Vec::new(),
        deployment_id: None,
        created_at,
        updated_at: summary.updated_at,
        archived_at,
    }
}

pub(crate) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

pub(crate) async fn retrieve(State(app): State<App>, Path(id): Path<String>) -> Reply<Session> {
    let listed = find(&app, Kind::Session, &id).await?;
    let parsed = id.parse().map_err(|_| missing(Kind::Session, &id))?;
    Ok(Json(render(&app, parsed, &listed)?))
}

pub(crate) async fn list(State(app): State<App>, mut params: Params) -> Reply<Page<Session>> {
    let limit = params.limit(20, 100)?;
    let (created_from, created_to) = params.created()?;
    let statuses = params.take_all("statuses").into_iter().map(|name| {
        let message = "Input should be 'idle', 'running', 'rescheduling' or 'terminated'";
        Status::from_name(&name).ok_or_else(|| Invalid::new("statuses", message))
    });
    let statuses = statuses.collect::<Result<Vec<_>, _>>()?;
    let include_archived = params.flag("include_archived")?;
    let parent = params.take("agent_id");
    let agent_version = match params.take("agent_version").map(|text| text.parse::<u64>()) {
        None => None,
        Some(Ok(version)) if version > 0 && parent.is_some() => Some(version),
        Some(_) => return Err(Invalid::new("agent_version", "Input should be 1 or above, and needs agent_id").into()),
    };
    let filter = Filter { parent, include_archived, created_from, created_to, agent_version, statuses };
    let found = documents::page(&app, Kind::Session, filter, limit, params).await?;
    let mut data = Vec::with_capacity(found.listed.len());
    for listed in &found.listed {
        let id = listed.document.id.parse().map_err(internal)?;
        data.push(render(&app, id, listed)?);
    }
    Ok(Json(Page { prev_page: Some(found.prev), ..Page::new(data, found.next) }))
}

pub(crate) async fn archive(State(app): State<App>, Path(id): Path<String>, once: Once) -> Outcome {
    let brain = app.brain.clone();
    brain.whole(archive_whole(app, id, once)).await.map_err(unexpected)?
}

async fn archive_whole(app: App, id: String, once: Once) -> Outcome {
    let live = open(&app, &id).await?;
    loop {
        let listed = find(&app, Kind::Session, &id).await?;
        let document = &listed.document;
        let record: SessionRecord = parse(document)?;
        // What is archived already stays as it is.
        let archived_at = document.archived_at.unwrap_or_else(|| app.now());
        let archive = || documents::next(document, document.body.clone(), archived_at, Some(archived_at));
        let next = document.archived_at.is_none().then(archive);
        let decide = |state: &Folded, stamp: &mut dyn Stamp| {
            let rows = session::archive(state, stamp).map_err(refused)?;
            let (now, summary) = (stamp.now(), after(state, &rows).summary());
            let session = compose(live.id, record.clone(), &summary, document.created_at, Some(archived_at), now);
            let body = json(&session)?;
            let remember = once.remember_of(live.id, now, &body);
            let changes = next.clone().map(Change::Update).into_iter().chain([remember]).collect();
            Ok::<_, Refused>(Write { rows, lease: Lease::None, changes, value: body })
        };
        match app.brain.sessions().write(&live, decide).await {
            Ok((body, _)) => {
                if next.is_some() {
                    app.brain.release_hand(&live).await;
                    // Without it, the next worker that is given the item finds the session ended, and ends it.
                    if let Err(error) = app.brain.sessions().drop_work(&live).await {
                        tracing::warn!(session = %live.id, %error, "the work item of an archived session has not ended");
                    }
                }
                return Ok(Text(body));
            }
            Err(WriteError::Store(Error::Stale { .. })) => {}
            Err(error) => return Err(unwritten(error, &id)),
        }
    }
}

pub(crate) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Reply<Deleted<String>> {
    let brain = app.brain.clone();
    brain.whole(delete_whole(app, id)).await.map_err(unexpected)?
}

async fn delete_whole(app: App, id: String) -> Reply<Deleted<String>> {
    let live = open(&app, &id).await?;
    // Where its sandbox is must be known before the log that tells it is gone.
    app.brain.sessions().fresh(&live).await.map_err(unexpected)?;
    match app.store().delete_session(live.id).await {
        Ok(()) => {}
        Err(Error::InUse) => {
            let message = "The session is running. Send user.interrupt and wait until it is idle";
            return Err(Problem::invalid(message).into());
        }
        Err(Error::NotFound) => return Err(missing(Kind::Session, &id).into()),
        Err(error) => return Err(unexpected(error)),
    }
    app.brain.sessions().deleted(&live).await;
    app.brain.release_hand(&live).await;
    Ok(Json(Deleted { id, r#type: "session_deleted" }))
}
