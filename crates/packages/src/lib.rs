//! Packages: what an environment has installed before an agent starts, and where it comes from.
//!
//! [`Indexes`] tells where this host's package managers get packages, so that those inside a sandbox do the same and
//! the gateway lets them. It is found from the host's own settings and from the tools themselves: no index is named in
//! this code. [`recipes`] says how the packages are installed, [`diagnose`] which of them was at fault when that
//! failed, and [`key`] what the layer with them is called.
//!
//! Nothing here waits for the network, and no secret of the host leaves it: addresses are copied without their
//! credentials, and the files that hold credentials are only named.

mod address;
mod diagnose;
mod host;
mod indexes;
mod ini;
mod key;
mod recipe;

pub use diagnose::{Failure, Kind, diagnose};
pub use host::{Host, Runner};
pub use indexes::{Indexes, Settings};
pub use key::key;
pub use recipe::{Missing, Step, missing, recipes};
