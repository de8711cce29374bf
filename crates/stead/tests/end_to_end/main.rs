//! The binary from outside: what no official SDK can try, because it is about servers that die or clients that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod crash;
mod hostile;
mod server;
mod serving;
