//! The binary from outside: what no official SDK can try, because it is about servers that die, databases that
//! fail, and clients that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod account;
mod agent;
mod client;
mod crash;
mod databases;
mod elsewhere;
mod environments;
mod hostile;
mod images;
mod keys;
mod kills;
mod letter;
mod limits;
mod moves;
mod network;
mod nodes;
mod outages;
mod pair;
mod place;
mod rest;
mod server;
mod serving;
mod stream;
mod traces;
mod vaults;
mod workers;
