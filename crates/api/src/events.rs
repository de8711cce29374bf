//! `/v1/sessions/{id}/events`

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use brain::{Live, Write};
use serde_json::value::RawValue;
use session::{Entry, Row};
use store::{Lease, Page as Shown, Read};
use wire::event::{KINDS, Send, render};
use wire::page::Page;
use wire::{Invalid, Problem, ThreadId};

use crate::app::App;
use crate::body::Body;
use crate::cursor::{self, EventCursor};
use crate::query::Params;
use crate::reply::{Refused, Reply, internal, unexpected};
use crate::sessions::{open, unwritten};

pub(crate) async fn send(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(send): Body<Send>,
) -> Result<Response, Refused> {
    let live = open(&app, &id).await?;
    let decide = |state: &session::State, stamp: &mut dyn session::Stamp| {
        let rows = session::admit(state, send.events.clone(), stamp)?;
        let echoes = rows.iter().filter_map(echo).collect::<Vec<_>>();
        Ok(Write { rows, lease: Lease::None, changes: Vec::new(), value: echoes })
    };
    let (echoes, _) = app.brain.sessions().write(&live, decide).await.map_err(|error| unwritten(error, &id))?;
    let json = format!(r#"{{"data":[{}]}}"#, echoes.join(","));
    Ok(([("content-type", "application/json")], json).into_response())
}

/// The client's own events among the rows, as they will be listed.
fn echo(row: &Row) -> Option<String> {
    let (event, processed_at) = match &row.entry {
        Entry::Arrival { event } => (event, None),
        Entry::Event { event, .. } if event.kind().starts_with("user.") => (event, Some(row.at)),
        _ => return None,
    };
    Some(render(row.id, &serde_json::to_string(event).unwrap_or_default(), processed_at))
}

pub(crate) async fn list(State(app): State<App>, Path(id): Path<String>, params: Params) -> Reply<Page<Box<RawValue>>> {
    let live = open(&app, &id).await?;
    list_events(&app, &live, None, params).await
}

pub(crate) async fn list_events(
    app: &App,
    live: &Live,
    thread: Option<ThreadId>,
    mut params: Params,
) -> Reply<Page<Box<RawValue>>> {
    let limit = params.limit(1_000, 1_000)?;
    let descending = params.descending(false)?;
    let kinds = params.take_all("types");
    if let Some(unknown) = kinds.iter().find(|kind| !is_event_type(kind)) {
        return Err(Invalid::new("types", format!("{unknown} is not a type of event")).into());
    }
    let (from, to) = params.created()?;
    let cursor = params.take("page").map(|text| cursor::decode::<EventCursor>(&text)).transpose()?;
    params.end()?;
    if let Some(cursor) = &cursor {
        cursor::check_order(cursor.descending, descending)?;
    }
    let after = cursor.map(|cursor| cursor.shown());
    let read = Read { thread, kinds, descending, after, from, to, limit: limit + 1 };
    let mut shown = app.store().list(live.id, read).await.map_err(unexpected)?;
    let more = shown.len() > limit;
    shown.truncate(limit);
    let next = shown.last().filter(|_| more).map(|last| cursor::encode(&EventCursor::new(descending, last.shown)));
    let inputs = shown.iter().filter(|shown| shown.kind.starts_with("user."));
    if let Some(position) = inputs.map(|shown| shown.arrived).max() {
        app.coverage.cover(live.id, &app.key.id, position).await;
    }
    let data = shown.iter().map(raw).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page::new(data, next)))
}

fn raw(shown: &Shown) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(render(shown.id, &shown.body, shown.processed_at)).map_err(internal)
}

/// Types of the API that this version never emits are types all the same: a filter on them finds nothing.
fn is_event_type(kind: &str) -> bool {
    const OTHERS: &[&str] = &[
        "user.tool_result",
        "user.define_outcome",
        "system.message",
        "agent.mcp_tool_use",
        "agent.mcp_tool_result",
        "agent.thread_context_compacted",
        "agent.thread_message_sent",
        "agent.thread_message_received",
        "session.thread_created",
        "span.outcome_evaluation_start",
        "span.outcome_evaluation_ongoing",
        "span.outcome_evaluation_end",
        "workflow_run.created",
        "workflow_run.status_running",
        "workflow_run.status_idle",
        "workflow_run.phase_started",
        "workflow_run.phase_ended",
        "workflow_run.error",
        "workflow_run.status_ended",
    ];
    KINDS.contains(&kind) || OTHERS.contains(&kind)
}
