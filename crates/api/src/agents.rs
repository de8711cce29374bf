//! `/v1/agents`

use axum::Json;
use axum::extract::{Path, State};
use brain::Route;
use store::{Change, Document, Error, Filter, Kind};
use wire::agent::{Agent, AgentType, Create, Update};
use wire::page::Page;
use wire::{AgentId, Invalid, Problem};

use crate::app::{App, WORKSPACE};
use crate::body::Body;
use crate::documents::{self, find, parse};
use crate::idempotency::Once;
use crate::query::Params;
use crate::reply::{Outcome, Refused, Reply, Text, json, unexpected};

pub(crate) async fn create(State(app): State<App>, once: Once, Body(create): Body<Create>) -> Outcome {
    find_route(&app, &create.definition.model.id)?;
    let now = app.now();
    let agent = Agent {
        id: AgentId::from_bits(app.bits()),
        r#type: AgentType::Agent,
        definition: create.definition,
        metadata: create.metadata,
        version: 1,
        created_at: now,
        updated_at: now,
        archived_at: None,
    };
    let body = json(&agent)?;
    let document = Document::new(WORKSPACE, Kind::Agent, agent.id, now, body.clone());
    let version = version_document(&agent, &document);
    let changes = vec![Change::Insert(document), Change::Insert(version), once.remember(now, &body)];
    app.store().apply(changes).await.map_err(unexpected)?;
    Ok(Text(body))
}

/// An agent's version, kept for good.
fn version_document(agent: &Agent, document: &Document) -> Document {
    Document {
        kind: Kind::AgentVersion,
        id: version_id(&document.id, agent.version),
        // Versions are listed by when they were made.
        created_at: agent.updated_at,
        version: 1,
        parent: Some(document.id.clone()),
        ..document.clone()
    }
}

/// Padded, so that versions made in the same millisecond sort in their order.
fn version_id(agent: &str, version: u64) -> String {
    format!("{agent}@{version:08}")
}

/// The route that answers to the model, or the refusal that names those that there are.
pub(crate) fn find_route<'a>(app: &'a App, model: &str) -> Result<&'a Route, Problem> {
    if let Some(route) = app.brain.routes().find(model) {
        return Ok(route);
    }
    let names = app.brain.routes().names();
    let message = format!(
        "model: No route is configured for {model}. Configured are: {}. Add a [[models]] entry to stead.toml, or set \
         ANTHROPIC_API_KEY for claude-* or OPENAI_API_KEY for all others, and restart",
        names.join(", ")
    );
    Err(Problem::invalid(message))
}

pub(crate) async fn retrieve(State(app): State<App>, Path(id): Path<String>, mut params: Params) -> Reply<Agent> {
    let version = params.take("version");
    params.end()?;
    let version = match version.map(|text| text.parse::<u64>()) {
        None => return Ok(Json(parse(&find(&app, Kind::Agent, &id).await?.document)?)),
        Some(Ok(version)) if version > 0 => version,
        Some(_) => return Err(Invalid::new("version", "Input should be a whole number, 1 or above").into()),
    };
    Ok(Json(at_version(&app, &id, version).await?))
}

/// The agent as it was at a version.
pub(crate) async fn at_version(app: &App, id: &str, version: u64) -> Result<Agent, Refused> {
    let current: Agent = parse(&find(app, Kind::Agent, id).await?.document)?;
    match app.store().get(WORKSPACE, Kind::AgentVersion, &version_id(id, version)).await {
        Ok(listed) => Ok(Agent { archived_at: current.archived_at, ..parse(&listed.document)? }),
        Err(Error::NotFound) => Err(Problem::not_found(format!("The agent {id} has no version {version}")).into()),
        Err(error) => Err(unexpected(error)),
    }
}

pub(crate) async fn update(
    State(app): State<App>,
    Path(id): Path<String>,
    once: Once,
    Body(update): Body<Update>,
) -> Outcome {
    loop {
        let document = find(&app, Kind::Agent, &id).await?.document;
        let agent: Agent = parse(&document)?;
        if agent.archived_at.is_some() {
            return Err(archived(&id).into());
        }
        if update.version.is_some_and(|version| version != agent.version) {
            let message =
                format!("version: The agent is at version {}. Read it again and repeat the update", agent.version);
            return Err(Problem::conflict(message).into());
        }
        let (definition, metadata) = update.clone().over(&agent.definition, &agent.metadata)?;
        if definition == agent.definition && metadata == agent.metadata {
            return once.unchanged(&app, json(&agent)?).await;
        }
        if definition.model.id != agent.definition.model.id {
            find_route(&app, &definition.model.id)?;
        }
        let now = app.now();
        let agent = Agent { definition, metadata, version: agent.version + 1, updated_at: now, ..agent };
        let body = json(&agent)?;
        let next = documents::next(&document, body.clone(), now, None);
        let version = version_document(&agent, &next);
        let changes = vec![Change::Update(next), Change::Insert(version), once.remember(now, &body)];
        match app.store().apply(changes).await {
            Ok(()) => return Ok(Text(body)),
            // Somebody else was faster: decide again on what they made.
            Err(Error::Stale { .. }) => {}
            Err(error) => return Err(unexpected(error)),
        }
    }
}

pub(crate) fn archived(id: &str) -> Problem {
    Problem::invalid(format!("The agent {id} is archived. Create a new one"))
}

pub(crate) async fn archive(State(app): State<App>, Path(id): Path<String>, once: Once) -> Outcome {
    loop {
        let document = find(&app, Kind::Agent, &id).await?.document;
        let agent: Agent = parse(&document)?;
        if agent.archived_at.is_some() {
            return once.unchanged(&app, json(&agent)?).await;
        }
        let now = app.now();
        let agent = Agent { archived_at: Some(now), updated_at: now, ..agent };
        let body = json(&agent)?;
        let next = documents::next(&document, body.clone(), now, Some(now));
        match app.store().apply(vec![Change::Update(next), once.remember(now, &body)]).await {
            Ok(()) => return Ok(Text(body)),
            Err(Error::Stale { .. }) => {}
            Err(error) => return Err(unexpected(error)),
        }
    }
}

pub(crate) async fn list(State(app): State<App>, mut params: Params) -> Reply<Page<Agent>> {
    let limit = params.limit(20, 100)?;
    let (created_from, created_to) = params.created()?;
    let include_archived = params.flag("include_archived")?;
    let filter = Filter { include_archived, created_from, created_to, ..Filter::default() };
    agents(documents::page(&app, Kind::Agent, filter, limit, params).await?)
}

pub(crate) async fn versions(State(app): State<App>, Path(id): Path<String>, mut params: Params) -> Reply<Page<Agent>> {
    find(&app, Kind::Agent, &id).await?;
    let limit = params.limit(20, 100)?;
    let filter = Filter { parent: Some(id), include_archived: true, ..Filter::default() };
    agents(documents::page(&app, Kind::AgentVersion, filter, limit, params).await?)
}

fn agents(found: documents::Found) -> Reply<Page<Agent>> {
    let data: Result<Vec<Agent>, _> = found.listed.iter().map(|listed| parse(&listed.document)).collect();
    Ok(Json(Page::new(data?, found.next)))
}
