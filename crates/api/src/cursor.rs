//! Page cursors: opaque to clients, bound to the order they were made in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::Shown;
use wire::Invalid;

const PREFIX: &str = "page_";

/// Where a page of documents begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DocumentCursor {
    pub(crate) descending: bool,
    /// Against the order: the page before.
    #[serde(default)]
    pub(crate) back: bool,
    pub(crate) created_at: i64,
    pub(crate) id: String,
}

/// Where a page of events begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventCursor {
    pub(crate) descending: bool,
    pub(crate) waiting: bool,
    pub(crate) position: u64,
}

impl EventCursor {
    pub(crate) fn new(descending: bool, shown: Shown) -> Self {
        match shown {
            Shown::At(position) => Self { descending, waiting: false, position },
            Shown::Waiting(position) => Self { descending, waiting: true, position },
        }
    }

    pub(crate) fn shown(&self) -> Shown {
        if self.waiting { Shown::Waiting(self.position) } else { Shown::At(self.position) }
    }
}

pub(crate) fn encode<T: Serialize>(cursor: &T) -> String {
    // These types always serialise.
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(serde_json::to_vec(cursor).unwrap_or_default()))
}

pub(crate) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, Invalid> {
    let malformed = || Invalid::new("page", "Not a cursor of this list");
    let bytes = text.strip_prefix(PREFIX).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| malformed())
}

pub(crate) fn check_order(cursor: bool, asked: bool) -> Result<(), Invalid> {
    if cursor == asked { Ok(()) } else { Err(Invalid::new("page", "The cursor was made in another order")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_round_trip_and_nonsense_does_not() {
        let cursor = EventCursor { descending: true, waiting: false, position: 9 };
        assert_eq!(decode::<EventCursor>(&encode(&cursor)), Ok(cursor));
        for text in ["", "page", "page_", "page_%%%", "page_e30"] {
            assert!(decode::<EventCursor>(text).is_err(), "{text}");
        }
    }
}
