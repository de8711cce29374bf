//! `/v1/sessions/{id}/events`

use axum::Json;
use axum::extract::{Path, State};
use brain::{Live, Write};
use serde_json::value::RawValue;
use session::{Entry, Row};
use store::{Lease, Page as Shown, Read};
use wire::error::Kind;
use wire::event::{ClientEvent, Event, KINDS, Send, render};
use wire::page::Page;
use wire::{Invalid, Problem, ThreadId};

use crate::app::App;
use crate::body::Body;
use crate::cursor::{self, EventCursor};
use crate::idempotency::Once;
use crate::identity::Identity;
use crate::query::Params;
use crate::reply::{Outcome, Refused, Reply, Text, internal, unexpected};
use crate::sessions::{open, refused, unwritten};

pub(crate) async fn send(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    once: Once,
    Body(send): Body<Send>,
) -> Outcome {
    let live = open(&app, &id).await?;
    check_sender(&identity, &send.events)?;
    check_system(&app, &live, &send.events)?;
    let decide = |state: &session::State, stamp: &mut dyn session::Stamp| {
        let rows = session::admit(state, send.events.clone(), stamp).map_err(refused)?;
        let is_own = |row: &&Row| !is_added(row, &send.events);
        let echoes = rows.iter().filter(is_own).filter_map(echo).collect::<Vec<_>>();
        let body = format!(r#"{{"data":[{}]}}"#, echoes.join(","));
        let changes = vec![once.remember_of(live.id, stamp.now(), &body)];
        Ok::<_, Refused>(Write { rows, lease: Lease::None, changes, value: body })
    };
    let (body, _) = app.brain.sessions().write(&live, decide).await.map_err(|error| unwritten(error, &id))?;
    Ok(Text(body))
}

/// Workers send results alone: one that could confirm calls would decide for itself what it may run.
fn check_sender(identity: &Identity, events: &[ClientEvent]) -> Result<(), Problem> {
    match events.iter().position(|event| !event.is_tool_result()) {
        Some(index) if !identity.is_operator() => {
            let message = "A worker's credential sends user.tool_result and user.custom_tool_result alone";
            Err(Problem::new(Kind::PermissionError, format!("events.{index}.type: {message}")))
        }
        _ => Ok(()),
    }
}

/// Refuses a system message that the session's model would not take where it would stand.
fn check_system(app: &App, live: &Live, events: &[ClientEvent]) -> Result<(), Invalid> {
    let Some(index) = events.iter().position(|event| matches!(event, ClientEvent::SystemMessage { .. })) else {
        return Ok(());
    };
    let record = live.record();
    let model = &record.agent.definition.model.id;
    // A model without a route takes nothing at all, as its session will tell.
    if app.brain.routes().find(model).is_none_or(|route| route.takes_system_messages(model)) {
        return Ok(());
    }
    let message = format!("The session's model {model} takes no system messages in the middle of a conversation");
    let code = Some("model_does_not_support_mid_conversation_system");
    Err(Invalid { code, ..Invalid::new(format!("events.{index}"), message) })
}

/// Whether clients send events of this type.
fn is_input(kind: &str) -> bool {
    kind.starts_with("user.") || kind == "system.message"
}

/// An interrupt closes calls with results that look like a client's and are not.
fn is_added(row: &Row, sent: &[ClientEvent]) -> bool {
    let Entry::Event { event, .. } = &row.entry else { return false };
    let call = match &**event {
        Event::UserToolResult { tool_use_id, .. } => tool_use_id,
        Event::UserCustomToolResult { custom_tool_use_id, .. } => custom_tool_use_id,
        _ => return false,
    }
    .to_string();
    !sent.iter().any(|event| match event {
        ClientEvent::ToolResult { tool_use_id, .. } => *tool_use_id == call,
        ClientEvent::CustomToolResult { custom_tool_use_id, .. } => *custom_tool_use_id == call,
        _ => false,
    })
}

/// The client's own events among the rows, as they will be listed.
fn echo(row: &Row) -> Option<String> {
    let (event, processed_at) = match &row.entry {
        Entry::Arrival { event } => (event, None),
        Entry::Event { event, .. } if is_input(event.kind()) => (event, Some(row.at)),
        _ => return None,
    };
    Some(render(row.id, &serde_json::to_string(event).unwrap_or_default(), processed_at))
}

pub(crate) async fn list(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    params: Params,
) -> Reply<Page<Box<RawValue>>> {
    let live = open(&app, &id).await?;
    list_events(&app, &live, None, params, identity.is_operator()).await
}

/// `covers` is whether what is listed counts as seen by the key's clients.
pub(crate) async fn list_events(
    app: &App,
    live: &Live,
    thread: Option<ThreadId>,
    mut params: Params,
    covers: bool,
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
    let inputs = shown.iter().filter(|shown| is_input(&shown.kind));
    if let Some(position) = inputs.map(|shown| shown.arrived).max().filter(|_| covers) {
        app.coverage.cover(live.id, &app.key.id, position).await;
    }
    let data = shown.iter().map(raw).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page::new(data, next)))
}

fn raw(shown: &Shown) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(render(shown.id, &shown.body, shown.processed_at)).map_err(internal)
}

/// Types of the API that this version never emits.
const NEVER: &[&str] = &[
    "user.define_outcome",
    "agent.mcp_tool_use",
    "agent.mcp_tool_result",
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

/// A filter on a type that is never emitted finds nothing, but it is a type all the same.
fn is_event_type(kind: &str) -> bool {
    KINDS.contains(&kind) || NEVER.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_an_input_and_nothing_else_is() {
        let inputs: Vec<_> = KINDS.iter().copied().filter(|kind| is_input(kind)).collect();
        let expected = [
            "user.message",
            "user.interrupt",
            "user.tool_confirmation",
            "user.custom_tool_result",
            "user.tool_result",
            "system.message",
        ];
        assert_eq!(inputs, expected);
    }

    #[test]
    fn a_worker_sends_results_alone() {
        let (work, session) = (wire::WorkId::from_bits(1), wire::SessionId::from_bits(2));
        let environment = wire::EnvironmentId::from_bits(3);
        let worker = Identity::Work { work, environment, session, is_over: false, digest: String::new() };
        let result = || ClientEvent::ToolResult { tool_use_id: "x".into(), content: Vec::new(), is_error: false };
        assert_eq!(check_sender(&worker, &[result(), result()]), Ok(()));
        let events = [result(), ClientEvent::Interrupt { thread: None }];
        let refused = check_sender(&worker, &events).unwrap_err();
        assert_eq!((refused.kind, refused.message.starts_with("events.1.type: ")), (Kind::PermissionError, true));
        assert_eq!(check_sender(&Identity::Operator, &events), Ok(()));
    }

    #[test]
    fn a_type_is_emitted_or_never_emitted() {
        assert_eq!(NEVER.iter().find(|kind| KINDS.contains(kind)), None);
        assert!(is_event_type("system.message") && is_event_type("user.define_outcome"));
        assert!(!is_event_type("agent.nonsense"));
    }
}
