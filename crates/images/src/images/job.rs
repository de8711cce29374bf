//! The work that blocks: reading tarballs, and unpacking layers into a place.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{RECORD, ROOTFS, Record, fetch::BLOBS};
use crate::{
    Digest, Error, OnProgress, Progress, Step,
    piece::{Piece, open_file},
    remove,
    shelf::{Held, Place},
    unpack::{self, Expected, Rules, Unpacker, Watch, Watched},
};

pub(super) struct Job {
    /// All but what is only known once it is done.
    pub(super) record: Record,
    pub(super) pieces: Vec<Piece>,
    /// The pieces are ours, to be removed as soon as they are unpacked.
    pub(super) fetched: bool,
    pub(super) rules: Rules,
    pub(super) progress: OnProgress,
}

impl Job {
    pub(super) fn run(mut self, place: Place, watch: &Watch) -> Result<Held, Error> {
        let rootfs = place.building().join(ROOTFS);
        fs::create_dir(&rootfs).map_err(Error::at(&rootfs))?;
        let mut unpacker = Unpacker::new(&rootfs, self.rules, watch).map_err(Error::at(&rootfs))?;
        for (layer, piece) in self.pieces.iter().enumerate() {
            let stored = piece.open().map_err(Error::at(&piece.path))?;
            let (layers, total) = (self.pieces.len(), piece.size);
            let told = |done| (self.progress)(Progress { step: Step::Unpack, layer, layers, done, total });
            unpacker.layer(stored, &piece.expected, &told)?;
            if self.fetched {
                fs::remove_file(&piece.path).map_err(Error::at(&piece.path))?;
            }
        }
        let (totals, skipped) = unpacker.finish()?;
        let blobs = place.building().join(BLOBS);
        remove::tree(&blobs).map_err(Error::at(&blobs))?;
        (self.record.size, self.record.files, self.record.skipped) = (totals.bytes, totals.files, skipped);
        let path = place.building().join(RECORD);
        write(&path, &rootfs, &mut self.record).map_err(Error::at(&path))?;
        let path = place.building().to_owned();
        place.commit().map_err(Error::at(&path))
    }
}

/// The directory was last changed just now, which spares a clock.
fn write(path: &Path, rootfs: &Path, record: &mut Record) -> io::Result<()> {
    let now = fs::metadata(rootfs)?;
    record.created_at = now.ctime() * 1000 + now.ctime_nsec() / 1_000_000;
    let mut file = File::create_new(path)?;
    file.write_all(&serde_json::to_vec_pretty(record)?)
}

/// A tarball of a root file system, with the digest that it has now.
pub(super) fn tarball(path: PathBuf, watch: &Watch) -> Result<Piece, Error> {
    let file = open_file(&path).map_err(Error::at(&path))?;
    let size = file.metadata().map_err(Error::at(&path))?.len();
    let failed = |error: io::Error| match error.downcast::<unpack::Error>() {
        Ok(refused) => Error::Unpack(refused),
        Err(error) => Error::at(&path)(error),
    };
    let digest = Digest::of_reader(Watched { inner: file, watch }).map_err(failed)?;
    Ok(Piece { path, offset: 0, size, expected: Expected { blob: Some(digest), diff: None } })
}
