//! Layers out of a registry, onto the disk.

use std::{fs, path::Path};

use futures::future::try_join_all;
use tokio::sync::Semaphore;

use crate::{
    Error, OnProgress, Progress, RegistryError, Step, manifest::Layer, piece::Piece, registry::Client, unpack::Expected,
};

/// Below the place that is being filled: gone with it, if it comes to nothing.
pub(super) const BLOBS: &str = "blobs";

/// More would only share the same line.
const AT_ONCE: usize = 3;

pub(super) async fn all(
    client: &Client,
    layers: &[Layer],
    place: &Path,
    limit: u64,
    progress: &OnProgress,
) -> Result<Vec<Piece>, Error> {
    let size = layers.iter().fold(0_u64, |sum, layer| sum.saturating_add(layer.blob.size));
    if size > limit {
        return Err(RegistryError::TooLarge { what: "image".into(), limit }.into());
    }
    let blobs = place.join(BLOBS);
    fs::create_dir(&blobs).map_err(Error::at(&blobs))?;
    let slots = Semaphore::new(AT_ONCE);
    let downloads = layers.iter().enumerate().map(|(index, layer)| {
        let (slots, blobs) = (&slots, &blobs);
        async move {
            // Never closed, so always given.
            let _slot = slots.acquire().await;
            // By its place: an image may have the same layer twice.
            let path = blobs.join(index.to_string());
            let (layers, total) = (layers.len(), layer.blob.size);
            let told = |done| progress(Progress { step: Step::Download, layer: index, layers, done, total });
            client.download(&layer.blob, &path, &told).await?;
            // The bytes were checked as they came.
            let expected = Expected { blob: None, diff: Some(layer.diff.clone()) };
            Ok::<_, Error>(Piece { path, offset: 0, size: total, expected })
        }
    });
    try_join_all(downloads).await
}
