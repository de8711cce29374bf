//! What environments add to an image: upper directories of overlays, each made once and kept.
//!
//! `layers/KEY/` has the `upper` and `layer.json`. An upper holds what only its own file system can: whiteouts that are
//! devices, and an overlay's attributes. So it is made here, or renamed to here, and never copied; to get it to another
//! machine, [`Layer::pack`] says the same in the way of OCI, and [`Building::unpack`] makes it whole again there.

mod pack;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    str::FromStr,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use pack::{PackError, Packed};

use crate::{
    Limits, remove,
    shelf::{self, Held, Place, Shelf},
    unpack::{self, Expected, Rules, Skipped, Unpacker, Watch, Whiteouts},
    walk,
};

const UPPER: &str = "upper";
const WORK: &str = "work";
const RECORD: &str = "layer.json";

const MAX_KEY: usize = 128;

/// What a layer is named by: a digest of what it is made of, or any other name in small letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no key of a layer: it takes up to {max} small letters, digits, `-` and `_`", max = MAX_KEY)]
pub struct NotAKey(pub String);

/// Where overlays keep their marks. Those mounted with `userxattr` heed the first kind alone, and those without it the
/// second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    User,
    Trusted,
}

#[derive(Debug)]
pub struct Layers {
    shelf: Shelf,
}

/// A layer to have below a sandbox's own. While a clone of this lives, nobody removes it.
#[derive(Debug, Clone)]
pub struct Layer {
    pub key: Key,
    /// Read-only by agreement.
    pub upper: PathBuf,
    pub size: u64,
    pub meta: Value,
    held: Held,
}

/// The right to make a layer. Dropped without [`Layers::commit`], it takes what was made with it.
#[derive(Debug)]
pub struct Building {
    key: Key,
    place: Place,
}

#[derive(Debug)]
pub enum Locked {
    Built(Layer),
    Empty(Building),
}

/// One layer of [`Layers::list`].
#[derive(Debug, Clone)]
pub struct KeptLayer {
    pub key: Key,
    /// Bytes on disk.
    pub size: u64,
    pub files: u64,
    pub meta: Value,
    /// Milliseconds since 1970, by the clock of the file system.
    pub created_at: i64,
    pub used_at: SystemTime,
}

#[derive(Serialize, Deserialize)]
struct Record {
    size: u64,
    files: u64,
    created_at: i64,
    meta: Value,
}

impl Layers {
    /// Clears what was left unfinished. Blocks.
    pub fn open(directory: &Path) -> io::Result<Self> {
        Ok(Self { shelf: Shelf::open(directory.join("layers"))? })
    }

    /// The layer of this key, from now on last used now. None also while somebody is about to remove it: who has to
    /// know asks for the lock.
    pub fn find(&self, key: &Key) -> io::Result<Option<Layer>> {
        self.shelf.find(&key.0)?.map(|held| open(key, held)).transpose()
    }

    /// The layer of this key, or the right to make it. Waits while another has that right.
    pub async fn lock(&self, key: &Key) -> io::Result<Locked> {
        Ok(match self.shelf.lock(&key.0).await? {
            shelf::Locked::Made(held) => Locked::Built(open(key, held)?),
            shelf::Locked::Empty(place) => {
                for name in [UPPER, WORK] {
                    DirBuilder::new().mode(0o755).create(place.building().join(name))?;
                }
                Locked::Empty(Building { key: key.clone(), place })
            }
        })
    }

    /// Keeps what was made, with whatever the caller wants to know of it later. Blocks until it is on disk. Nothing may
    /// have the upper mounted any more.
    pub fn commit(&self, building: Building, meta: Value) -> io::Result<Layer> {
        let Building { key, place } = building;
        remove::tree(&place.building().join(WORK))?;
        let upper = walk::open(&place.building().join(UPPER))?;
        let totals = walk::measure(&upper)?;
        let mut file = File::create_new(place.building().join(RECORD))?;
        // The file was made just now, which spares a clock.
        let made = file.metadata()?;
        let created_at = made.mtime() * 1000 + made.mtime_nsec() / 1_000_000;
        let record = Record { size: totals.bytes, files: totals.files, created_at, meta };
        file.write_all(&serde_json::to_vec_pretty(&record)?)?;
        open(&key, place.commit()?)
    }

    /// Says that a layer is in use, as by a sandbox that another process started. False if it is not there.
    pub fn touch(&self, key: &Key) -> io::Result<bool> {
        Ok(self.shelf.find(&key.0)?.is_some())
    }

    /// The longest unused first.
    pub fn list(&self) -> io::Result<Vec<KeptLayer>> {
        let kept = |(key, path, used_at): (String, PathBuf, SystemTime)| {
            let Record { size, files, created_at, meta } = read(&path)?;
            Some(KeptLayer { key: Key(key), size, files, meta, created_at, used_at })
        };
        Ok(self.shelf.list()?.into_iter().filter_map(kept).collect())
    }

    /// Removes what was used longest ago until all layers together take `ceiling` bytes at most. Those in `in_use`
    /// stay, and those that are held by a [`Layer`]. Blocks.
    pub fn evict(&self, ceiling: u64, in_use: &[Key]) -> io::Result<Vec<Key>> {
        let kept = |key: &str| in_use.iter().any(|used| used.0 == key);
        let size = |path: &Path| read(path).map_or(0, |record| record.size);
        Ok(self.shelf.evict(ceiling, kept, size)?.into_iter().map(Key).collect())
    }
}

impl Layer {
    /// Writes it as a tarball, compressed with zstd, the same bytes each time: whiteouts and opaque directories as OCI
    /// names them, owners as numbers, of the extended attributes only those of `user.*` that are not an overlay's. What
    /// a tarball cannot say of an overlay is an error. Blocks.
    pub fn pack(&self, to: impl Write, cancelled: &CancellationToken) -> Result<Packed, PackError> {
        pack::pack(&walk::open(&self.upper)?, to, cancelled)
    }

    /// The layer's own directory, for whoever keeps a file beside the upper.
    pub fn directory(&self) -> &Path {
        self.held.path()
    }
}

impl Building {
    /// Empty, and to be filled: as the upper of an overlay, for one.
    pub fn upper(&self) -> PathBuf {
        self.place.building().join(UPPER)
    }

    /// For the same overlay to work in. Gone with the commit.
    pub fn work(&self) -> PathBuf {
        self.place.building().join(WORK)
    }

    /// Takes an upper that was made elsewhere on the same file system.
    pub fn adopt(&self, upper: &Path) -> io::Result<()> {
        fs::rename(upper, self.upper())
    }

    /// Fills the upper with what [`Layer::pack`] wrote, perhaps on another machine: it is bounded and checked like an
    /// image. Blocks.
    pub fn unpack(
        &self,
        packed: impl Read,
        marks: Marks,
        limits: &Limits,
        cancelled: CancellationToken,
    ) -> Result<Skipped, unpack::Error> {
        let watch = Watch::start(limits.clone(), cancelled);
        let upper = self.upper();
        let rules = Rules::new(true, Whiteouts::Keep(marks));
        let writing = |source| unpack::Error::Write { path: String::from("/"), source };
        let mut unpacker = Unpacker::new(&upper, rules, &watch).map_err(writing)?;
        unpacker.layer(packed, &Expected::default(), &|_| {})?;
        Ok(unpacker.finish()?.1)
    }
}

impl Marks {
    pub(crate) fn opaque(self) -> &'static str {
        match self {
            Self::User => "user.overlay.opaque",
            Self::Trusted => "trusted.overlay.opaque",
        }
    }
}

impl Key {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let known = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter);
        match !text.is_empty() && text.len() <= MAX_KEY && text.chars().all(known) {
            true => Ok(Self(text.to_owned())),
            false => Err(NotAKey(text.chars().take(200).collect())),
        }
    }
}

fn open(key: &Key, held: Held) -> io::Result<Layer> {
    let unreadable = || io::Error::other(format!("{}: its {RECORD} cannot be read", held.path().display()));
    let Record { size, meta, .. } = read(held.path()).ok_or_else(unreadable)?;
    Ok(Layer { key: key.clone(), upper: held.path().join(UPPER), size, meta, held })
}

fn read(directory: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(directory.join(RECORD)).ok()?).ok()
}
