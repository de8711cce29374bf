//! Hands: anything that acts. A brain gives a name and an input and gets content back; it does not know what is behind.
//!
//! [`Sandbox`] makes hands, [`Hand`] is one. Behind them are backends, one module each. The only one so far is
//! [`namespace`]: a sandbox of Linux namespaces with `handd` as its pid 1, which outlives the server process and is
//! adopted again by its socket. A hand of another machine is reached with [`attach()`], over whatever stream leads
//! there.

mod attach;
mod connection;
mod hand;
pub mod namespace;
mod stream;

pub use attach::{Dial, attach};
pub use hand::{Address, Hand, Kept, Limits, Lost, ProvisionError, Sandbox, Spec};
pub use hand_protocol::{Content, Entry, Execute, Found, MAX_CHUNK, Outcome};
pub use stream::{BoxedStream, Stream};
