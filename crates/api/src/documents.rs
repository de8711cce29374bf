//! What the lists and look-ups of all resources share.

use serde::de::DeserializeOwned;
use store::{Document, Error, Filter, Kind, Listed, Order, Query};
use wire::{Problem, Timestamp};

use crate::app::{App, WORKSPACE};
use crate::cursor::{self, DocumentCursor};
use crate::query::Params;
use crate::reply::{Refused, internal, unexpected};

/// The document, or the 404 that names it.
pub(crate) async fn find(app: &App, kind: Kind, id: &str) -> Result<Listed, Refused> {
    match app.store().get(WORKSPACE, kind, id).await {
        Ok(listed) => Ok(listed),
        Err(Error::NotFound) => Err(missing(kind, id).into()),
        Err(error) => Err(unexpected(error)),
    }
}

pub(crate) fn missing(kind: Kind, id: &str) -> Problem {
    let name = kind.name();
    let shown: String = id.chars().take(80).collect();
    let problem = Problem::not_found(format!("No {name} with the id {shown}"));
    if kind == Kind::Environment { problem.with_code("environment_not_found") } else { problem }
}

pub(crate) fn parse<T: DeserializeOwned>(document: &Document) -> Result<T, Problem> {
    serde_json::from_str(&document.body).map_err(internal)
}

/// The document with its next content.
pub(crate) fn next(document: &Document, body: String, now: Timestamp, archived_at: Option<Timestamp>) -> Document {
    Document { version: document.version + 1, updated_at: now, archived_at, body, ..document.clone() }
}

/// A page of documents, and the cursors to its neighbours.
pub(crate) struct Found {
    pub(crate) listed: Vec<Listed>,
    pub(crate) next: Option<String>,
    pub(crate) prev: Option<String>,
}

/// Runs a list's query; `order` and `page` are taken from the parameters, which must have nothing left then.
pub(crate) async fn page(
    app: &App,
    kind: Kind,
    filter: Filter,
    limit: usize,
    mut params: Params,
) -> Result<Found, Refused> {
    let descending = params.descending(true)?;
    let cursor = params.take("page").map(|text| cursor::decode::<DocumentCursor>(&text)).transpose()?;
    params.end()?;
    if let Some(cursor) = &cursor {
        cursor::check_order(cursor.descending, descending)?;
    }
    let back = cursor.as_ref().is_some_and(|cursor| cursor.back);
    let order = if descending != back { Order::NewestFirst } else { Order::OldestFirst };
    let after = cursor.as_ref().map(|cursor| (Timestamp::from_millis(cursor.created_at), cursor.id.clone()));
    // One more than asked tells whether there is another page.
    let query = Query { workspace: WORKSPACE, kind, filter, order, after, limit: limit + 1 };
    let mut listed = app.store().query(query).await.map_err(unexpected)?;
    let more = listed.len() > limit;
    listed.truncate(limit);
    if back {
        listed.reverse();
    }
    let to = |listed: Option<&Listed>, back: bool| {
        listed.map(|listed| {
            let document = &listed.document;
            let (created_at, id) = (document.created_at.millis(), document.id.clone());
            cursor::encode(&DocumentCursor { descending, back, created_at, id })
        })
    };
    let (has_next, has_prev) = if back { (true, more) } else { (more, cursor.is_some()) };
    let next = has_next.then(|| to(listed.last(), false)).flatten();
    let prev = has_prev.then(|| to(listed.first(), true)).flatten();
    Ok(Found { listed, next, prev })
}
