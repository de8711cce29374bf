//! Who asks.

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

    /// Whether this is the key. Digests are compared, so how long it takes tells nothing of the key.
    fn matches(&self, secret: &str) -> bool {
        let other: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        self.digest == other
    }
}

/// The key may come in either header: clients of both generations are told apart by nothing else.
pub(crate) fn check(key: &Key, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, secret)| secret);
    let given: Vec<_> = [text("x-api-key"), bearer].into_iter().flatten().collect();
    if given.is_empty() {
        let message = "No API key: send it as x-api-key, or as authorization: Bearer";
        return Err(Problem::new(Kind::AuthenticationError, message));
    }
    if given.iter().any(|secret| key.matches(secret.trim())) {
        return Ok(());
    }
    Err(Problem::new(Kind::AuthenticationError, "invalid x-api-key"))
}
