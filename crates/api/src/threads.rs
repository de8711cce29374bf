//! `/v1/sessions/{id}/threads`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use brain::Live;
use serde_json::value::RawValue;
use wire::page::Page;
use wire::session::{Status, Thread, ThreadStats};
use wire::{Invalid, Problem, ThreadId};

use crate::app::App;
use crate::documents::{find, parse};
use crate::events::list_events;
use crate::identity::Identity;
use crate::query::Params;
use crate::reply::{Refused, Reply, unexpected};
use crate::sessions::{open, seconds};
use crate::stream::stream;

/// The thread of a path; its session is open.
async fn open_thread(app: &App, id: &str, thread: &str) -> Result<(Arc<Live>, ThreadId), Refused> {
    let live = open(app, id).await?;
    let missing = || Problem::not_found(format!("The session {id} has no thread with the id {thread}"));
    let parsed: ThreadId = thread.parse().map_err(|_| missing())?;
    app.brain.sessions().fresh(&live).await.map_err(unexpected)?;
    let exists = app.brain.sessions().state(&live, |state| state.threads.contains_key(&parsed)).await;
    if exists { Ok((live, parsed)) } else { Err(missing().into()) }
}

async fn render(app: &App, live: &Live, thread: ThreadId) -> Result<Thread, Refused> {
    let document = find(app, store::Kind::Session, &live.id.to_string()).await?.document;
    let record: brain::SessionRecord = parse(&document)?;
    let now = app.now();
    let (status, summary, started) = app
        .brain
        .sessions()
        .state(live, |state| {
            let status = state.threads.get(&thread).map_or(Status::Terminated, |thread| thread.status);
            (status, state.summary(), state.head > 1)
        })
        .await;
    let until = if status == Status::Terminated { summary.updated_at } else { now };
    let active_ms = summary.active_ms(until);
    let stats = ThreadStats {
        active_seconds: seconds(active_ms),
        duration_seconds: seconds(until.since(document.created_at)),
        startup_seconds: 0.0,
    };
    Ok(Thread {
        id: thread,
        r#type: "session_thread",
        session_id: live.id,
        parent_thread_id: None,
        agent: record.agent,
        status,
        workflow_run_id: None,
        created_at: document.created_at,
        updated_at: summary.updated_at,
        archived_at: document.archived_at,
        stats: started.then_some(stats),
        usage: (summary.totals.requests > 0).then(|| summary.totals.usage(active_ms)),
    })
}

pub(crate) async fn list(State(app): State<App>, Path(id): Path<String>, mut params: Params) -> Reply<Page<Thread>> {
    let live = open(&app, &id).await?;
    params.limit(1_000, 1_000)?;
    let statuses = params.take_all("statuses");
    if let Some(unknown) = statuses.iter().find(|name| Status::from_name(name).is_none()) {
        return Err(Invalid::new("statuses", format!("{unknown} is not a status")).into());
    }
    if params.take("page").is_some() {
        return Err(Invalid::new("page", "Not a cursor of this list").into());
    }
    params.end()?;
    app.brain.sessions().fresh(&live).await.map_err(unexpected)?;
    let threads = app.brain.sessions().state(&live, |state| state.threads.keys().copied().collect::<Vec<_>>()).await;
    let mut data = Vec::new();
    for thread in threads {
        data.push(render(&app, &live, thread).await?);
    }
    data.retain(|thread| statuses.is_empty() || statuses.iter().any(|name| name == thread.status.name()));
    Ok(Json(Page::new(data, None)))
}

pub(crate) async fn retrieve(State(app): State<App>, Path((id, thread)): Path<(String, String)>) -> Reply<Thread> {
    let (live, thread) = open_thread(&app, &id, &thread).await?;
    Ok(Json(render(&app, &live, thread).await?))
}

pub(crate) async fn events(
    State(app): State<App>,
    identity: Identity,
    Path((id, thread)): Path<(String, String)>,
    params: Params,
) -> Reply<Page<Box<RawValue>>> {
    let (live, thread) = open_thread(&app, &id, &thread).await?;
    list_events(&app, &live, Some(thread), params, identity.is_operator()).await
}

pub(crate) async fn live(
    State(app): State<App>,
    identity: Identity,
    Path((id, thread)): Path<(String, String)>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Refused> {
    let (live, thread) = open_thread(&app, &id, &thread).await?;
    stream(app, live, Some(thread), &headers, params, identity).await
}
