//! Context: what the model sees of a session. The log never loses anything; a view is computed from it.
//!
//! - [`Transcript`] turns rows into the conversation.
//! - [`system`] writes the system prompt. Its text is versioned, and tested as snapshots.

mod system;
mod transcript;

pub use system::{Surroundings, system};
pub use transcript::Transcript;
