//! Work items, as much of them as a worker reads: what is new in them later does it no harm.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Work {
    pub(crate) id: String,
    pub(crate) environment_id: String,
    pub(crate) data: Data,
    secret: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Data {
    r#type: String,
    id: String,
}

#[derive(Deserialize)]
struct Secret {
    sessions_token: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Heartbeat {
    pub(crate) last_heartbeat: String,
    pub(crate) lease_extended: bool,
    pub(crate) state: String,
    pub(crate) ttl_seconds: u64,
}

impl Work {
    /// The session whose calls are to be run; none of an item of another kind.
    pub(crate) fn session(&self) -> Option<&str> {
        (self.data.r#type == "session").then_some(self.data.id.as_str())
    }

    /// The credential for this item and its session, if it came with one.
    pub(crate) fn token(&self) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(self.secret.as_ref()?.trim_end_matches('=')).ok()?;
        serde_json::from_slice::<Secret>(&bytes).ok()?.sessions_token.filter(|token| !token.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(secret: Option<&str>) -> Work {
        let data = json!({"type": "session", "id": "sesn_1", "later": true});
        let work =
            json!({"id": "work_1", "environment_id": "env_1", "data": data, "secret": secret, "state": "queued"});
        serde_json::from_value(work).unwrap()
    }

    #[test]
    fn the_token_is_in_the_secret_with_padding_or_without() {
        let secret = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sessions_token":"sk-1","more":1}"#);
        assert_eq!(with(Some(&secret)).token().as_deref(), Some("sk-1"));
        assert_eq!(with(Some(&format!("{secret}=="))).token().as_deref(), Some("sk-1"));
        for none in [None, Some("?"), Some(""), Some("e30")] {
            assert_eq!(with(none).token(), None, "{none:?}");
        }
    }

    #[test]
    fn what_is_not_a_session_is_none_of_ours() {
        assert_eq!(with(None).session(), Some("sesn_1"));
        let mut check = with(None);
        check.data.r#type = "healthcheck".into();
        assert_eq!(check.session(), None);
    }
}
