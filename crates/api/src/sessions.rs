//! `/v1/sessions`

mod create;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use brain::{Live, SessionRecord, Write, WriteError};
use session::{Refusal, Summary};
use store::{Change, Error, Filter, Kind, Lease, Listed};
use wire::page::{Deleted, Page};
use wire::session::{Session, Stats, Status, Update};
use wire::{Event, EventId, Invalid, Problem, SessionId, Timestamp};

use crate::app::App;
use crate::body::Body;
use crate::documents::{self, find, missing, parse};
use crate::query::Params;
use crate::reply::{Refused, Reply, internal, unexpected};

pub(crate) use create::create;

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
    Invalid::new(refusal.path, refusal.message).into()
}

pub(crate) fn unwritten(error: WriteError<Refusal>, id: &str) -> Refused {
    match error {
        WriteError::Refused(refusal) => refused(refusal),
        WriteError::Store(Error::NotFound) => missing(Kind::Session, id).into(),
        WriteError::Store(error) => unexpected(error),
    }
}

fn render(app: &App, id: SessionId, listed: &Listed) -> Result<Session, Problem> {
    let record: SessionRecord = parse(&listed.document)?;
    let summary = listed.summary.ok_or_else(|| internal(format!("the session {id} has no log")))?;
    Ok(compose(id, record, &summary, listed.document.created_at, listed.document.archived_at, app.now()))
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
        vault_ids: Vec::new(),
        budget: None,
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

pub(crate) async fn update(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(update): Body<Update>,
) -> Reply<Session> {
    let live = open(&app, &id).await?;
    loop {
        let document = find(&app, Kind::Session, &id).await?.document;
        if document.archived_at.is_some() {
            return Err(Problem::invalid(format!("The session {id} is archived")).into());
        }
        let record: SessionRecord = parse(&document)?;
        let title = update.title.clone().over(record.title.clone());
        let metadata = update.metadata.clone().over(record.metadata.clone(), "metadata")?;
        let new_title = (title != record.title).then(|| title.clone());
        let new_metadata = (metadata != record.metadata).then(|| metadata.clone());
        if new_title.is_none() && new_metadata.is_none() {
            return retrieve(State(app), Path(id)).await;
        }
        let now = app.now();
        let body = serde_json::to_string(&SessionRecord { title, metadata, ..record }).map_err(internal)?;
        let next = documents::next(&document, body, now, None);
        let decide = |state: &session::State, stamp: &mut dyn session::Stamp| {
            let rows = session::update(state, new_title.clone(), new_metadata.clone(), stamp);
            Ok::<_, Refusal>(Write { rows, lease: Lease::None, changes: vec![Change::Update(next.clone())], value: () })
        };
        match app.brain.sessions().write(&live, decide).await {
            Ok(_) => return retrieve(State(app), Path(id)).await,
            Err(WriteError::Store(Error::Stale { .. })) => {}
            Err(error) => return Err(unwritten(error, &id)),
        }
    }
}

pub(crate) async fn archive(State(app): State<App>, Path(id): Path<String>) -> Reply<Session> {
    let brain = app.brain.clone();
    brain.whole(archive_whole(app, id)).await.map_err(unexpected)?
}

async fn archive_whole(app: App, id: String) -> Reply<Session> {
    let live = open(&app, &id).await?;
    loop {
        let document = find(&app, Kind::Session, &id).await?.document;
        if document.archived_at.is_some() {
            return retrieve(State(app), Path(id)).await;
        }
        let now = app.now();
        let next = documents::next(&document, document.body.clone(), now, Some(now));
        let decide = |state: &session::State, stamp: &mut dyn session::Stamp| {
            let rows = session::archive(state, stamp)?;
            Ok(Write { rows, lease: Lease::None, changes: vec![Change::Update(next.clone())], value: () })
        };
        match app.brain.sessions().write(&live, decide).await {
            Ok(_) => {
                app.brain.release_hand(live.id).await;
                return retrieve(State(app), Path(id)).await;
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
    match app.store().delete_session(live.id).await {
        Ok(()) => {}
        Err(Error::InUse) => {
            let message = "The session is running. Send user.interrupt and wait until it is idle";
            return Err(Problem::invalid(message).into());
        }
        Err(Error::NotFound) => return Err(missing(Kind::Session, &id).into()),
        Err(error) => return Err(unexpected(error)),
    }
    app.brain.sessions().forget(live.id);
    let last = last_event(&app, &live).await;
    app.brain.sessions().bus.publish(live.id, || vec![last]);
    app.brain.release_hand(live.id).await;
    Ok(Json(Deleted { id, r#type: "session_deleted" }))
}

/// The event that ends live streams. It is in no log: there is none any more.
async fn last_event(app: &App, live: &Live) -> bus::Published {
    let (head, thread) = app.brain.sessions().state(live, |state| (state.head, state.primary)).await;
    let id = EventId::from_bits(app.bits());
    let body = serde_json::to_string(&Event::SessionDeleted {}).unwrap_or_default();
    let json = wire::event::render(id, &body, Some(app.now()));
    let frame = Some(wire::sse::encode("session.deleted", Some(head + 1), &json).into());
    bus::Published { position: head + 1, id, thread, frame, last: true }
}
