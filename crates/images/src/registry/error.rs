//! Why a registry does not give what it was asked for.

use std::{io, time::Duration};

use crate::Digest;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the registry {registry} cannot be reached: {reason}")]
    Unreachable { registry: String, reason: String },
    #[error("the registry {registry} is busy or broken (status {status})")]
    Busy { registry: String, status: u16, retry_after: Option<Duration> },
    #[error("the registry {registry} has no {what}")]
    NotFound { registry: String, what: String },
    #[error("the registry {registry} does not give it to us: {reason}")]
    Denied { registry: String, reason: String },
    #[error("the registry {registry} answers with status {status}: {message}")]
    Refused { registry: String, status: u16, message: String },
    #[error("the registry {registry} sent {actual} where it was asked for {expected}")]
    Digest { registry: String, expected: Digest, actual: Digest },
    #[error("the {what} has more than {limit} bytes")]
    TooLarge { what: String, limit: u64 },
    #[error("no registry can be asked: {0}")]
    Setup(String),
    #[error("what a registry sent cannot be written: {0}")]
    Disk(io::Error),
}

impl Error {
    /// Whether it may be otherwise in a moment.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. })
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Without the address: it may hold a signature that gives access to what it names.
pub(super) fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
