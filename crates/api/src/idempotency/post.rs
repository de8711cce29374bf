//! What makes two requests the same.

use axum::http::{HeaderMap, HeaderValue, Uri};
use sha2::{Digest, Sha256};
use wire::Invalid;

const KEY: &str = "idempotency-key";

/// The longest key, in bytes.
const LONGEST: usize = 255;

/// A POST as far as its address and its headers name it.
#[derive(Debug)]
pub(crate) struct Post {
    pub(super) claim: Claim,
    path: String,
    query: String,
    /// Whose request it is, if not whoever's has the API key.
    worker: Option<String>,
}

/// What the client says of earlier sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claim {
    /// Whatever comes under this key is the same request.
    Key(String),
    /// It was sent before, and its answer was not received: SDKs count their attempts.
    Again,
    First,
}

impl Post {
    pub(crate) fn of(uri: &Uri, headers: &HeaderMap) -> Result<Self, Invalid> {
        let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
        Ok(Self { claim: claim(headers)?, path, query, worker: None })
    }

    /// The same request of a worker: nobody is given an answer that was another's.
    pub(crate) fn of_worker(self, worker: Option<String>) -> Self {
        Self { worker, ..self }
    }

    /// Names the request, and tells nothing of what it says.
    pub(super) fn name(&self, client: &str, fingerprint: &str) -> String {
        let mut parts = match &self.claim {
            Claim::Key(key) => vec!["key", key.as_str(), self.path.as_str()],
            Claim::Again | Claim::First => {
                vec!["sent", client, self.path.as_str(), self.query.as_str(), fingerprint]
            }
        };
        parts.extend(self.worker.as_deref());
        digest(&parts)
    }
}

fn claim(headers: &HeaderMap) -> Result<Claim, Invalid> {
    let mut keys = headers.get_all(KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => read_key(key).map(Claim::Key),
        (Some(_), Some(_)) => Err(Invalid::new(KEY, "A request has one key at most")),
        (None, _) if attempts(headers) > 0 => Ok(Claim::Again),
        (None, _) => Ok(Claim::First),
    }
}

fn read_key(value: &HeaderValue) -> Result<String, Invalid> {
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > LONGEST || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Invalid::new(KEY, format!("Input should be 1 to {LONGEST} visible ASCII characters")));
    }
    Ok(key.to_owned())
}

/// How often the client has sent the request before, as far as it says.
fn attempts(headers: &HeaderMap) -> u64 {
    let count = headers.get("x-stainless-retry-count").and_then(|value| value.to_str().ok());
    count.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The SHA-256 of the parts, in hexadecimal. Their lengths count too, so that no other parts make up the same bytes.
pub(crate) fn digest<T: AsRef<[u8]>>(parts: &[T]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(uri: &'static str, headers: &[(&'static str, &str)]) -> Result<Post, Invalid> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Post::of(&Uri::from_static(uri), &map)
    }

    #[test]
    fn a_key_is_visible_ascii_of_bounded_length() {
        let longest = "k".repeat(255);
        for key in ["1", "8e03978e-40d5-43e8-bc93-6894a57f9324", "~!\"", longest.as_str()] {
            assert_eq!(post("/v1/agents", &[(KEY, key)]).unwrap().claim, Claim::Key(key.to_owned()));
        }
        for key in ["", "two words", "tab\t", "ünï", "k".repeat(256).as_str()] {
            assert_eq!(post("/v1/agents", &[(KEY, key)]).unwrap_err().path, KEY, "{key}");
        }
        assert_eq!(post("/v1/agents", &[(KEY, "a"), (KEY, "b")]).unwrap_err().path, KEY);
    }

    #[test]
    fn a_client_that_counts_an_attempt_sends_again() {
        let claim = |count: &str| post("/v1/agents", &[("x-stainless-retry-count", count)]).unwrap().claim;
        assert_eq!([claim("1"), claim("12")], [Claim::Again, Claim::Again]);
        assert_eq!([claim("0"), claim("x"), claim("-1")], [Claim::First, Claim::First, Claim::First]);
        let both = post("/v1/agents", &[("x-stainless-retry-count", "1"), (KEY, "k")]).unwrap();
        assert_eq!(both.claim, Claim::Key("k".into()));
    }

    #[test]
    fn a_key_names_the_request_with_its_path_alone() {
        let name = |uri, fingerprint| post(uri, &[(KEY, "k")]).unwrap().name("apikey_1", fingerprint);
        assert_eq!(name("/v1/agents", "a"), name("/v1/agents?beta=true", "b"));
        assert_ne!(name("/v1/agents", "a"), name("/v1/environments", "a"));
    }

    #[test]
    fn without_a_key_everything_names_the_request_but_the_attempt() {
        let name = |uri, client, body: &str| post(uri, &[]).unwrap().name(client, body);
        let first = name("/v1/agents", "apikey_1", "a");
        let again = post("/v1/agents", &[("x-stainless-retry-count", "1")]).unwrap().name("apikey_1", "a");
        assert_eq!(first, again);
        for other in [
            name("/v1/agents?beta=true", "apikey_1", "a"),
            name("/v1/environments", "apikey_1", "a"),
            name("/v1/agents", "apikey_2", "a"),
            name("/v1/agents", "apikey_1", "b"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn workers_and_the_operator_do_not_share_their_answers() {
        for headers in [&[(KEY, "k")][..], &[]] {
            let name = |worker: Option<&str>| {
                let post = post("/v1/agents", headers).unwrap().of_worker(worker.map(str::to_owned));
                post.name("apikey_1", "a")
            };
            assert_eq!(name(Some("work_1")), name(Some("work_1")));
            assert_ne!(name(Some("work_1")), name(Some("work_2")));
            assert_ne!(name(Some("work_1")), name(None));
        }
    }

    #[test]
    fn parts_that_are_cut_elsewhere_have_another_digest() {
        assert_eq!(digest(&["ab", "c"]), digest(&["ab", "c"]));
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["ab"]), digest(&["ab", ""]));
        assert_eq!(digest(&["ab"]).len(), 64);
    }
}
