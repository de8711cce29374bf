//! How far the making of an image is.

use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Download,
    Unpack,
}

/// Of one layer, in bytes as they are stored. Layers are downloaded side by side and unpacked one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub step: Step,
    /// From 0.
    pub layer: usize,
    pub layers: usize,
    pub done: u64,
    pub total: u64,
}

/// Called now and then, from any thread. It must not block. It may be told of fewer bytes than before: a download that
/// had to start anew.
pub type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;
