//! How the gateway is told what to do: over a Unix socket, by the server that started it or by the next one.
//!
//! Frames are a big-endian `u32` length and that many bytes of JSON; descriptors travel along. A connection begins with
//! both sides saying which version of this they speak, and each question has one answer.

mod client;
mod frame;
mod message;
mod server;

pub use client::{Client, Error};
pub use message::{Attach, Listed};
pub(crate) use server::listen;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Inside the gateway's directory.
const SOCKET: &str = "socket";

pub(crate) fn socket(directory: &Path) -> PathBuf {
    directory.join(SOCKET)
}

/// A socket's address holds 108 bytes, a path more: the way through a descriptor is always short. It leads there as
/// long as the file is open.
pub(crate) fn short_way(directory: &Path) -> io::Result<(File, PathBuf)> {
    let directory = File::open(directory)?;
    let way = socket(Path::new(&format!("/proc/self/fd/{}", directory.as_raw_fd())));
    Ok((directory, way))
}
