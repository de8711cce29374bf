//! The brain: leases and the loop. It reads a session's log, asks a model, has hands act, and appends.
//!
//! What to do is decided by `session::step`; this crate performs it. A brain may die at any await: another takes the lease,
//! reads the log and goes on. Nothing that matters is kept only here.

mod asking;
mod brain;
mod collect;
mod elsewhere;
mod grounds;
mod hands_of;
mod judge;
mod limits;
mod live;
mod record;
mod retry;
mod routes;
mod shelf;
mod tasks;
mod tenure;
mod work;
mod worker;

pub use brain::{Brain, Options, Parts, Station, Turn};
pub use elsewhere::{Alone, Elsewhere};
pub use grounds::{Bare, Grounds};
pub use judge::{Judge, Rule, Rules, Ruling};
pub use limits::check_limits;
pub use live::{Crash, Live, Sessions, Write, WriteError};
pub use record::{FileRecord, Mount, Output, SessionRecord};
pub use retry::Backoff;
pub use routes::{Price, Route, Routes};
pub use shelf::Shelf;
pub use work::{Beat, By, Place, Record as WorkRecord};
