//! What is said on a connection, once both sides are known to each other.

use hands::{Address, Lost};
use serde::{Deserialize, Serialize};
use wire::SessionId;

/// First, by the side that has connected: what the connection is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "want", rename_all = "snake_case")]
pub(crate) enum Want {
    Previews,
    /// One sandbox. After the verdict the connection carries its bytes.
    Hand {
        address: Address,
    },
    /// What a sandbox was put away as. After the verdict come its length, as a little-endian `u64`, and its bytes.
    Checkpoint {
        address: Address,
    },
}

/// Whether the sandbox is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Verdict {
    Reached { ok: bool },
    Refused { refused: Refusal, reason: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// The sandbox is known to be no more.
    Gone,
    /// It cannot be reached just now.
    Refused,
}

/// By the side that wants previews, at any time: of which sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Interest {
    Want(SessionId),
    Unwant(SessionId),
}

/// By the other side: a preview of one of them, as [`bus::Preview::encode`] gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Carried {
    pub(crate) session: SessionId,
    pub(crate) preview: String,
}

impl From<Lost> for Verdict {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Gone(reason) => Self::Refused { refused: Refusal::Gone, reason },
            Lost::Refused(reason) => Self::Refused { refused: Refusal::Refused, reason },
            // Dialling asks nothing of the daemon, so that nobody can have been fenced off.
            Lost::Fenced(_) => Self::Refused { refused: Refusal::Refused, reason: lost.to_string() },
        }
    }
}

impl Verdict {
    pub(crate) fn into_result(self) -> Result<(), Lost> {
        match self {
            Self::Reached { ok: true } => Ok(()),
            Self::Reached { ok: false } => Err(Lost::Refused("its node says so, and not why".into())),
            Self::Refused { refused: Refusal::Gone, reason } => Err(Lost::Gone(reason)),
            Self::Refused { refused: Refusal::Refused, reason } => Err(Lost::Refused(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(said: &impl Serialize) -> String {
        serde_json::to_string(said).unwrap()
    }

    #[test]
    fn nodes_of_different_versions_agree_on_the_words() {
        let session = SessionId::from_bits(1);
        assert_eq!(words(&Want::Previews), r#"{"want":"previews"}"#);
        assert_eq!(words(&Verdict::Reached { ok: true }), r#"{"ok":true}"#);
        let gone = Verdict::from(Lost::Gone("dead".into()));
        assert_eq!(words(&gone), r#"{"refused":"gone","reason":"dead"}"#);
        assert_eq!(words(&Interest::Unwant(session)), format!(r#"{{"unwant":"{session}"}}"#));
        let address = r#"{"backend":"namespace","directory":"hands/one","incarnation":"1","home":"here"}"#;
        let want: Want = serde_json::from_str(&format!(r#"{{"want":"hand","address":{address}}}"#)).unwrap();
        assert!(matches!(want, Want::Hand { address } if address.home.as_deref() == Some("here")));
    }

    #[test]
    fn a_loss_keeps_its_kind_over_the_wire() {
        for lost in [Lost::Gone("dead".into()), Lost::Refused("away".into())] {
            let told = words(&Verdict::from(lost.clone()));
            let heard: Verdict = serde_json::from_str(&told).unwrap();
            assert_eq!(heard.into_result().unwrap_err().to_string(), lost.to_string());
        }
    }
}
