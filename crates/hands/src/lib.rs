//! Hands: anything that acts. A brain gives a name and an input and gets content back; it does not know what is behind.
//!
//! [`Sandbox`] makes hands, [`Hand`] is one. Behind them are backends, one module each. The first is [`namespace`]: a
//! sandbox of Linux namespaces with `handd` as its pid 1, which outlives the server process and is adopted again by its
//! socket. [`gvisor`] and [`oci`] put something more into it, and [`unconfined`] takes everything away. A hand of another
//! machine is reached with [`attach()`], over whatever stream leads there.

mod attach;
mod bundle;
pub mod conformance;
mod connection;
mod gate;
pub mod gvisor;
mod hand;
pub mod limits;
mod missing;
pub mod namespace;
pub mod oci;
pub mod pool;
mod program;
mod stream;
pub mod unconfined;
mod within;

pub use attach::{Dial, attach};
pub use gate::{Gate, Pass};
pub use hand::{Address, Checkpoint, Ground, Hand, Kept, Lost, Network, ProvisionError, Reach, Sandbox, Spec};
pub use hand_protocol::{Content, Entry, Execute, Found, MAX_CHUNK, Outcome, Socket};
pub use limits::Limits;
pub use missing::Missing;
pub use stream::{BoxedStream, Stream};

/// The daemon's program, static, for backends that bring it to where no launcher of this crate can.
#[must_use]
pub fn daemon_program() -> &'static [u8] {
    namespace::launcher::PROGRAM
}
