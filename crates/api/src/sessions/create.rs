//! `POST /v1/sessions`

use axum::extract::State;
use brain::{FileRecord, Mount, SessionRecord};
use store::{Append, Change, Document, Error, Kind, Lease};
use wire::agent::{Agent, Snapshot};
use wire::environment::Environment;
use wire::file::{File, Scope, ScopeType};
use wire::session::{Create, FileRequest, Resource};
use wire::{EventId, FileId, Invalid, Problem, ResourceId, SessionId, ThreadId, Timestamp};

use super::budget;
use crate::app::{App, WORKSPACE};
use crate::body::Body;
use crate::documents::{find, parse};
use crate::idempotency::Once;
use crate::reply::{Outcome, Refused, Text, json, unexpected};
use crate::{agents, environments};

pub(crate) async fn create(State(app): State<App>, once: Once, Body(create): Body<Create>) -> Outcome {
    let agent = find_agent(&app, &create).await?;
    let environment = find_environment(&app, &create.environment_id).await?;
    agents::find_route(&app, &agent.definition.model.id)?;
    let budget = create.budget.as_ref().map(|budget| budget::check(&app, budget, &agent.definition)).transpose()?;
    let id = SessionId::from_bits(app.bits());
    let now = app.now();
    let copies = copy_files(&app, id, create.resources, now).await?;
    let thread = ThreadId::from_bits(app.bits());
    let mut stamp = Moment { app: &app, now };
    let created = session::create(&agent.definition.name, thread, budget, create.initial_events, &mut stamp);
    let (state, rows) = created.map_err(super::refused)?;
    let record = SessionRecord {
        title: create.title,
        metadata: create.metadata,
        agent: Snapshot::from(&agent),
        environment_id: environment.id,
        resources: copies.iter().map(|copy| copy.mount.clone()).collect(),
    };
    let document = Document {
        parent: Some(agent.id.to_string()),
        refers: Some(environment.id.to_string()),
        ..Document::new(WORKSPACE, Kind::Session, id, now, json(&record)?)
    };
    let answer = json(&super::compose(id, record.clone(), &state.summary(), now, None, now))?;
    let files = copies.into_iter().map(|copy| Change::Insert(copy.document));
    let append = Append {
        session: id,
        expected_head: 0,
        lease: Lease::None,
        rows: rows.iter().map(session::Row::store).collect(),
        summary: state.summary(),
        runnable: state.is_runnable(),
        changes: [Change::Insert(document), once.remember_of(id, now, &answer)].into_iter().chain(files).collect(),
    };
    app.store().create_session(WORKSPACE, append).await.map_err(unexpected)?;
    if state.is_runnable() {
        app.brain.sessions().adopt(id, WORKSPACE, record, state);
        app.brain.ring(id);
    }
    Ok(Text(answer))
}

async fn find_agent(app: &App, create: &Create) -> Result<Agent, Refused> {
    let reference = &create.agent;
    let agent = match reference.version {
        Some(version) => agents::at_version(app, &reference.id, version).await?,
        None => parse(&find(app, Kind::Agent, &reference.id).await?.document)?,
    };
    match agent.archived_at {
        Some(_) => Err(agents::archived(&reference.id).into()),
        None => Ok(agent),
    }
}

async fn find_environment(app: &App, id: &str) -> Result<Environment, Refused> {
    let environment: Environment = parse(&find(app, Kind::Environment, id).await?.document)?;
    match environment.archived_at {
        Some(_) => Err(environments::archived(id).into()),
        None => Ok(environment),
    }
}

struct Copy {
    mount: Mount,
    document: Document,
}

/// The session's own copies of the files: they stay as they are, whatever becomes of the originals.
async fn copy_files(
    app: &App,
    session: SessionId,
    requests: Vec<FileRequest>,
    now: Timestamp,
) -> Result<Vec<Copy>, Refused> {
    let mut copies: Vec<Copy> = Vec::with_capacity(requests.len());
    for (index, request) in requests.into_iter().enumerate() {
        let invalid =
            |field: &str, message: String| Problem::from(Invalid::new(format!("resources.{index}.{field}"), message));
        let listed = app.store().get(WORKSPACE, Kind::File, &request.file_id).await.map_err(|error| match error {
            Error::NotFound => {
                let message = format!("resources.{index}.file_id: No file with the id {}", request.file_id);
                Refused::from(Problem::not_found(message))
            }
            error => unexpected(error),
        })?;
        let original: FileRecord = parse(&listed.document)?;
        if original.file.expires_at.is_some_and(|at| at <= now) {
            return Err(invalid("file_id", "The file has expired".into()).with_code("file_expired").into());
        }
        let path = request.mount_path.unwrap_or_else(|| format!("/{}", request.file_id));
        let mount_path = format!("/mnt/session/uploads{path}");
        let taken = |copy: &Copy| {
            let Resource::File { mount_path: other, .. } = &copy.mount.resource;
            *other == mount_path
                || other.starts_with(&format!("{mount_path}/"))
                || mount_path.starts_with(&format!("{other}/"))
        };
        if copies.iter().any(taken) {
            return Err(invalid("mount_path", format!("{mount_path} is taken by another resource")).into());
        }
        let file_id = FileId::from_bits(app.bits());
        let id = ResourceId::from_bits(app.bits());
        let resource = Resource::File { id, file_id, mount_path, created_at: now, updated_at: now };
        let scope = Some(Scope { r#type: ScopeType::Session, id: session });
        let file = File { id: file_id, scope, created_at: now, downloadable: false, expires_at: None, ..original.file };
        let record = FileRecord { file, blob: original.blob.clone(), output: None };
        let document = Document {
            parent: Some(session.to_string()),
            ..Document::new(WORKSPACE, Kind::File, file_id, now, json(&record)?)
        };
        copies.push(Copy { mount: Mount { resource, blob: original.blob }, document });
    }
    Ok(copies)
}

struct Moment<'a> {
    app: &'a App,
    now: Timestamp,
}

impl session::Stamp for Moment<'_> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn event_id(&mut self) -> EventId {
        EventId::from_bits(self.app.bits())
    }
}
