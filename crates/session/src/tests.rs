//! The core as tables: after this much of a conversation, these rows and these actions.

mod admission;
mod asked;
mod audit;
mod budgets;
mod changes;
mod compaction;
mod ending;
mod failures;
mod forgetting;
mod interrupts;
mod kept;
mod play;
mod properties;
mod reading;
mod snapshots;
mod system_messages;
mod taken;
mod tools;
mod turn;
mod updates;
mod words;
mod workers;
