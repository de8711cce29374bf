//! What sandboxes have left that ended themselves, because no server was there that needed them.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use hand_protocol::{LEFT, LEFT_END, left_end};

use super::{end, place::Rested, receive};
use crate::namespace::{directory::Directory, shared::Shared};

impl Shared {
    /// Takes what the sandbox of this name has left, as if it had been put away. Whoever calls this is alone with the name.
    pub(in crate::namespace) fn inherit(&self, name: &str) {
        if let Err(error) = self.take_left(name) {
            tracing::warn!(sandbox = name, %error, "what a sandbox has left could not be taken");
        }
    }

    /// The same, for whoever is about to make the next sandbox in its place.
    pub(in crate::namespace) fn take_left(&self, name: &str) -> io::Result<()> {
        let directory = Directory::of(self.data_dir(), name)?;
        let left = directory.path().join(LEFT);
        if !is_there(&left) {
            return Ok(());
        }
        let Some(record) = directory.record() else { return Ok(()) };
        if record.address.backend != self.backend() || !is_whole(&left, record.limits.disk)? {
            return Ok(());
        }
        // It ends itself as soon as all is there.
        end(&record);
        let rested = Rested::of(self.data_dir(), name)?;
        if rested.find(&record.address.incarnation).is_none() {
            let unfinished = rested.begin()?;
            unfinished.link(&left)?;
            unfinished.commit(&record)?;
        }
        fs::remove_file(left)
    }

    /// Whether the sandbox of this name has left anything.
    pub(super) fn has_left(&self, name: &str) -> bool {
        Directory::of(self.data_dir(), name).is_ok_and(|directory| is_there(&directory.path().join(LEFT)))
    }
}

fn is_there(left: &Path) -> bool {
    fs::symlink_metadata(left).is_ok_and(|found| found.is_file() && found.len() > 0)
}

/// Whether an archive is all there, as far as its end says so, of a sandbox with so many bytes of disk.
fn is_whole(left: &Path, disk: u64) -> io::Result<bool> {
    let file = File::open(left)?;
    let Some(archive) = file.metadata()?.len().checked_sub(LEFT_END as u64) else { return Ok(false) };
    let mut end = [0; LEFT_END];
    file.read_exact_at(&mut end, archive)?;
    Ok(end == left_end(archive) && archive <= receive::longest(disk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_not_whole() {
        let place = tempfile::tempdir().unwrap();
        let left = place.path().join(LEFT);
        let is_whole = |bytes: &[u8]| {
            fs::write(&left, bytes).unwrap();
            is_whole(&left, 0).unwrap()
        };
        assert!(is_whole(&[b"archive", &left_end(7)[..]].concat()));
        assert!(is_whole(&left_end(0)));
        for end in [left_end(6), left_end(8)] {
            assert!(!is_whole(&[b"archive", &end[..]].concat()));
        }
        assert!(!is_whole(b"archive") && !is_whole(&[b"archive", &left_end(7)[..15]].concat()));
        let more = receive::longest(0) + 1;
        let file = File::options().write(true).open(&left).unwrap();
        file.write_all_at(&left_end(more), more).unwrap();
        assert!(!super::is_whole(&left, 0).unwrap());
        assert!(super::is_whole(&left, 1 << 20).unwrap());
    }
}
