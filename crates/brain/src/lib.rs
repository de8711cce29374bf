//! The brain: leases and the loop. It reads a session's log, asks a model, has hands act, and appends.
//!
//! What to do is decided by `session::step`; this crate performs it. A brain may die at any await: another takes the lease,
//! reads the log and goes on. Nothing that matters is kept only here.

mod asking;
mod brain;
mod collect;
mod hands_of;
mod live;
mod record;
mod retry;
mod routes;
mod worker;

pub use brain::{Brain, Options, Parts};
pub use live::{Crash, Live, Sessions, Write, WriteError};
pub use record::{FileRecord, Mount, Output, SessionRecord};
pub use retry::Backoff;
pub use routes::{Price, Route, Routes};
