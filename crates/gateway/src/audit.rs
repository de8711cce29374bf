//! What the gateway did, for those who ask later: one JSON line for each decision and each connection's end.
//!
//! A decision to let something through is on disk before its first byte leaves. While nothing can be written, nothing
//! is let through.

mod files;
mod record;
mod spool;

pub(crate) use files::{Bounds, newest};
pub(crate) use record::{Kind, Protocol, Record, Verdict};
pub(crate) use spool::Spool;
