//! The binary from outside: what no official SDK can try, because it is about servers that die, databases that
//! fail, and clients that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod account;
mod client;
mod crash;
mod databases;
mod hostile;
mod kills;
mod letter;
mod moves;
mod nodes;
mod outages;
mod pair;
mod place;
mod server;
mod serving;
mod stream;
mod traces;
