//! What an environment is on this machine: a base, the host's own settings for package managers, and the packages.
//!
//! Packages are installed once, in a sandbox of their own that reaches package hosts alone, and kept as a read-only layer
//! named by its content: what is asked for, on which base. Sessions are copies on write over it. Whoever needs a layer
//! that is being made waits for it; a layer that could not be made is not tried again at once.

mod base;
mod build;
mod directory;
mod environments;
mod given;
mod layers;
mod network;
mod settings;
mod variables;

pub use environments::{Environments, OnIndexes, OpenError, Options};
