//! The whole backend against an engine of our own, whose containers are `handd` processes of this machine: what the
//! engine isolates is not there, and not tested.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod conformance;
mod fake;
mod hostile;
mod life;
