//! The base image that the installation names: unpacked once, and kept while something stands on it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use hands::Sandbox;
use images::{Digest, Image, Images, Registries, Source};
use tokio::task::spawn_blocking;

use crate::given::Given;

pub(crate) struct Base {
    source: Source,
    images: Arc<Images>,
    sandbox: Arc<dyn Sandbox>,
    /// Bytes that images may take which no sandbox stands on.
    ceiling: u64,
    given: Given<Image>,
}

impl Base {
    pub(crate) fn open(
        source: Source,
        place: &Path,
        registries: Registries,
        (sandbox, ceiling): (Arc<dyn Sandbox>, u64),
    ) -> io::Result<Self> {
        let options = images::Options { registries, ..Default::default() };
        let images = Arc::new(Images::open(place, options)?);
        Ok(Self { source, images, sandbox, ceiling, given: Given::default() })
    }

    /// As its source is now, or as it was last if that cannot be found out.
    pub(crate) async fn image(&self) -> Result<Image, String> {
        let source = &self.source;
        let progress: images::OnProgress = Arc::new(|_| {});
        let image = match self.images.ensure(source, progress).await {
            Ok(image) => image,
            Err(error) => match self.images.known(source) {
                Ok(Some(image)) => {
                    tracing::warn!(%source, %error, "the base image that was last used is taken");
                    image
                }
                _ => return Err(format!("the base image {source} cannot be had: {error}")),
            },
        };
        if self.given.hold(image.digest.hex(), image.clone()) {
            self.make_room().await;
        }
        Ok(image)
    }

    /// Removes images that nothing stands on until the rest takes no more than it may.
    async fn make_room(&self) {
        let kept = self.sandbox.kept().await;
        let in_use: Vec<_> = kept.iter().flat_map(|kept| &kept.layers).filter_map(|path| digest_of(path)).collect();
        self.given.let_go_of_the_old();
        let (images, ceiling) = (Arc::clone(&self.images), self.ceiling);
        let gone = spawn_blocking(move || images.remove_unused(&in_use, ceiling)).await.map_err(io::Error::other);
        match gone.and_then(|gone| gone.map_err(io::Error::other)) {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => tracing::info!(images = gone.len(), "base images were removed to make room"),
            Err(error) => tracing::warn!(%error, "base images could not be removed"),
        }
    }
}

/// The digest of the image with this root file system.
fn digest_of(rootfs: &Path) -> Option<Digest> {
    let name = rootfs.parent()?.file_name()?.to_str()?;
    format!("sha256:{name}").parse().ok()
}
