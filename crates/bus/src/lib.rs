//! The live tail: what was appended, to whoever watches.
//!
//! Rows are published after their commit, previews whenever; both in order, through one bounded queue per watcher. A watcher
//! that is too slow loses its queue, not data: it is told so, and reads the log from where it was. Losing the bus costs
//! latency only.

mod published;
mod relay;
mod tail;

pub use published::{Preview, Published};
pub use relay::{Bell, Bells, Heard, Previews};
pub use tail::{Bus, Item, Subscription};
