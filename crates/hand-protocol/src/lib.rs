//! What a host and the daemon inside a sandbox (`handd`) say to each other.
//!
//! One Unix stream socket; frames are a little-endian `u32` length and that many bytes of JSON. The host asks, the daemon
//! answers; an answer carries its request's `seq`, and answers may overtake each other, because a long command must not
//! hold up a short read. The host treats the daemon as hostile: every frame is bounded, and no host path is ever taken
//! from one.

mod codec;
mod frame;
pub mod guest;
mod house;
mod launch;
mod left;

pub use codec::{Error, read_frame, write_frame};
pub use frame::{Answer, Content, Entry, Execute, Found, Outcome, Reply, Request, Socket, Verb};
pub use house::{HOUSE, HOUSE_DAEMON, HOUSE_JOURNAL, HOUSE_SOCKET, House};
pub use launch::{Identity, Launch, Launched, Limits, OWN, Serve};
pub use left::{LEFT, LEFT_END, left_end};

/// The version this build speaks. A host also speaks the one before.
pub const VERSION: u32 = 1;

/// No frame is larger. A call's result is far below it (text to 100,000 characters, media to 20 MiB in base64).
pub const MAX_FRAME: usize = 32 << 20;

/// The longest stretch of a file that one [`Verb::Fetch`] returns, in bytes.
pub const MAX_CHUNK: u64 = 1 << 20;

/// The longest piece of an archive that [`Verb::Save`] has sent, in bytes.
pub const MAX_PIECE: usize = 256 << 10;

/// Past this many characters a result's text is cut to its head and tail, and the whole is left in a file.
pub const MAX_TEXT: usize = 100_000;

/// The descriptor on which `handd` finds its listening socket.
pub const LISTENER_FD: i32 = 3;

/// The descriptor of the call journal, opened outside the sandbox's tree, append only.
pub const JOURNAL_FD: i32 = 4;

/// The two parts of the private writable layer, as directories: what lies over the root, and over `/usr`. Nothing inside
/// leads to them but the daemon's own descriptors.
pub const UPPER_FD: i32 = 5;
pub const USR_UPPER_FD: i32 = 6;

/// The file that takes what was written when nobody needs the sandbox any more, opened outside its tree, to be written only.
pub const LEFT_FD: i32 = 7;

/// The first of the descriptors that lead to a gateway, in the order in which the daemon was told their kinds.
pub const SOCKETS_FD: i32 = 8;
/// How many of them there may be.
pub const MAX_SOCKETS: i32 = 8;

/// What files of a sandbox's `/etc` say, whatever system lies below: nothing in them tells of the host.
pub const HOSTNAME: &str = "sandbox\n";
pub const HOSTS: &str = "127.0.0.1\tlocalhost sandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n";
/// The gateway answers here once a sandbox is given a network. Without one, asking fails at once.
pub const RESOLVER: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

/// Where the agent works.
pub const WORKSPACE: &str = "/workspace";
/// What the following three are in.
pub const SESSION: &str = "/mnt/session";
/// Where the session's input files are, read-only.
pub const UPLOADS: &str = "/mnt/session/uploads";
/// What is left here at the end of a turn becomes files of the session.
pub const OUTPUTS: &str = "/mnt/session/outputs";
/// Where the whole of an over-long tool output is kept.
pub const OVERFLOW: &str = "/mnt/session/tool_outputs";
