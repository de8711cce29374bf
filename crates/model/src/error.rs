//! Why a model did not answer.

use std::time::Duration;

/// One variant per thing the brain does differently.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("the model provider limits the rate of requests: {message}")]
    RateLimited { message: String, retry_after: Option<Duration> },
    #[error("the model provider is overloaded: {message}")]
    Overloaded { message: String, retry_after: Option<Duration> },
    #[error("the model provider failed with status {status}: {message}")]
    Server { status: u16, message: String, retry_after: Option<Duration> },
    /// The connection could not be made, was cut, or fell silent.
    #[error("the connection to the model provider broke: {0}")]
    Connection(String),
    /// The answer is not of the protocol, or is larger than any model's answer may be.
    #[error("the model provider sent something that is not an answer: {0}")]
    Malformed(String),
    #[error("the model provider refused the key: {0}")]
    Unauthorized(String),
    #[error("the model provider wants to be paid: {0}")]
    Billing(String),
    #[error("the model provider refused the request: {0}")]
    Invalid(String),
    /// The conversation, or it and the answer's limit together, are more than the model's context window holds.
    #[error("the conversation is too long for the model: {0}")]
    TooLong(String),
}

impl Error {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Overloaded { .. }
            | Self::Server { .. }
            | Self::Connection(_)
            | Self::Malformed(_) => true,
            Self::Unauthorized(_) | Self::Billing(_) | Self::Invalid(_) | Self::TooLong(_) => false,
        }
    }

    /// The same error with another text.
    pub(crate) fn map_message(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::RateLimited { message, retry_after } => Self::RateLimited { message: change(message), retry_after },
            Self::Overloaded { message, retry_after } => Self::Overloaded { message: change(message), retry_after },
            Self::Server { status, message, retry_after } => {
                Self::Server { status, message: change(message), retry_after }
            }
            Self::Connection(message) => Self::Connection(change(message)),
            Self::Malformed(message) => Self::Malformed(change(message)),
            Self::Unauthorized(message) => Self::Unauthorized(change(message)),
            Self::Billing(message) => Self::Billing(change(message)),
            Self::Invalid(message) => Self::Invalid(change(message)),
            Self::TooLong(message) => Self::TooLong(change(message)),
        }
    }

    /// How long the provider asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. }
            | Self::Overloaded { retry_after, .. }
            | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
