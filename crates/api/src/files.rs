//! `/v1/files`

mod upload;

use std::collections::HashSet;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brain::FileRecord;
use serde::Serialize;
use store::{BlobId, Change, Document, Error, Filter, Kind, Listed, Order, Query};
use wire::file::File;
use wire::page::{Deleted, Page};
use wire::{Invalid, Problem, Timestamp};

use crate::app::{App, WORKSPACE};
use crate::beta;
use crate::documents::{self, find, missing, parse};
use crate::query::Params;
use crate::reply::{Refused, Reply, unexpected};

pub(crate) use upload::{MAX_FILE, upload};

/// A file that a session has left and a client has deleted is archived, and to clients there is none.
pub(crate) async fn find_file(app: &App, id: &str) -> Result<(Document, FileRecord), Refused> {
    let document = find(app, Kind::File, id).await?.document;
    if document.archived_at.is_some() {
        return Err(missing(Kind::File, id).into());
    }
    let record = parse(&document)?;
    Ok((document, record))
}

pub(crate) async fn retrieve(State(app): State<App>, Path(id): Path<String>) -> Reply<File> {
    Ok(Json(find_file(&app, &id).await?.1.file))
}

pub(crate) async fn content(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refused> {
    let (_, FileRecord { file, blob, .. }) = find_file(&app, &id).await?;
    if file.expires_at.is_some_and(|at| at <= app.now()) {
        return Err(Problem::not_found(format!("The file {id} has expired")).with_code("file_expired").into());
    }
    if !file.downloadable {
        let message = "Files that were uploaded cannot be downloaded; only files that a session has left can";
        return Err(Problem::invalid(message).with_code("file_not_downloadable").into());
    }
    let bytes = app.store().read(WORKSPACE, &BlobId(blob)).await.map_err(unexpected)?;
    let mut response = Body::from_stream(bytes).into_response();
    let headers = response.headers_mut();
    // An agent wrote this file: no browser is to run it as a page of this server.
    headers.insert(header::CONTENT_TYPE, content_type(&file.mime_type));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("content-security-policy", HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.size_bytes));
    let name: String = file.filename.chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

fn content_type(mime: &str) -> HeaderValue {
    HeaderValue::from_str(mime).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

pub(crate) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Reply<Deleted<String>> {
    loop {
        let (document, record) = find_file(&app, &id).await?;
        // The bytes stay: sessions may have copies of the file.
        let change = if record.output.is_some() {
            // That it was collected stays known, or the same file would be collected again.
            let now = app.now();
            let version = document.version + 1;
            Change::Update(Document { version, updated_at: now, archived_at: Some(now), ..document })
        } else {
            Change::Delete { workspace: WORKSPACE, kind: Kind::File, id: id.clone() }
        };
        match app.store().apply(vec![change]).await {
            Ok(()) => return Ok(Json(Deleted { id, r#type: "file_deleted" })),
            Err(Error::Stale { .. }) => {}
            Err(Error::NotFound) => return Err(missing(Kind::File, &id).into()),
            Err(error) => return Err(unexpected(error)),
        }
    }
}

/// The list as the older generation of SDKs knows it.
#[derive(Serialize)]
struct LegacyPage {
    data: Vec<File>,
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

pub(crate) async fn list(State(app): State<App>, headers: HeaderMap, mut params: Params) -> Result<Response, Refused> {
    let ids = params.take_all("ids");
    if !ids.is_empty() {
        return Ok(by_ids(&app, ids, params).await?.into_response());
    }
    let limit = params.limit(20, 1_000)?;
    let parent = params.take("scope_id");
    if parent.as_ref().is_some_and(|scope| !scope.starts_with("sesn_")) {
        return Err(Invalid::new("scope_id", "Input should be the id of a session").into());
    }
    if parent.is_some() && !beta::has(&headers, beta::MANAGED_AGENTS) {
        return Err(Invalid::new("scope_id", format!("Needs the beta header {}", beta::MANAGED_AGENTS)).into());
    }
    let filter = Filter { parent, ..Filter::default() };
    if beta::has(&headers, beta::FILES_LEGACY) {
        return legacy(&app, filter, limit, params).await;
    }
    let found = documents::page(&app, Kind::File, filter, limit, params).await?;
    Ok(Json(Page::new(files(&found.listed)?, found.next)).into_response())
}

fn files(listed: &[Listed]) -> Result<Vec<File>, Problem> {
    listed.iter().map(|listed| parse::<FileRecord>(&listed.document).map(|record| record.file)).collect()
}

async fn by_ids(app: &App, ids: Vec<String>, params: Params) -> Reply<Page<File>> {
    params.end()?;
    let mut seen = HashSet::new();
    let ids: Vec<_> = ids.into_iter().filter(|id| seen.insert(id.clone())).collect();
    if ids.len() > 100 {
        return Err(Invalid::new("ids", "At most 100 are allowed").into());
    }
    let mut data = Vec::new();
    for id in ids {
        match find_file(app, &id).await {
            Ok((_, record)) => data.push(record.file),
            // Unknown ones are left out.
            Err(refused) if refused.status() == StatusCode::NOT_FOUND => {}
            Err(refused) => return Err(refused),
        }
    }
    Ok(Json(Page::new(data, None)))
}

async fn legacy(app: &App, filter: Filter, limit: usize, mut params: Params) -> Result<Response, Refused> {
    let (after, before) = (params.take("after_id"), params.take("before_id"));
    params.end()?;
    let (order, anchor) = match (&after, &before) {
        (Some(_), Some(_)) => return Err(Invalid::new("before_id", "Not together with after_id").into()),
        (None, Some(id)) => (Order::OldestFirst, Some(id)),
        (id, None) => (Order::NewestFirst, id.as_ref()),
    };
    let anchor: Option<(Timestamp, String)> = match anchor {
        None => None,
        Some(id) => {
            let (document, _) = find_file(app, id).await?;
            Some((document.created_at, document.id))
        }
    };
    let query = Query { workspace: WORKSPACE, kind: Kind::File, filter, order, after: anchor, limit: limit + 1 };
    let mut listed = app.store().query(query).await.map_err(unexpected)?;
    let has_more = listed.len() > limit;
    listed.truncate(limit);
    if order == Order::OldestFirst {
        listed.reverse();
    }
    let id = |listed: Option<&Listed>| listed.map(|listed| listed.document.id.clone());
    let (first_id, last_id) = (id(listed.first()), id(listed.last()));
    Ok(Json(LegacyPage { data: files(&listed)?, has_more, first_id, last_id }).into_response())
}
