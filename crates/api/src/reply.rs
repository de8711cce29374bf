//! Answers: JSON, and the error envelope.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use wire::error::Kind;
use wire::{Problem, RequestId};

/// What handlers return that only read. The problem travels as an extension until the request's id is put beside it.
pub(crate) type Reply<T> = Result<Json<T>, Refused>;

/// What handlers return that change something: the JSON itself, since what is remembered of an answer is what is sent.
pub(crate) type Outcome = Result<Text, Refused>;

/// JSON that is written already.
#[derive(Debug)]
pub(crate) struct Text(pub(crate) String);

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(internal)
}

#[derive(Debug, Clone)]
pub(crate) struct Refused {
    problem: Problem,
    status: StatusCode,
    /// What clients are told of sending the same again; unsaid, they go by the status.
    retry: Option<bool>,
}

impl<P: Into<Problem>> From<P> for Refused {
    fn from(problem: P) -> Self {
        let problem = problem.into();
        let status = StatusCode::from_u16(problem.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // The same request would be refused again, and clients retry a 409 unless they are told not to.
        let retry = (problem.kind == Kind::ConflictError).then_some(false);
        Self { problem, status, retry }
    }
}

impl Refused {
    /// The same request may be done a little later.
    pub(crate) fn for_now(message: impl Into<String>) -> Self {
        Self { retry: Some(true), ..Self::from(Problem::conflict(message)) }
    }

    /// What the request was sent on has changed since.
    pub(crate) fn precondition(problem: Problem) -> Self {
        Self { status: StatusCode::PRECONDITION_FAILED, ..Self::from(problem) }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(crate) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Well formed, but not what was sent under its name before.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, ..Self::from(Problem::invalid(message)) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the envelope of a refusal, now that the request's id is known.
pub(crate) fn seal(mut response: Response, request_id: RequestId) -> Response {
    if let Some(Refused { problem, retry, .. }) = response.extensions_mut().remove::<Refused>() {
        let json = serde_json::to_string(&problem.envelope(request_id)).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(retry) = retry {
            headers.insert("x-should-retry", HeaderValue::from_static(if retry { "true" } else { "false" }));
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
    match error {
        // Only answers are made under names that may be taken. `idempotency` gives the earlier answer in place of this.
        store::Error::Exists => Refused::for_now("The same request is being answered already. Send it again"),
        store::Error::Failed(reason) => {
            tracing::error!(reason, "the store failed a request");
            Problem::internal(
                "The server's database did not answer as it should. The request can be sent again; the server's log \
                 has the reason under this request's id",
            )
            .into()
        }
        error => internal(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(refused: Refused) -> Response {
        seal(refused.into_response(), RequestId::from_bits(1))
    }

    fn retry(response: &Response) -> Option<&str> {
        response.headers().get("x-should-retry")?.to_str().ok()
    }

    #[test]
    fn a_conflict_tells_whether_the_same_request_may_succeed_later() {
        let lasting = sealed(Problem::conflict("archived").into());
        assert_eq!((lasting.status(), retry(&lasting)), (StatusCode::CONFLICT, Some("false")));
        for passing in [Refused::for_now("wait"), unexpected(store::Error::Exists)] {
            let passing = sealed(passing);
            assert_eq!((passing.status(), retry(&passing)), (StatusCode::CONFLICT, Some("true")));
        }
    }

    #[tokio::test]
    async fn another_body_under_a_known_name_is_an_invalid_request_of_status_422() {
        let response = sealed(Refused::unprocessable("idempotency-key: used"));
        assert_eq!((response.status(), retry(&response)), (StatusCode::UNPROCESSABLE_ENTITY, None));
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["type"], "invalid_request_error");
        assert_eq!(body["error"]["message"], "idempotency-key: used");
    }

    #[tokio::test]
    async fn a_heartbeat_that_is_refused_tells_the_lease_as_it_stands() {
        let lease = wire::work::LeaseState {
            last_heartbeat: None,
            lease_extended: false,
            state: wire::work::State::Starting,
            ttl_seconds: 300,
        };
        let problem = Problem::invalid("not this one").with_code("heartbeat_precondition_failed");
        let response = sealed(Refused::precondition(Problem { lease: Some(lease), ..problem }));
        assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED);
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let state = serde_json::json!({
            "last_heartbeat": null, "lease_extended": false, "state": "starting", "ttl_seconds": 300,
        });
        let details = serde_json::json!({"error_code": "heartbeat_precondition_failed", "current_state": state});
        assert_eq!(body["error"]["details"], details);
    }

    #[test]
    fn a_failing_database_is_an_error_of_the_server_that_says_nothing_of_itself() {
        let refused = unexpected(store::Error::Failed("host db-3 is gone".into()));
        assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(refused.problem.message.contains("can be sent again"), "{}", refused.problem.message);
        assert!(!refused.problem.message.contains("db-3"), "{}", refused.problem.message);
    }
}
