//! The whole backend against a cluster of our own, whose pods are `handd` processes of this machine: what a cluster
//! isolates is not there, and not tested.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod conformance;
mod fake;
mod hostile;
mod life;
mod socket;
