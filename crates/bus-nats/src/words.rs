//! What nodes say to each other, as JSON. Each word names who speaks, for NATS brings a node its own words too.

use bus::Bell;
use serde::{Deserialize, Serialize};
use wire::SessionId;

/// On `bell`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ringing {
    pub(crate) node: String,
    pub(crate) bells: Vec<Bell>,
}

/// On `want`: of which sessions a node wants previews, and of which no more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Wish {
    pub(crate) node: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) want: Vec<SessionId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unwant: Vec<SessionId>,
}

/// On `who`: a node that has just come asks what is wanted. What it rang for before, nobody may have heard.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Arrival {
    pub(crate) node: String,
}

/// On `preview.<session>`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Carried {
    pub(crate) node: String,
    /// Of this part within its event, from 0: a gap between numbers is a gap in the preview.
    pub(crate) number: u64,
    /// As [`bus::Preview::encode`] gives it.
    pub(crate) preview: String,
}
