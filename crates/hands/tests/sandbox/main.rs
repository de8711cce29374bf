//! Real sandboxes on this machine, as the current user; and once more as an ordinary user, where that can be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod bench;
mod escape;
mod given;
mod layers;
mod life;
mod limits;
mod network;
mod ordinary;
mod rest;
mod restart;
