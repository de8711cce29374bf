//! `POST /v1/sessions`

use axum::extract::State;
use brain::{SessionRecord, WorkRecord};
use store::{Append, Change, Document, Error, Kind, Lease};
use wire::agent::{Agent, Snapshot};
use wire::environment::{Config, Environment};
use wire::session::Create;
use wire::{EnvironmentId, EventId, Problem, SessionId, ThreadId, Timestamp, WorkId};

use super::budget;
use crate::app::{App, WORKSPACE};
use crate::body::Body;
use crate::documents::{find, missing, parse};
use crate::idempotency::Once;
use crate::reply::{Outcome, Refused, Text, json, unexpected};
use crate::resources::copy;
use crate::{agents, environments, vaults};

pub(crate) async fn create(State(app): State<App>, once: Once, Body(create): Body<Create>) -> Outcome {
    let agent = find_agent(&app, &create).await?;
    let environment = find_environment(&app, &create.environment_id).await?;
    agents::find_route(&app, &agent.definition.model.id)?;
    let budget = create.budget.as_ref().map(|budget| budget::check(&app, budget, &agent.definition)).transpose()?;
    let is_self_hosted = matches!(environment.settings.config, Config::SelfHosted {});
    if is_self_hosted && !create.resources.is_empty() {
        return Err(no_resources(environment.id).into());
    }
    let vaults = vaults::check_all(&app, &create.vault_ids).await?;
    let id = SessionId::from_bits(app.bits());
    let now = app.now();
    let copies = copy::all(&app, id, create.resources, now).await?;
    let thread = ThreadId::from_bits(app.bits());
    let mut stamp = Moment { app: &app, now };
    let work = is_self_hosted.then(|| WorkRecord::new(WorkId::from_bits(app.bits()), environment.id, id, 0, now));
    let (name, events) = (&agent.definition.name, create.initial_events);
    let created = match &work {
        Some(record) => session::create_self_hosted(name, thread, budget, record.work.id, events, &mut stamp),
        None => session::create(name, thread, budget, events, &mut stamp),
    };
    let (state, rows) = created.map_err(super::refused)?;
    let record = SessionRecord {
        title: create.title,
        metadata: create.metadata,
        agent: Snapshot::from(&agent),
        environment_id: environment.id,
        resources: copies.iter().map(|copy| copy.mount.clone()).collect(),
        vault_ids: create.vault_ids.clone(),
    };
    let document = Document {
        parent: Some(agent.id.to_string()),
        refers: Some(environment.id.to_string()),
        ..Document::new(WORKSPACE, Kind::Session, id, now, json(&record)?)
    };
    let answer = json(&super::compose(id, record.clone(), &state.summary(), now, None, now))?;
    let work = work.map(|record| record.begins(WORKSPACE)).transpose().map_err(unexpected)?;
    let files = copies.into_iter().map(|copy| Change::Insert(copy.document));
    let required = Change::Require { workspace: WORKSPACE, kind: Kind::Environment, id: environment.id.to_string() };
    let append = Append {
        session: id,
        expected_head: 0,
        lease: Lease::None,
        rows: rows.iter().map(session::Row::store).collect(),
        summary: state.summary(),
        runnable: state.is_runnable(),
        changes: [required, Change::Insert(document), once.remember_of(id, now, &answer)]
            .into_iter()
            .chain(vaults)
            .chain(files)
            .chain(work.into_iter().flatten())
            .collect(),
    };
    match app.store().create_session(WORKSPACE, append).await {
        Ok(_) => {}
        // It was archived or deleted a moment ago.
        Err(Error::NotFound) => {
            find_environment(&app, &create.environment_id).await?;
            vaults::check_all(&app, &create.vault_ids).await?;
            return Err(missing(Kind::Environment, &create.environment_id).into());
        }
        Err(error) => return Err(unexpected(error)),
    }
    if is_self_hosted {
        app.brain.sessions().tell_work();
    }
    if state.is_runnable() {
        app.brain.sessions().adopt(id, WORKSPACE, record, state);
        app.brain.ring(id);
    }
    Ok(Text(answer))
}

/// Nothing of ours could bring them to where the calls are run.
pub(crate) fn no_resources(environment: EnvironmentId) -> Problem {
    Problem::invalid(format!(
        "Environment {environment} is a self-hosted environment. `resources` are not supported with self-hosted \
         environments."
    ))
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
