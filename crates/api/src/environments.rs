//! `/v1/environments`

use axum::Json;
use axum::extract::{Path, State};
use brain::check_limits;
use store::{Change, Document, Error, Filter, Kind};
use wire::environment::{Change as EnvironmentChange, Environment, EnvironmentType, Scope};
use wire::page::{Deleted, Page};
use wire::{EnvironmentId, Problem};

use crate::app::{App, WORKSPACE};
use crate::body::Body;
use crate::documents::{self, find, missing, parse};
use crate::idempotency::Once;
use crate::keys;
use crate::query::Params;
use crate::reply::{Outcome, Refused, Reply, Text, json, unexpected};

pub(crate) async fn create(State(app): State<App>, once: Once, Body(change): Body<EnvironmentChange>) -> Outcome {
    let now = app.now();
    let settings = change.create()?;
    check_limits(&settings.metadata)?;
    let environment = Environment {
        id: EnvironmentId::from_bits(app.bits()),
        r#type: EnvironmentType::Environment,
        settings,
        scope: Scope::Organization,
        created_at: now,
        updated_at: now,
        archived_at: None,
    };
    let body = json(&environment)?;
    let document = Document::new(WORKSPACE, Kind::Environment, environment.id, now, body.clone());
    app.store().apply(vec![Change::Insert(document), once.remember(now, &body)]).await.map_err(unexpected)?;
    Ok(Text(body))
}

pub(crate) async fn retrieve(State(app): State<App>, Path(id): Path<String>) -> Reply<Environment> {
    Ok(Json(parse(&find(&app, Kind::Environment, &id).await?.document)?))
}

pub(crate) fn archived(id: &str) -> Problem {
    Problem::invalid(format!("The environment {id} is archived")).with_code("environment_archived")
}

pub(crate) async fn update(
    State(app): State<App>,
    Path(id): Path<String>,
    once: Once,
    Body(change): Body<EnvironmentChange>,
) -> Outcome {
    let change = |environment: Environment| {
        if environment.archived_at.is_some() {
            return Err(Refused::from(archived(&id)));
        }
        let settings = change.clone().over(environment.settings.clone())?;
        check_limits(&settings.metadata)?;
        Ok(Environment { settings, ..environment })
    };
    edit(&app, &once, &id, change).await
}

pub(crate) async fn archive(State(app): State<App>, Path(id): Path<String>, once: Once) -> Outcome {
    let now = app.now();
    let change = |environment: Environment| {
        Ok(Environment { archived_at: environment.archived_at.or(Some(now)), ..environment })
    };
    edit(&app, &once, &id, change).await
}

/// Changes the environment, again if somebody else was faster. What does not change is not written.
async fn edit(
    app: &App,
    once: &Once,
    id: &str,
    change: impl Fn(Environment) -> Result<Environment, Refused>,
) -> Outcome {
    loop {
        let document = find(app, Kind::Environment, id).await?.document;
        let current: Environment = parse(&document)?;
        let changed = change(current.clone())?;
        if changed == current {
            return once.unchanged(app, json(&current)?).await;
        }
        let now = app.now();
        let changed = Environment { updated_at: now, ..changed };
        let body = json(&changed)?;
        let next = documents::next(&document, body.clone(), now, changed.archived_at);
        match app.store().apply(vec![Change::Update(next), once.remember(now, &body)]).await {
            Ok(()) => return Ok(Text(body)),
            Err(Error::Stale { .. }) => {}
            Err(error) => return Err(unexpected(error)),
        }
    }
}

pub(crate) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Reply<Deleted<String>> {
    let change = Change::Delete { workspace: WORKSPACE, kind: Kind::Environment, id: id.clone() };
    // Its keys go with it. One that is made at this moment opens nothing.
    let keys = keys::removal(app.store(), &id).await.map_err(unexpected)?;
    match app.store().apply([change].into_iter().chain(keys).collect()).await {
        Ok(()) => Ok(Json(Deleted { id, r#type: "environment_deleted" })),
        Err(Error::NotFound) => Err(missing(Kind::Environment, &id).into()),
        Err(Error::InUse) => {
            let message =
                format!("Sessions still use the environment {id}. Delete them first, or archive the environment");
            Err(Problem::invalid(message).into())
        }
        Err(error) => Err(unexpected(error)),
    }
}

pub(crate) async fn list(State(app): State<App>, mut params: Params) -> Reply<Page<Environment>> {
    let limit = params.limit(20, 100)?;
    let filter = Filter { include_archived: params.flag("include_archived")?, ..Filter::default() };
    let found = documents::page(&app, Kind::Environment, filter, limit, params).await?;
    let data: Result<Vec<Environment>, _> = found.listed.iter().map(|listed| parse(&listed.document)).collect();
    Ok(Json(Page::new(data?, found.next)))
}
