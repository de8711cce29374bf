//! Answers: JSON, and the error envelope.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use wire::error::Kind;
use wire::{Problem, RequestId};

/// What handlers return. The problem travels as an extension until the request's id is put beside it.
pub(crate) type Reply<T> = Result<Json<T>, Refused>;

#[derive(Debug, Clone)]
pub(crate) struct Refused(pub(crate) Problem);

impl<P: Into<Problem>> From<P> for Refused {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(self.0.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the envelope of a refusal, now that the request's id is known.
pub(crate) fn seal(mut response: Response, request_id: RequestId) -> Response {
    if let Some(Refused(problem)) = response.extensions_mut().remove::<Refused>() {
        let json = serde_json::to_string(&problem.envelope(request_id)).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if problem.kind == Kind::ConflictError {
            // The same request would be refused again, and clients retry a 409 unless they are told not to.
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        *response.body_mut() = Body::from(json);
    }
    if let Ok(value) = HeaderValue::from_str(&request_id.to_string()) {
        response.headers_mut().insert("request-id", value);
    }
    response
}

/// A failure of our own. What went wrong is for the log; the client gets the request's id to ask with.
pub(crate) fn internal(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "a request failed");
    Problem::internal("The server could not do this. Its log has the reason under this request's id")
}

/// A store's error where nothing but its failure is expected.
pub(crate) fn unexpected(error: store::Error) -> Refused {
    Refused(internal(error))
}
