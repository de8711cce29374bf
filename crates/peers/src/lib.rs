//! A node's internal port, for the other nodes of its installation: previews of model output go to the nodes whose
//! clients watch, and a brain elsewhere reaches the sandboxes that live here.
//!
//! Every connection begins with a proof of both sides that they know the installation's secret, which itself never
//! travels. What follows is neither encrypted nor sealed: the port belongs on a private network. Then the side that has
//! connected says what it wants, once: previews, for as long as the connection lasts, one sandbox, whose bytes are
//! then passed on unread, or what is left of one that was put away. Losing all of it costs time, and never what is in
//! the log.

mod audience;
mod frame;
mod handshake;
mod interests;
mod left;
mod link;
mod peers;
mod port;
mod remote;
mod secret;
mod socket;
mod tasks;
mod wants;

pub use peers::{Local, Peers};
pub use secret::Secret;
