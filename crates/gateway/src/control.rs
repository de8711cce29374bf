//! How the gateway is told what to do: over a Unix socket, by the server that started it or by the next one.
//!
//! Frames are a big-endian `u32` length and that many bytes of JSON; descriptors travel along. A connection begins with
//! both sides saying which version of this they speak, and each question has one answer.

mod client;
mod message;
mod server;
mod watch;

pub use client::{Client, Error, KeyError};
pub use message::{Attach, Fault, Listed};
pub(crate) use server::listen;
pub use watch::Watch;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Inside the gateway's directory.
pub(crate) const SOCKET: &str = "socket";

/// A socket's address holds 108 bytes, a path more: the way through a descriptor is always short. It leads there as
/// long as the directory is open.
pub(crate) fn way(directory: &File) -> PathBuf {
    Path::new(&format!("/proc/self/fd/{}", directory.as_raw_fd())).join(SOCKET)
}
