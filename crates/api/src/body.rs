//! Reading a request's body.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde_json::Value;
use wire::Problem;
use wire::error::Kind;
use wire::read::Read;

use crate::reply::Refused;

/// The most bytes of a JSON body.
pub(crate) const MAX_JSON: usize = 32 << 20;

/// A JSON body, read as `T`: every refusal names the field.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: Read> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let bytes = read(request).await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// The same, but a body that is not there is one that says nothing.
pub(crate) struct Lenient<T>(pub(crate) T);

impl<S: Send + Sync, T: Read> FromRequest<S> for Lenient<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let bytes = read(request).await?;
        Ok(Self(parse(if bytes.is_empty() { b"{}" } else { &bytes })?))
    }
}

fn parse<T: Read>(bytes: &[u8]) -> Result<T, Problem> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::invalid(format!("The request body is not valid JSON: {error}")))?;
    Ok(T::read(value, "")?)
}

/// The whole body, if it is not larger than its route allows.
pub(crate) async fn read(request: Request) -> Result<Bytes, Problem> {
    Bytes::from_request(request, &()).await.map_err(|rejection| {
        if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            too_large("32 MB")
        } else {
            Problem::invalid(format!("The request body could not be read: {}", rejection.body_text()))
        }
    })
}

pub(crate) fn too_large(limit: &str) -> Problem {
    Problem::new(Kind::RequestTooLarge, format!("The request is larger than {limit}"))
}
