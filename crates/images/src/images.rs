//! Images by the digest of what they are made of.
//!
//! `images/DIGEST/` has the `rootfs` and `image.json`, which says where it came from. The digest is over those of the
//! layers' tarballs and the way they are unpacked, so that references to the same layers share one directory.

mod directory;
mod fetch;
mod job;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Digest, Error, Limits, OnProgress, Reference, Registries, Source,
    layout::Layout,
    manifest,
    piece::Piece,
    registry::Client,
    shelf::{Held, Locked, Shelf},
    unpack::{self, Rules, Skipped, Watch, Whiteouts},
};
use job::Job;

const ROOTFS: &str = "rootfs";
const RECORD: &str = "image.json";

#[derive(Debug, Clone, Default)]
pub struct Options {
    pub limits: Limits,
    /// Keep set-user-id and set-group-id bits. Nothing in a sandbox can use them.
    pub special_bits: bool,
    pub registries: Registries,
}

/// All images of one store.
#[derive(Debug)]
pub struct Images {
    directory: PathBuf,
    shelf: Shelf,
    options: Options,
}

/// A root file system to have below a sandbox's own layer. While a clone of this lives, nobody removes it; one that a
/// sandbox has which outlives this process is named to [`Images::remove_unused`].
#[derive(Debug, Clone)]
pub struct Image {
    pub digest: Digest,
    /// Read-only by agreement. Its symbolic links mean something inside only: the host must follow none of them.
    pub rootfs: PathBuf,
    pub config: Config,
    /// None for a directory that is used in place.
    _held: Option<Held>,
}

/// What `image.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// As it was first asked for.
    pub source: String,
    pub digest: Digest,
    /// From what the reference named to the image's own manifest.
    pub manifests: Vec<Digest>,
    /// Of the layers' tarballs, from the bottom up; of a tarball, its own.
    pub layers: Vec<Digest>,
    pub config: Config,
    /// Bytes on disk.
    pub size: u64,
    pub files: u64,
    pub skipped: Skipped,
    /// Milliseconds since 1970, by the clock of the file system.
    pub created_at: i64,
}

/// One image of [`Images::list`].
#[derive(Debug, Clone)]
pub struct Kept {
    pub record: Record,
    pub used_at: SystemTime,
}

/// Where the layers are.
enum Origin {
    Here(Vec<Piece>),
    There(Box<Client>, Vec<manifest::Layer>),
}

impl Images {
    /// Clears what was left unfinished. Blocks.
    pub fn open(directory: &Path, options: Options) -> io::Result<Self> {
        let shelf = Shelf::open(directory.join("images"))?;
        Ok(Self { directory: directory.to_owned(), shelf, options })
    }

    /// The image of this source, made if it is not there. Whoever asks for the same one meanwhile waits for it.
    /// Dropping the future ends the work.
    pub async fn ensure(&self, source: &Source, progress: OnProgress) -> Result<Image, Error> {
        let limit = self.options.limits.time;
        let made = async {
            match source {
                Source::Directory(path) => self.in_place(path).await,
                Source::Tar(path) => self.tar(source, path, &progress).await,
                Source::Layout { path, tag } => self.layout(source, path, tag.as_deref(), &progress).await,
                Source::Registry(reference) => self.registry(source, reference, &progress).await,
            }
        };
        tokio::time::timeout(limit, made).await.unwrap_or(Err(Error::TimedOut(limit)))
    }

    /// The image that was last used of those made from this very source, without asking whether it has changed since:
    /// for when a registry cannot be reached.
    pub fn known(&self, source: &Source) -> Result<Option<Image>, Error> {
        let source = source.to_string();
        self.find(|record| record.source == source)
    }

    /// The longest unused first.
    pub fn list(&self) -> Result<Vec<Kept>, Error> {
        let listed = self.shelf.list().map_err(self.failed())?;
        Ok(listed.into_iter().filter_map(|(_, path, used_at)| Some(Kept { record: read(&path)?, used_at })).collect())
    }

    /// Removes what was used longest ago until all images together take `ceiling` bytes at most. Those in `keep` stay,
    /// and those that are held by an [`Image`]. Blocks.
    pub fn remove_unused(&self, keep: &[Digest], ceiling: u64) -> Result<Vec<Digest>, Error> {
        let kept = |key: &str| keep.iter().any(|digest| digest.hex() == key);
        let size = |path: &Path| read(path).map_or(0, |record| record.size);
        let gone = self.shelf.evict(ceiling, kept, size).map_err(self.failed())?;
        Ok(gone.iter().filter_map(|key| format!("sha256:{key}").parse().ok()).collect())
    }

    async fn in_place(&self, path: &Path) -> Result<Image, Error> {
        let (path, limits) = (path.to_owned(), self.options.limits.clone());
        let cancelled = CancellationToken::new();
        let _guard = cancelled.clone().drop_guard();
        blocking(move || {
            let digest = directory::fingerprint(&path, &Watch::start(limits, cancelled))?;
            Ok(Image { digest, rootfs: path, config: Config::default(), _held: None })
        })
        .await
    }

    async fn tar(&self, source: &Source, path: &Path, progress: &OnProgress) -> Result<Image, Error> {
        let (path, limits) = (path.to_owned(), self.options.limits.clone());
        let cancelled = CancellationToken::new();
        let _guard = cancelled.clone().drop_guard();
        let piece = blocking(move || job::tarball(path, &Watch::start(limits, cancelled))).await?;
        let layers = piece.expected.blob.iter().cloned().collect();
        let record = self.record(source, Vec::new(), layers, Config::default());
        self.make(record, Origin::Here(vec![piece]), progress).await
    }

    async fn layout(
        &self,
        source: &Source,
        path: &Path,
        tag: Option<&str>,
        progress: &OnProgress,
    ) -> Result<Image, Error> {
        let path = path.to_owned();
        let layout = blocking(move || Ok(Layout::open(&path)?)).await?;
        let found = layout.resolve(tag).await?;
        let layers = found.pieces.iter().filter_map(|piece| piece.expected.diff.clone()).collect();
        let record = self.record(source, found.manifests, layers, found.config);
        self.make(record, Origin::Here(found.pieces), progress).await
    }

    async fn registry(&self, source: &Source, reference: &Reference, progress: &OnProgress) -> Result<Image, Error> {
        // What is named by its digest never changes: nobody has to be asked.
        if let Some(digest) = &reference.digest
            && let Some(image) = self.find(|record| record.manifests.contains(digest))?
        {
            return Ok(image);
        }
        let client = self.options.registries.client(reference)?;
        let resolved = client.resolve(reference).await?;
        let layers = resolved.layers.iter().map(|layer| layer.diff.clone()).collect();
        let record = self.record(source, resolved.manifests, layers, resolved.config);
        self.make(record, Origin::There(Box::new(client), resolved.layers), progress).await
    }

    async fn make(&self, record: Record, layers: Origin, progress: &OnProgress) -> Result<Image, Error> {
        let place = match self.shelf.lock(record.digest.hex()).await.map_err(self.failed())? {
            Locked::Made(held) => return self.open_held(held),
            Locked::Empty(place) => place,
        };
        let (limits, progress) = (self.options.limits.clone(), progress.clone());
        let (pieces, fetched) = match layers {
            Origin::Here(pieces) => (pieces, false),
            Origin::There(client, layers) => {
                (fetch::all(&client, &layers, place.building(), limits.download, &progress).await?, true)
            }
        };
        let cancelled = CancellationToken::new();
        let _guard = cancelled.clone().drop_guard();
        let rules = self.rules();
        let held = blocking(move || {
            let watch = Watch::start(limits, cancelled);
            Job { record, pieces, fetched, rules, progress }.run(place, &watch)
        })
        .await?;
        self.open_held(held)
    }

    fn record(&self, source: &Source, manifests: Vec<Digest>, layers: Vec<Digest>, config: Config) -> Record {
        let digest = address(&layers, self.rules());
        let (source, skipped) = (source.to_string(), Skipped::default());
        Record { source, digest, manifests, layers, config, size: 0, files: 0, skipped, created_at: 0 }
    }

    /// The last used of the images that fit, of those that today's rules would make in the same way.
    fn find(&self, fits: impl Fn(&Record) -> bool) -> Result<Option<Image>, Error> {
        let rules = self.rules();
        for kept in self.list()?.into_iter().rev() {
            let record = kept.record;
            if fits(&record) && address(&record.layers, rules) == record.digest {
                let held = self.shelf.find(record.digest.hex()).map_err(self.failed())?;
                return held.map(|held| self.open_held(held)).transpose();
            }
        }
        Ok(None)
    }

    fn open_held(&self, held: Held) -> Result<Image, Error> {
        let unreadable = || Error::at(held.path())(io::Error::other(format!("its {RECORD} cannot be read")));
        let record = read(held.path()).ok_or_else(unreadable)?;
        let rootfs = held.path().join(ROOTFS);
        Ok(Image { digest: record.digest, rootfs, config: record.config, _held: Some(held) })
    }

    fn rules(&self) -> Rules {
        Rules::new(self.options.special_bits, Whiteouts::Apply)
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> Error + '_ {
        Error::at(&self.directory)
    }
}

/// What the same files come out of: the layers, and what becomes of them here.
fn address(layers: &[Digest], rules: Rules) -> Digest {
    let Rules { special_bits, owners, .. } = rules;
    let mut text = format!("image {} special_bits={special_bits} owners={owners}\n", unpack::VERSION);
    for layer in layers {
        text.push_str(&format!("{layer}\n"));
    }
    Digest::of(text.as_bytes())
}

fn read(directory: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(directory.join(RECORD)).ok()?).ok()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::Broken(error.to_string())))
}
