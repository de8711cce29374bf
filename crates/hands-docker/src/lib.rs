//! Sandboxes that are containers of a Docker Engine, or of Podman, which speaks the same API: for machines where an
//! engine is what there is, and its rules are what sandboxes have to follow.
//!
//! `handd` is put into the container before it starts, and is its first process. A connection to it is an `exec` of
//! `handd relay`, over the engine's socket; so nothing has to listen on any network. The container is kept until it is
//! destroyed, also when `handd` has ended: the next one of its session goes on with the journal that is in it.
//!
//! **Verified against fake engines only.** The tests speak to a server of their own that follows the public description
//! of the API; no container of a real engine has been seen by them.
//!
//! What a session can do in its container to `handd`'s files it does to itself: see `handd house`. The engine is
//! trusted, and whoever may use its socket is as good as root on its machine: so is this server.
//!
//! The client is our own, over `hyper`, which is linked anyway: ten plain requests, and one that becomes a stream. A
//! library for the whole API, such as `bollard`, brings types for all of it and a second client stack to compile.

mod archive;
mod container;
mod docker;
mod engine;
mod report;
mod shared;
mod stream;

pub use docker::{Docker, Options, Way};
