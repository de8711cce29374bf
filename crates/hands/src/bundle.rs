//! What a guest that reads the OCI runtime specification is given: gVisor, or a container runtime.

mod configuration;
mod daemon;

pub(crate) use self::{configuration::write, daemon::file};
