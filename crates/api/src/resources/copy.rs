//! A session's own copies of files: they stay as they are, whatever becomes of the originals.

use axum::http::StatusCode;
use brain::{FileRecord, Mount};
use store::{Document, Kind};
use wire::file::{File, Scope, ScopeType};
use wire::session::{FileRequest, Resource};
use wire::{FileId, Invalid, Problem, ResourceId, SessionId, Timestamp};

use crate::app::{App, WORKSPACE};
use crate::files::find_file;
use crate::reply::{Refused, json};

/// One file, to be written together with the session's document.
pub(crate) struct Copy {
    pub(crate) mount: Mount,
    pub(crate) document: Document,
}

/// Those of a session that is being created.
pub(crate) async fn all(
    app: &App,
    session: SessionId,
    requests: Vec<FileRequest>,
    now: Timestamp,
) -> Result<Vec<Copy>, Refused> {
    let mut copies: Vec<Copy> = Vec::with_capacity(requests.len());
    for (index, request) in requests.into_iter().enumerate() {
        let field = |name: &str| format!("resources.{index}.{name}");
        let copy = one(app, session, request, now, &field).await?;
        free(&copy, copies.iter().map(|copy| &copy.mount), &field)?;
        copies.push(copy);
    }
    Ok(copies)
}

/// A copy of the file that is asked for. `field` names a field of the request.
pub(crate) async fn one(
    app: &App,
    session: SessionId,
    request: FileRequest,
    now: Timestamp,
    field: &impl Fn(&str) -> String,
) -> Result<Copy, Refused> {
    let (_, original) = find_file(app, &request.file_id).await.map_err(|refused| match refused.status() {
        StatusCode::NOT_FOUND => {
            let message = format!("{}: No file with the id {}", field("file_id"), request.file_id);
            Refused::from(Problem::not_found(message))
        }
        _ => refused,
    })?;
    if original.file.expires_at.is_some_and(|at| at <= now) {
        let expired = Invalid::new(field("file_id"), "The file has expired");
        return Err(Problem::from(expired).with_code("file_expired").into());
    }
    let path = request.mount_path.unwrap_or_else(|| format!("/{}", request.file_id));
    let mount_path = format!("/mnt/session/uploads{path}");
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
    Ok(Copy { mount: Mount { resource, blob: original.blob }, document })
}

/// Whether there is room for it beside the others: no file lies where another one, or its directory, is.
pub(crate) fn free<'a>(
    copy: &Copy,
    mut others: impl Iterator<Item = &'a Mount>,
    field: &impl Fn(&str) -> String,
) -> Result<(), Refused> {
    let Resource::File { mount_path, .. } = &copy.mount.resource;
    let collides = |mount: &Mount| {
        let Resource::File { mount_path: other, .. } = &mount.resource;
        other == mount_path
            || other.starts_with(&format!("{mount_path}/"))
            || mount_path.starts_with(&format!("{other}/"))
    };
    if others.any(collides) {
        let message = format!("{mount_path} is taken by another resource");
        return Err(Invalid::new(field("mount_path"), message).into());
    }
    Ok(())
}
