//! The frames themselves.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What the host asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the host, unique on the connection, and repeated by the answer.
    pub seq: u64,
    /// The lease epoch of the brain that asks. The daemon refuses an epoch lower than one it has seen.
    pub epoch: u64,
    #[serde(flatten)]
    pub verb: Verb,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Verb {
    /// First on every connection. Answered by [`Reply::Welcome`].
    Hello { version: u32 },
    /// Run a tool. Answered by [`Reply::Done`] when it has ended. A call id that the journal knows is never run again:
    /// its recorded outcome is returned, or waited for if it is still running.
    Execute(Execute),
    /// What became of these calls. Answered by [`Reply::Journal`], at once and in the order asked.
    Look { calls: Vec<String> },
    /// End a running call and its processes. Answered by [`Reply::Ok`]; the call's own answer follows, as an error.
    Cancel { call: String },
    /// The regular files below the outputs directory. Answered by [`Reply::Entries`].
    Outputs,
    /// Bytes of one file below the outputs directory, by its path relative to it. Answered by [`Reply::Chunk`].
    Fetch { path: String, offset: u64, length: u64 },
    /// The sockets that lead out. Answered by [`Reply::Sockets`], with a copy of each descriptor on the same message.
    /// Asked on a connection of its own, without a hello, and under any epoch: whoever serves them is no brain.
    Sockets,
    /// End every process but the daemon and send what the sandbox has written, to be begun with by another one. Asked on a
    /// connection of its own, and answered by [`Reply::Ok`]. An archive follows that frame, in pieces: a little-endian
    /// `u32` length, at most [`crate::MAX_PIECE`], and that many bytes. A length of 0 ends it; then comes, in the same form
    /// and once, why it is not whole, which is empty if it is. No call begins until the connection ends, unless a higher
    /// epoch asks for something before the archive has ended: that ends the connection.
    Save,
    /// End every process and exit. Answered by [`Reply::Ok`].
    Shutdown,
}

/// What a socket that leads out of a sandbox is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Socket {
    /// Connections of programs that honour proxy variables.
    Proxy,
    DnsUdp,
    DnsTcp,
    /// All other connections, whomever they were meant for: the socket's own address tells.
    Catch,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execute {
    /// The id of the tool-use event: unique for the life of the session.
    pub call: String,
    pub tool: String,
    pub input: Map<String, Value>,
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub seq: u64,
    #[serde(flatten)]
    pub reply: Reply,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    Welcome {
        version: u32,
        incarnation: String,
    },
    Done {
        outcome: Outcome,
    },
    Journal {
        found: Vec<Found>,
    },
    Entries {
        entries: Vec<Entry>,
        truncated: bool,
    },
    Chunk {
        data: String,
        eof: bool,
    },
    Sockets {
        kinds: Vec<Socket>,
    },
    Ok,
    /// The epoch is lower than one already seen: whoever asks is no longer this session's brain.
    Fenced {
        epoch: u64,
    },
    Refused {
        message: String,
    },
}

/// A call's end, as the model will see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub content: Vec<Content>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

impl Outcome {
    pub fn text(text: impl Into<String>) -> Self {
        Self { content: vec![Content::Text { text: text.into() }], is_error: false }
    }

    pub fn error(text: impl Into<String>) -> Self {
        Self { is_error: true, ..Self::text(text) }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    Text {
        text: String,
    },
    /// Standard base64.
    Image {
        media_type: String,
        data: String,
    },
    /// Standard base64; PDF only.
    Document {
        media_type: String,
        data: String,
    },
}

/// What the journal knows of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Found {
    NeverReceived,
    Running,
    Finished {
        outcome: Outcome,
    },
    /// Started by an earlier incarnation of the daemon, which did not live to record an end.
    Unknown,
}

/// One file the agent has left for its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the outputs directory, `/`-separated, no `..`.
    pub path: String,
    pub size: u64,
    /// Nanoseconds since the Unix epoch, by the sandbox's clock.
    pub modified: u64,
}
