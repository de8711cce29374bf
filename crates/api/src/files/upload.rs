//! `POST /v1/files`

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::response::{IntoResponse, Response};
use brain::FileRecord;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use store::{BlobId, Change, Document, Kind};
use wire::file::{File, FileType, media_type, name_fault};
use wire::{FileId, Invalid, Problem};

use crate::app::{App, WORKSPACE};
use crate::body::too_large;
use crate::idempotency::{Once, Post, digest};
use crate::reply::{Outcome, Refused, Text, json, unexpected};

/// The most bytes of one file.
pub(crate) const MAX_FILE: usize = 500 << 20;

const EXPIRY: std::ops::RangeInclusive<u64> = 3_600..=7_776_000;

struct Uploaded {
    name: String,
    mime_type: String,
    blob: BlobId,
    size: u64,
}

/// What a form asks for, once its bytes are stored.
struct Form {
    uploaded: Uploaded,
    /// Seconds.
    expires_in: Option<u64>,
}

pub(crate) async fn upload(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let post = Post::of(request.uri(), request.headers())?;
    let form = take_form(&app, request).await?;
    let (app, fingerprint) = (&app, form.fingerprint());
    app.answers.once(&post, fingerprint, |once| async move { keep(app, form, once).await.into_response() }).await
}

impl Form {
    /// In place of the body's own: that is too long to keep, and its boundary is another one with every send.
    fn fingerprint(&self) -> String {
        let Uploaded { name, mime_type, blob, .. } = &self.uploaded;
        let expires_in = self.expires_in.map(|seconds| seconds.to_string()).unwrap_or_default();
        digest(&[blob.0.as_str(), name.as_str(), mime_type.as_str(), expires_in.as_str()])
    }
}

async fn take_form(app: &App, request: Request) -> Result<Form, Refused> {
    let mut form = Multipart::from_request(request, app).await.map_err(|rejection| {
        Problem::invalid(format!("The body is not multipart/form-data: {}", rejection.body_text()))
    })?;
    let mut uploaded = None;
    let mut expires_in = None;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name().unwrap_or_default() {
            "file" if uploaded.is_none() => uploaded = Some(take_file(app, field).await?),
            "file" => return Err(Invalid::new("file", "Only one file is allowed").into()),
            "expires_in_seconds" => expires_in = Some(take_expiry(field).await?),
            // Samples of an older API send it; it never meant anything here.
            "purpose" => {}
            other => return Err(Invalid::new(other, "Extra inputs are not permitted").into()),
        }
    }
    let uploaded = uploaded.ok_or_else(|| Invalid::new("file", "Field required"))?;
    Ok(Form { uploaded, expires_in })
}

async fn keep(app: &App, form: Form, once: Once) -> Outcome {
    let Form { uploaded: Uploaded { name, mime_type, blob, size }, expires_in } = form;
    let now = app.now();
    let file = File {
        id: FileId::from_bits(app.bits()),
        r#type: FileType::File,
        filename: name,
        mime_type,
        size_bytes: size,
        created_at: now,
        downloadable: false,
        expires_at: expires_in.map(|seconds| now.plus_millis(seconds * 1_000)),
        scope: None,
    };
    let answer = json(&file)?;
    let id = file.id;
    let record = FileRecord { file, blob: blob.0, output: None };
    let document = Document::new(WORKSPACE, Kind::File, id, now, json(&record)?);
    app.store().apply(vec![Change::Insert(document), once.remember(now, &answer)]).await.map_err(unexpected)?;
    Ok(Text(answer))
}

async fn take_file(app: &App, mut field: Field<'_>) -> Result<Uploaded, Refused> {
    let given = field.file_name().unwrap_or_default();
    // Only the last component: some clients send whole paths.
    let name = given.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("unnamed").to_owned();
    if let Some(fault) = name_fault(&name) {
        return Err(Invalid::new("file", fault).into());
    }
    let by_name = media_type(&name);
    let stated = field.content_type().map(str::to_owned);
    let mime_type = match stated {
        Some(stated) if stated != "application/octet-stream" && stated.len() <= 255 => stated,
        _ => by_name.to_owned(),
    };
    // The form lends its chunks; the store wants to own its stream.
    let (mut send, receive) = mpsc::channel(4);
    let feed = async move {
        let mut total = 0;
        loop {
            let chunk = field.chunk().await;
            total += chunk.as_ref().ok().and_then(Option::as_ref).map_or(0, |chunk| chunk.len());
            let (item, outcome) = match chunk {
                Ok(Some(_)) if total > MAX_FILE => {
                    (Err(std::io::Error::other("too large")), Some(Err(too_large("500 MB"))))
                }
                Ok(Some(chunk)) => (Ok(chunk), None),
                Ok(None) => return Ok(()),
                Err(error) => (Err(std::io::Error::other("cut")), Some(Err(broken(error)))),
            };
            let _ = send.send(item).await;
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    };
    let store = app.store().put(WORKSPACE, receive.boxed());
    let (fed, stored) = futures::join!(feed, store);
    fed?;
    let (blob, size) = stored.map_err(unexpected)?;
    Ok(Uploaded { name, mime_type, blob, size })
}

async fn take_expiry(mut field: Field<'_>) -> Result<u64, Refused> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        text.extend_from_slice(&chunk);
        // No number is that long; the rest is not even read.
        if text.len() > 32 {
            break;
        }
    }
    let seconds = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
        .filter(|seconds| EXPIRY.contains(seconds));
    let message = format!("Input should be a whole number from {} to {}", EXPIRY.start(), EXPIRY.end());
    seconds.ok_or_else(|| Invalid::new("expires_in_seconds", message).into())
}

fn broken(error: MultipartError) -> Problem {
    if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
        return too_large("500 MB");
    }
    Problem::invalid(format!("The form could not be read: {}", error.body_text()))
}
