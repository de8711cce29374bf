//! Live streams: `/v1/sessions/{id}/events/stream` and its thread's.

mod tail;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use brain::Live;
use std::sync::Arc;
use wire::{Invalid, ThreadId};

use crate::app::App;
use crate::identity::Identity;
use crate::query::Params;
use crate::reply::{Refused, unexpected};
use crate::sessions::open;
use tail::{Attached, Tail};

const PREVIEWABLE: [&str; 2] = ["agent.message", "agent.thinking"];
const MAX_DELTAS: usize = 100;

pub(crate) async fn session(
    State(app): State<App>,
    identity: Identity,
    Path(id): Path<String>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Refused> {
    let live = open(&app, &id).await?;
    stream(app, live, None, &headers, params, identity).await
}

/// What the operator's clients are sent counts as seen by them. A worker's stream is live only.
pub(crate) async fn stream(
    app: App,
    live: Arc<Live>,
    thread: Option<ThreadId>,
    headers: &HeaderMap,
    mut params: Params,
    identity: Identity,
) -> Result<Response, Refused> {
    let covers = identity.is_operator();
    let previews = params.take_all("event_deltas");
    params.end()?;
    if previews.len() > MAX_DELTAS {
        return Err(Invalid::new("event_deltas", format!("At most {MAX_DELTAS} values are allowed")).into());
    }
    if let Some(unknown) = previews.iter().find(|kind| !PREVIEWABLE.contains(&kind.as_str())) {
        let message = format!("{unknown} has no previews; Input should be 'agent.message' or 'agent.thinking'");
        return Err(Invalid::new("event_deltas", message).into());
    }
    let resume = last_event_id(headers)?;
    // Watch first, look at the log second: nothing can fall between.
    let subscription = app.brain.sessions().bus.subscribe(live.id, previews);
    app.brain.sessions().fresh(&live).await.map_err(unexpected)?;
    let head = app.brain.sessions().state(&live, |state| state.head).await;
    let attached = Attached::new(app.clone(), live.clone(), covers);
    let start = match resume {
        Some(position) => position.min(head),
        None if !covers => head,
        None => {
            let uncovered = app.coverage.first_uncovered(live.id, &app.key.id).await.map_err(unexpected)?;
            uncovered.map_or(head, |position| position.saturating_sub(1).min(head))
        }
    };
    let tail = Tail::new(app, subscription, attached, (start, head), thread, identity);
    let mut response = Response::new(Body::from_stream(tail.frames()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that buffer would turn a stream into a download.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The position that a client has read up to: its stream goes on behind it.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Invalid> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    position.map(Some).ok_or_else(|| Invalid::new("last-event-id", "Input should be the id of an event of this stream"))
}
