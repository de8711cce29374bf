//! Doorbells and previews between nodes, over NATS core.
//!
//! All of it is best effort, and losing NATS costs latency only. While it is away a node drops what it has to say; once
//! it is back, the node says that it has come, and the others look for themselves at what they watch. As NATS does not
//! tell who listens, nodes announce the sessions whose previews they want, again and again: what is not announced for a
//! while is forgotten.

mod audience;
mod bells;
mod line;
mod nats;
mod parts;
mod signals;
mod wishes;
mod words;

pub use nats::{Error, Nats};
