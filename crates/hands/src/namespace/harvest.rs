//! Makes a layer of what a sandbox has written.
//!
//! Any program may have run in there, as root of a kind, so nothing that is found is trusted: it is gone through by
//! directory descriptors, no link is followed, and what has no place in a layer goes. By then the sandbox has ended,
//! and nobody writes any more.

mod clear;
mod give;
pub(super) mod remove;
pub(super) mod walk;

#[cfg(test)]
mod tests;

use std::{io, path::Path};

use hand_protocol::Identity;
use rustix::process::geteuid;

use super::keep::{Keep, ROOT, USR, WORK};

/// Makes a layer of the directory, in its place: what belongs to no installation goes, and what the sandbox's users own
/// becomes that of the users whom they were inside. If it fails, what is there is of no use any more. Blocks.
pub(super) fn harvest(keep: &Keep) -> io::Result<()> {
    let Keep { path, identity } = keep;
    // Nobody else can give files away; theirs are their own inside too.
    let identity = geteuid().is_root().then_some(*identity);
    transform(path, identity).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn transform(path: &Path, identity: Option<Identity>) -> io::Result<()> {
    let top = walk::open(path)?;
    for name in WORK {
        remove::entry(&top, name.as_bytes())?;
    }
    clear::clear(&top)?;
    let mut giver = give::Giver::new(&top, identity)?;
    [ROOT, USR].into_iter().try_for_each(|part| giver.give(&top, part))
}
