//! How much an image may ask for.

use std::time::Duration;

/// What one image may cost at most. All of it is checked while it is read, never believed from a header.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes that all layers together unpack to, those of files that a later layer hides included.
    pub bytes: u64,
    /// Entries of all layers together.
    pub files: u64,
    /// Bytes of a path inside the image.
    pub path: usize,
    /// How many times its own size a layer may unpack to, once it is past the first 64 MiB.
    pub ratio: u64,
    /// Bytes that are downloaded for one image.
    pub download: u64,
    /// From being asked for to being there, waiting for the same image to be made elsewhere included.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 20 << 30,
            files: 1_000_000,
            path: 4095,
            ratio: 200,
            download: 10 << 30,
            time: Duration::from_secs(30 * 60),
        }
    }
}
