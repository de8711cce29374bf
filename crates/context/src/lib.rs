//! Context: what the model sees of a session. The log never loses anything; a view is computed from it.
//!
//! - [`Transcript`] turns rows into the conversation.
//! - [`system`] writes the system prompt.
//! - [`Policy`] says when a conversation is made shorter, and [`compaction`] has it summed up.
//!
//! The texts that models read are versioned here, and tested as snapshots.

pub mod compaction;
mod policy;
mod system;
#[cfg(test)]
mod testing;
mod transcript;

pub use policy::Policy;
pub use system::{Surroundings, system};
pub use transcript::Transcript;
