//! Services for tests: a PostgreSQL and a NATS of their own, on loopback, gone with the test process; and programs that
//! few machines have.
//!
//! Where one is not installed, tests that need it are skipped, loudly and by name; under `CI=true` that is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

pub mod nats;
pub mod postgres;
mod process;
pub mod programs;
