//! The error envelope: the one shape in which every refusal and failure reaches a client.

use serde::Serialize;

use crate::work::LeaseState;
use crate::{Invalid, RequestId};

/// The `error.type` strings, each with its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    InvalidRequestError,
    AuthenticationError,
    PermissionError,
    NotFoundError,
    ConflictError,
    RequestTooLarge,
    RateLimitError,
    ApiError,
    OverloadedError,
}

impl Kind {
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequestError => 400,
            Self::AuthenticationError => 401,
            Self::PermissionError => 403,
            Self::NotFoundError => 404,
            Self::ConflictError => 409,
            Self::RequestTooLarge => 413,
            Self::RateLimitError => 429,
            Self::ApiError => 500,
            Self::OverloadedError => 529,
        }
    }
}

/// A refusal, before it has a request id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    pub kind: Kind,
    pub message: String,
    /// `error.details.error_code`, where the API defines one.
    pub code: Option<&'static str>,
    /// `error.details.current_state`, where a heartbeat is refused.
    pub lease: Option<LeaseState>,
}

impl Problem {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, lease: None }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidRequestError, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFoundError, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::ConflictError, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::ApiError, message)
    }

    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub fn envelope(&self, request_id: RequestId) -> Envelope<'_> {
        let details = self.code.map(|error_code| Details { error_code, current_state: self.lease.as_ref() });
        Envelope { r#type: "error", error: Body { r#type: self.kind, message: &self.message, details }, request_id }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let code = invalid.code;
        Self { code, ..Self::invalid(invalid.to_string()) }
    }
}

#[derive(Debug, Serialize)]
pub struct Envelope<'a> {
    r#type: &'static str,
    error: Body<'a>,
    request_id: RequestId,
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    r#type: Kind,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(Debug, Serialize)]
struct Details<'a> {
    error_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_state: Option<&'a LeaseState>,
}
