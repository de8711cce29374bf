//! The YAML of a script. An unknown key is an error that names it.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

use super::expect::Expect;
use crate::Error;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) turns: Vec<Turn>,
    pub(super) then: Option<Then>,
    #[serde(default)]
    pub(super) asides: Vec<Turn>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Turn {
    /// For an aside: a text in the system prompt of the requests that it answers.
    pub(super) when: Option<String>,
    pub(super) expect: Option<Expect>,
    pub(super) think: Option<String>,
    pub(super) say: Option<String>,
    pub(super) delay_ms: u64,
    pub(super) call: Vec<Call>,
    pub(super) stop: Option<StopName>,
    pub(super) usage: Counts,
    pub(super) fail: Option<Fail>,
    pub(super) endless: bool,
}

impl Turn {
    /// What the turn asks for and cannot have.
    pub(super) fn contradiction(&self, is_aside: bool) -> Option<&'static str> {
        if is_aside != self.when.is_some() {
            return Some("asides have a `when`, and no other turn has one");
        }
        let more = self.think.is_some() || !self.call.is_empty() || self.stop.is_some() || self.fail.is_some();
        if self.endless && (more || self.usage != Counts::default()) {
            return Some("an endless turn never gets to anything but `say`");
        }
        let twice = self.call.iter().any(|call| call.malformed_input.is_some() && !call.input.is_empty());
        twice.then_some("a call has either `input` or `malformed_input`")
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub(super) tool: String,
    #[serde(default)]
    pub(super) input: Map<String, Value>,
    /// What the model writes in place of an input.
    pub(super) malformed_input: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StopName {
    EndTurn,
    ToolUse,
    MaxTokens,
    Refusal,
}

/// Tokens that are reported in place of those that are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Counts {
    pub(super) input: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) cache_read: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fail {
    error: ErrorName,
    /// Text deltas that still arrive. None means that the request itself is refused.
    #[serde(default)]
    pub(super) after_deltas: usize,
    #[serde(default = "once")]
    pub(super) times: u32,
    retry_after_ms: Option<u64>,
}

fn once() -> u32 {
    1
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ErrorName {
    Overloaded,
    RateLimited,
    Server,
    Connection,
    Unauthorized,
    Billing,
    Invalid,
    Malformed,
    TooLong,
}

impl Fail {
    pub(super) fn error(&self, script: &str) -> Error {
        let message = format!("the script `{script}` says so");
        let retry_after = self.retry_after_ms.map(Duration::from_millis);
        match self.error {
            ErrorName::Overloaded => Error::Overloaded { message, retry_after },
            ErrorName::RateLimited => Error::RateLimited { message, retry_after },
            ErrorName::Server => Error::Server { status: 500, message, retry_after },
            ErrorName::Connection => Error::Connection(message),
            ErrorName::Unauthorized => Error::Unauthorized(message),
            ErrorName::Billing => Error::Billing(message),
            ErrorName::Invalid => Error::Invalid(message),
            ErrorName::Malformed => Error::Malformed(message),
            ErrorName::TooLong => Error::TooLong(message),
        }
    }
}

/// What follows the last turn: one turn for ever, or all of them again.
#[derive(Debug)]
pub(super) enum Then {
    Turn(Box<Turn>),
    Restart,
}

// By hand, because serde's untagged enums answer an unknown key without naming it.
impl<'de> Deserialize<'de> for Then {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ThenVisitor;

        impl<'de> Visitor<'de> for ThenVisitor {
            type Value = Then;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a turn, or the word `restart`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Then, E> {
                match word {
                    "restart" => Ok(Then::Restart),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Then, A::Error> {
                Turn::deserialize(MapAccessDeserializer::new(fields)).map(|turn| Then::Turn(Box::new(turn)))
            }
        }

        deserializer.deserialize_any(ThenVisitor)
    }
}
