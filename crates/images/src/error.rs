//! Why an image is not there.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{layout, manifest, registry, unpack};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the image `{0}` needs a default registry, and none is configured")]
    NoDefaultRegistry(String),
    #[error("the registry {0} is not one of those that may be asked")]
    NotAllowed(String),
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    Layout(#[from] layout::Error),
    #[error(transparent)]
    Unpack(#[from] unpack::Error),
    #[error("{path}: {source}")]
    Disk { path: PathBuf, source: io::Error },
    #[error("the image was not ready after {0:?}")]
    TimedOut(Duration),
    #[error("the work on the image was broken off: {0}")]
    Broken(String),
}

impl Error {
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Disk { path: path.to_owned(), source }
    }
}
