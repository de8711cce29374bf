//! The one way out of a sandbox.
//!
//! A sandbox has a network of its own that leads nowhere: every address is a local one, and what listens there was
//! handed out to this process, which runs on its own and outlives the server that started it. It learns from each
//! connection whom a program means, decides by the sandbox's [`Policy`] and the installation's [`Settings`], resolves
//! the name itself, judges the address, writes down what it does, and dials exactly what it judged.
//!
//! [`run()`] is the process, [`Client`] how the server talks to it. As it belongs to no server, it ends by itself once
//! nobody needs it.
//!
//! Nothing that comes from inside is trusted: not the descriptors, not the first bytes, not a `Host` header. What
//! cannot be understood in one way only is refused; what waits is bounded, in time and in bytes; what cannot be
//! recorded does not pass.
//!
//! What it cannot see: inside TLS that is passed on, a request may be for another host of the same server than the one
//! that was named (domain fronting). Protocols other than HTTP and TLS are known by the name that was connected to
//! alone.

mod address;
mod audit;
mod connection;
mod control;
mod crowd;
mod dns;
mod entry;
mod frame;
mod gateway;
mod held;
mod host;
mod keys;
mod meter;
mod names;
mod pace;
mod policy;
mod pulse;
mod refusal;
mod resolve;
mod run;
mod sandbox;
mod settings;
mod shared;
mod socks;
mod stream;
mod tasks;
mod tls;
mod traces;
mod tunnel;
mod vigil;
mod web;

#[cfg(test)]
mod bench;

pub use control::{Attach, Client, Error, Fault, KeyError, Listed, Watch};
pub use host::{Host, HostPattern, Invalid, Name};
pub use keys::{KeyNames, KeyPlace};
pub use meter::Usage;
pub use policy::{Limits, Policy};
pub use resolve::{Resolve, SystemResolver, Unresolved};
pub use run::{Options, RunError, run};
pub use sandbox::SocketKind;
pub use settings::Settings;
pub use shared::Timeouts;
pub use traces::Traces;
