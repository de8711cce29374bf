//! `/v1/sessions/{id}/resources`: the session's input files, which may come and go while it lives.

pub(crate) mod copy;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use brain::{Live, Mount, SessionRecord, Write, WriteError};
use store::{Change, Document, Error, Kind, Lease};
use wire::page::{Deleted, Page};
use wire::session::{FileRequest, MAX_FILES, Resource};
use wire::{Invalid, Problem, SessionId, Timestamp};

use crate::app::{App, WORKSPACE};
use crate::body::Body;
use crate::documents::{self, find, parse};
use crate::idempotency::Once;
use crate::query::Params;
use crate::reply::{self, Outcome, Refused, Reply, Text};
use crate::sessions;

async fn resources(app: &App, session: &str) -> Result<Vec<Resource>, Refused> {
    let record: SessionRecord = parse(&find(app, Kind::Session, session).await?.document)?;
    Ok(record.resources.into_iter().map(|mount| mount.resource).collect())
}

pub(crate) async fn list(State(app): State<App>, Path(id): Path<String>, mut params: Params) -> Reply<Page<Resource>> {
    // All of them fit one page: a session has at most 500.
    params.limit(1_000, 1_000)?;
    params.end()?;
    Ok(Json(Page::new(resources(&app, &id).await?, None)))
}

pub(crate) async fn retrieve(State(app): State<App>, Path((id, resource)): Path<(String, String)>) -> Reply<Resource> {
    let found = resources(&app, &id).await?.into_iter().find(|other| other.id().to_string() == resource);
    Ok(Json(found.ok_or_else(|| missing(&id, &resource))?))
}

fn missing(session: &str, resource: &str) -> Problem {
    let shown: String = resource.chars().take(80).collect();
    Problem::not_found(format!("The session {session} has no resource with the id {shown}"))
}

/// `POST /v1/sessions/{id}/resources`
pub(crate) async fn add(
    State(app): State<App>,
    Path(id): Path<String>,
    once: Once,
    Body(request): Body<FileRequest>,
) -> Outcome {
    let live = sessions::open(&app, &id).await?;
    if app.brain.sessions().state(&live, |state| state.is_self_hosted).await {
        return Err(sessions::no_resources(live.record().environment_id).into());
    }
    let field = |name: &str| name.to_owned();
    let copy = copy::one(&app, live.id, request, app.now(), &field).await?;
    let answer = reply::json(&copy.mount.resource)?;
    let change = |record: &mut SessionRecord| {
        if record.resources.len() >= MAX_FILES {
            return Err(Invalid::new("file_id", format!("At most {MAX_FILES} files are allowed")).into());
        }
        copy::free(&copy, record.resources.iter(), &field)?;
        record.resources.push(copy.mount.clone());
        Ok(copy.mount.clone())
    };
    let also = |_: &Mount, session, now: Timestamp| {
        vec![Change::Insert(copy.document.clone()), once.remember_of(session, now, &answer)]
    };
    let mount = amend(&app, &id, &live, change, also).await?;
    tell(&app, &live, &mount).await;
    Ok(Text(answer))
}

/// `POST /v1/sessions/{id}/resources/{resource_id}`: only repositories have something to update.
pub(crate) async fn update(State(app): State<App>, Path((id, resource)): Path<(String, String)>) -> Outcome {
    let found = resources(&app, &id).await?.into_iter().any(|other| other.id().to_string() == resource);
    if !found {
        return Err(missing(&id, &resource).into());
    }
    Err(Problem::invalid("A resource of the type file cannot be updated: delete it and add another one").into())
}

/// `DELETE /v1/sessions/{id}/resources/{resource_id}`
pub(crate) async fn delete(
    State(app): State<App>,
    Path((id, resource)): Path<(String, String)>,
) -> Reply<Deleted<String>> {
    let live = sessions::open(&app, &id).await?;
    let found = resources(&app, &id).await?.into_iter().find(|other| other.id().to_string() == resource);
    let Some(Resource::File { file_id, .. }) = found else { return Err(missing(&id, &resource).into()) };
    // Somebody may have deleted the copy by itself.
    let has_copy = match app.store().get(WORKSPACE, Kind::File, &file_id.to_string()).await {
        Ok(_) => true,
        Err(Error::NotFound) => false,
        Err(error) => return Err(reply::unexpected(error)),
    };
    let change = |record: &mut SessionRecord| {
        let found = record.resources.iter().position(|mount| mount.resource.id().to_string() == resource);
        let index = found.ok_or_else(|| Refused::from(missing(&id, &resource)))?;
        Ok(record.resources.remove(index))
    };
    // The session's own copy goes with it.
    let also = |_: &Mount, _, _| {
        let delete = Change::Delete { workspace: WORKSPACE, kind: Kind::File, id: file_id.to_string() };
        has_copy.then_some(delete).into_iter().collect()
    };
    let mount = amend(&app, &id, &live, change, also).await?;
    tell(&app, &live, &mount).await;
    Ok(Json(Deleted { id: resource, r#type: "session_resource_deleted" }))
}

/// Changes which resources the session's document has, with what must become durable together with that.
async fn amend(
    app: &App,
    id: &str,
    live: &Arc<Live>,
    change: impl Fn(&mut SessionRecord) -> Result<Mount, Refused>,
    also: impl Fn(&Mount, SessionId, Timestamp) -> Vec<Change>,
) -> Result<Mount, Refused> {
    loop {
        let document: Document = find(app, Kind::Session, id).await?.document;
        if document.archived_at.is_some() {
            return Err(Problem::invalid(format!("The session {id} is archived")).into());
        }
        let mut record: SessionRecord = parse(&document)?;
        let mount = change(&mut record)?;
        let next = documents::next(&document, reply::json(&record)?, app.now(), None);
        let decide = |_: &session::State, stamp: &mut dyn session::Stamp| {
            let changes = [Change::Update(next.clone())].into_iter().chain(also(&mount, live.id, stamp.now()));
            Ok::<_, Refused>(Write { rows: Vec::new(), lease: Lease::None, changes: changes.collect(), value: () })
        };
        match app.brain.sessions().write(live, decide).await {
            Ok(_) => return Ok(mount),
            Err(WriteError::Store(Error::Stale { .. })) => {}
            Err(error) => return Err(sessions::unwritten(error, id)),
        }
    }
}

/// Has a live sandbox see it. What is asked for is done whether or not that works: the next sandbox is made with it.
async fn tell(app: &App, live: &Live, mount: &Mount) {
    let Resource::File { mount_path, .. } = &mount.resource;
    if let Err(error) = app.brain.upload(live, mount_path).await {
        tracing::warn!(session = %live.id, error, "a live sandbox does not see a change of its input files");
    }
}
