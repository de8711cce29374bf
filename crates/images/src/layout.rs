//! OCI layouts on disk, as directories or as tarballs, and what `docker save` writes.

mod archive;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    Config, Digest,
    manifest::{self, Descriptor, Documents, MAX_DOCUMENT},
    piece::{Piece, open_file},
    unpack::Expected,
};
use archive::Archive;

const INDEX: &str = "index.json";

/// Docker's own list, in what it saved before it knew of layouts.
const SAVED: &str = "manifest.json";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} is neither an OCI layout nor an uncompressed tarball of one: {reason}")]
    NotALayout { path: PathBuf, reason: String },
    #[error("{path}: its {name} cannot be read: {source}")]
    File { path: PathBuf, name: String, source: io::Error },
    #[error("{path}: its {name} is not what its digest says")]
    Digest { path: PathBuf, name: String },
}

#[derive(Debug)]
pub(crate) struct Layout {
    path: PathBuf,
    /// None if it is a directory.
    archive: Option<Archive>,
}

/// What a layout has to be unpacked.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) manifests: Vec<Digest>,
    pub(crate) config: Config,
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Layout {
    /// Blocks: of a tarball, all headers are read.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let refused = |error: io::Error| Error::NotALayout { path: path.to_owned(), reason: error.to_string() };
        let archive = if path.is_dir() { None } else { Some(Archive::index(path).map_err(refused)?) };
        Ok(Self { path: path.to_owned(), archive })
    }

    pub(crate) async fn resolve(&self, tag: Option<&str>) -> Result<Found, crate::Error> {
        if self.archive.as_ref().is_some_and(|archive| archive.member(INDEX).is_none()) {
            return self.saved(tag);
        }
        let index = self.document(INDEX)?;
        let tags = manifest::tags(&index)?;
        if tag.is_none() && tags.len() > 1 {
            let offered = manifest::list(tags.into_iter());
            return Err(manifest::Error::Tag { wanted: "that was not given".into(), offered }.into());
        }
        let resolved = manifest::resolve(self, index, tag).await?;
        let mut pieces = Vec::new();
        for layer in resolved.layers {
            let mut piece = self.piece(&name(&layer.blob.digest))?;
            piece.expected = Expected { blob: Some(layer.blob.digest), diff: Some(layer.diff) };
            pieces.push(piece);
        }
        // The index of a layout belongs to the layout, not to the image.
        let manifests = resolved.manifests.into_iter().skip(1).collect();
        Ok(Found { manifests, config: resolved.config, pieces })
    }

    fn saved(&self, tag: Option<&str>) -> Result<Found, crate::Error> {
        let malformed = |reason: String| manifest::Error::Malformed { what: SAVED, reason };
        let saved = serde_json::from_slice(&self.document(SAVED)?);
        let saved: Vec<Saved> = saved.map_err(|error| malformed(error.to_string()))?;
        let of = |name: &str| name.rsplit_once(':').map(|(_, tag)| tag.to_owned());
        let tags = |saved: &Saved| saved.repo_tags.iter().flatten().filter_map(|name| of(name)).collect::<Vec<_>>();
        let fits = |saved: &&Saved| tag.is_none_or(|tag| tags(saved).iter().any(|own| own == tag));
        let mut fitting = saved.iter().filter(fits);
        let (Some(image), None) = (fitting.next(), fitting.next()) else {
            let wanted = tag.unwrap_or("that was not given").to_owned();
            let offered = manifest::list(saved.iter().flat_map(tags));
            return Err(manifest::Error::Tag { wanted, offered }.into());
        };
        let (config, diffs) = manifest::configuration(&self.document(&image.config)?)?;
        if diffs.len() != image.layers.len() {
            let (listed, described) = (image.layers.len(), diffs.len());
            return Err(malformed(format!("{listed} layers are listed, and {described} described")).into());
        }
        let mut pieces = Vec::new();
        for (layer, diff) in image.layers.iter().zip(diffs) {
            let mut piece = self.piece(layer)?;
            piece.expected.diff = Some(diff);
            pieces.push(piece);
        }
        Ok(Found { manifests: Vec::new(), config, pieces })
    }

    /// In a directory, the name is a fixed one or made of a digest. In a tarball it may be anything.
    fn piece(&self, name: &str) -> Result<Piece, Error> {
        let found = match &self.archive {
            None => {
                let path = self.path.join(name);
                let size = open_file(&path).and_then(|file| Ok(file.metadata()?.len()));
                size.map(|size| Piece { path, offset: 0, size, expected: Expected::default() })
            }
            Some(archive) => archive
                .member(name)
                .ok_or_else(|| io::ErrorKind::NotFound.into())
                .map(|(offset, size)| Piece { path: self.path.clone(), offset, size, expected: Expected::default() }),
        };
        found.map_err(|source| self.failed(name, source))
    }

    fn document(&self, name: &str) -> Result<Vec<u8>, Error> {
        let piece = self.piece(name)?;
        if piece.size > MAX_DOCUMENT as u64 {
            return Err(self.failed(name, io::Error::other(format!("it has more than {MAX_DOCUMENT} bytes"))));
        }
        let mut bytes = Vec::new();
        let read = piece.open().and_then(|mut reader| reader.read_to_end(&mut bytes));
        match read {
            Ok(read) if read as u64 == piece.size => Ok(bytes),
            Ok(_) => Err(self.failed(name, io::ErrorKind::UnexpectedEof.into())),
            Err(source) => Err(self.failed(name, source)),
        }
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>, crate::Error> {
        let name = name(&descriptor.digest);
        let bytes = self.document(&name)?;
        if bytes.len() as u64 != descriptor.size || Digest::of(&bytes) != descriptor.digest {
            return Err(Error::Digest { path: self.path.clone(), name }.into());
        }
        Ok(bytes)
    }

    fn failed(&self, name: &str, source: io::Error) -> Error {
        Error::File { path: self.path.clone(), name: name.chars().take(200).collect(), source }
    }
}

impl Documents for Layout {
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, crate::Error> {
        self.blob(descriptor)
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, crate::Error> {
        self.blob(descriptor)
    }
}

fn name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
