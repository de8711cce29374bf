//! What a host and the daemon inside a sandbox (`handd`) say to each other.
//!
//! One Unix stream socket; frames are a little-endian `u32` length and that many bytes of JSON. The host asks, the daemon
//! answers; an answer carries its request's `seq`, and answers may overtake each other, because a long command must not
//! hold up a short read. The host treats the daemon as hostile: every frame is bounded, and no host path is ever taken
//! from one.

mod codec;
mod frame;
mod launch;

pub use codec::{Error, read_frame, write_frame};
pub use frame::{Answer, Content, Entry, Execute, Found, Outcome, Reply, Request, Verb};
pub use launch::{Identity, Launch, Launched};

/// The version this build speaks. A host also speaks the one before.
pub const VERSION: u32 = 1;

/// No frame is larger. A call's result is far below it (text to 100,000 characters, media to 20 MiB in base64).
pub const MAX_FRAME: usize = 32 << 20;

/// The longest stretch of a file that one [`Verb::Fetch`] returns, in bytes.
pub const MAX_CHUNK: u64 = 1 << 20;

/// Past this many characters a result's text is cut to its head and tail, and the whole is left in a file.
pub const MAX_TEXT: usize = 100_000;

/// The descriptor on which `handd` finds its listening socket.
pub const LISTENER_FD: i32 = 3;

/// The descriptor of the call journal, opened outside the sandbox's tree, append only.
pub const JOURNAL_FD: i32 = 4;

/// Where the agent works.
pub const WORKSPACE: &str = "/workspace";
/// Where the session's input files are, read-only.
pub const UPLOADS: &str = "/mnt/session/uploads";
/// What is left here at the end of a turn becomes files of the session.
pub const OUTPUTS: &str = "/mnt/session/outputs";
/// Where the whole of an over-long tool output is kept.
pub const OVERFLOW: &str = "/mnt/session/tool_outputs";
