//! The built-in toolset's contract: what the model is told of each tool, and which of its calls may run.

mod described;
mod policy;
pub mod words;

pub use described::{CATALOGUE, described};
pub use policy::{Offer, Verdict, is_repeatable};
