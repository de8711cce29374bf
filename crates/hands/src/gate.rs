//! The way out of sandboxes, as a backend sees it.

use std::{io, os::fd::OwnedFd};

use async_trait::async_trait;
use hand_protocol::Socket;

use crate::Network;

/// What serves the sockets that lead out of sandboxes. It runs elsewhere, and may end and come again while sandboxes
/// live: then [`crate::Sandbox::reopen`] gives it the same sockets once more.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Serves a sandbox from now on, under these terms. What it sends meanwhile waits in the sockets.
    async fn open(&self, pass: Pass<'_>, sockets: Vec<(Socket, OwnedFd)>) -> io::Result<()>;
    /// Serves it no more. No error if it is not served.
    async fn close(&self, incarnation: &str) -> io::Result<()>;
}

/// Who is to be served, and how.
#[derive(Debug)]
pub struct Pass<'a> {
    /// The sandbox's name: the session's id.
    pub name: &'a str,
    pub incarnation: &'a str,
    pub network: &'a Network,
    /// Becomes readable when the sandbox has ended. Its sockets keep its network alive, and so nobody learns of it by them.
    pub life: OwnedFd,
}
