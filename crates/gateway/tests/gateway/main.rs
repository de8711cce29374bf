//! A whole gateway, controlled over its socket, with programs and servers on the loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod attacks;
mod bench;
mod control;
mod sandboxes;
