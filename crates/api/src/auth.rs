//! The API key, and where credentials are found.

use axum::http::HeaderMap;
use sha2::{Digest, Sha256};
use wire::Problem;
use wire::error::Kind;

/// An API key, kept as its digest only.
pub struct Key {
    digest: [u8; 32],
    /// Names the key in coverage and audit records.
    pub(crate) id: String,
}

impl Key {
    pub fn new(secret: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let id = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self { digest, id: format!("apikey_{id}") }
    }

    pub(crate) fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// Whether this is the key. Digests are compared, so how long it takes tells nothing of the key.
    pub(crate) fn matches(&self, secret: &str) -> bool {
        let other: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        self.digest == other
    }
}

/// The credentials of a request. They may come in either header: clients of both generations are told apart by nothing
/// else.
pub(crate) fn given(headers: &HeaderMap) -> Result<Vec<&str>, Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, secret)| secret);
    let given: Vec<_> = [text("x-api-key"), bearer].into_iter().flatten().map(str::trim).collect();
    if given.is_empty() {
        let message = "No API key: send it as x-api-key, or as authorization: Bearer";
        return Err(Problem::new(Kind::AuthenticationError, message));
    }
    Ok(given)
}

/// Not a credential of this server, or not any more.
pub(crate) fn unknown() -> Problem {
    Problem::new(Kind::AuthenticationError, "invalid x-api-key")
}
