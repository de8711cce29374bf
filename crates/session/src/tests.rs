//! The core as tables: after this much of a conversation, these rows and these actions.

mod admission;
mod asked;
mod changes;
mod ending;
mod failures;
mod interrupts;
mod play;
mod properties;
mod reading;
mod taken;
mod tools;
mod turn;
mod words;
