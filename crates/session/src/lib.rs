//! The pure core: what a session is, given its log, and what happens next.
//!
//! No async, no clock, no randomness: time and ids come in through [`Stamp`], everything else through arguments, so that the
//! same log and the same input always give the same rows and the same actions.
//!
//! - [`State::fold`] reads one row of the log into the state.
//! - [`admit`] decides whether clients' events may enter, and as which rows.
//! - [`step`] decides what a brain appends and does next.

mod admit;
mod change;
mod row;
mod state;
mod step;
mod totals;
mod work;
mod writer;

pub use admit::{Refusal, admit};
pub use change::{Change, archive, create, create_self_hosted, update};
pub use row::{Entry, Hidden, Note, Row, Stored, Visibility};
pub use state::{Call, CallState, Instructions, Phase, State, Summary, Thread, Waiting};
pub use step::{
    Action, Answer, Compaction, Failed, Flight, INTERRUPTED, Input, Judged, Limits, Said, Spent, Step, Stop, Use,
    Window, step,
};
pub use totals::{Cost, Tokens, Totals};
pub use work::{end_work, queue_work};
pub use writer::Stamp;

#[cfg(test)]
mod tests;
