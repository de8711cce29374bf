//! What was written in the sandbox, and how it can be had from here.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    sync::Arc,
};

use super::porter::Porter;
use crate::{layer::Layer, left::Left};

pub(super) enum Written {
    /// The launcher has left a hold of it, and mostly a file to leave it in.
    Here { layer: Layer, left: Option<Left> },
    /// On a guest kernel there is nothing of the host's to hold.
    Outside(Arc<Porter>),
}

impl Written {
    /// Writes the archive of it, on a disk of this size. All that could change it has ended by then.
    pub(super) fn save(&self, disk: u64, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Here { layer, .. } => layer.save(disk, to),
            Self::Outside(porter) => porter.save(to),
        }
    }

    pub(super) fn can_be_left(&self) -> bool {
        matches!(self, Self::Here { left: Some(_), .. } | Self::Outside(_))
    }

    /// Leaves it on the host, unless something comes on the line meanwhile, which does not block, or `may` says no once all
    /// is there.
    pub(super) fn leave(&self, disk: u64, line: &UnixStream, may: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Here { layer, left: Some(left) } => {
                let filled = left.fill(layer, disk, line).and_then(|length| may().map(|()| length));
                filled.and_then(|length| left.end(length)).inspect_err(|_| drop(left.clear()))
            }
            Self::Here { left: None, .. } => Err(io::Error::other("there is nowhere to leave it")),
            Self::Outside(porter) => porter.leave(line, may),
        }
    }
}
