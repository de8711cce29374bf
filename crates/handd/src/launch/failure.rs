//! A step that failed.

use std::io;

use hand_protocol::Launched;

use super::advice;

#[derive(Debug)]
pub(super) struct Failure {
    step: &'static str,
    reason: String,
}

impl Failure {
    pub(super) fn new(step: &'static str, reason: impl Into<String>) -> Self {
        Self { step, reason: reason.into() }
    }

    pub(super) fn into_reason(self) -> String {
        self.reason
    }
}

impl From<Failure> for Launched {
    fn from(failure: Failure) -> Self {
        Self::Failed { step: failure.step.to_owned(), reason: failure.reason }
    }
}

/// Names the step that an operating system's error belongs to, and adds what an operator can do about it.
pub(super) trait At<T> {
    fn at(self, step: &'static str) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|error| {
            let error = error.into();
            let advice = error.raw_os_error().and_then(|errno| advice::advice(step, errno, advice::setting));
            Failure { step, reason: advice.map_or_else(|| error.to_string(), |advice| format!("{error}: {advice}")) }
        })
    }
}
