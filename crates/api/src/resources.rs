//! `/v1/sessions/{id}/resources`: read-only, until resources can change while a session lives.

use axum::Json;
use axum::extract::{Path, State};
use brain::SessionRecord;
use store::Kind;
use wire::Problem;
use wire::page::Page;
use wire::session::Resource;

use crate::app::App;
use crate::documents::{find, parse};
use crate::query::Params;
use crate::reply::{Refused, Reply};

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
    found
        .map(Json)
        .ok_or_else(|| Problem::not_found(format!("The session {id} has no resource with the id {resource}")).into())
}
