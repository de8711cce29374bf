//! `[environments]`: what sandboxes are made over, how long idle ones keep their processes, and how long their files stay.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use images::{Registries, Source};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Environments {
    /// `dir:`, `tar:`, `oci:` and a path, or an image of a registry. Unset: this machine's own system.
    pub(crate) base: Option<String>,
    /// The registry of images that are named without one.
    pub(crate) registry: Option<String>,
    /// Registries that are reached without encryption.
    pub(crate) plain_http: Vec<String>,
    /// What layers of packages that no sandbox has may take on disk.
    pub(crate) layers_gib: u64,
    /// Seconds after which an idle session's sandbox is put away; 0 for never.
    pub(crate) idle_seconds: u64,
    /// Days that the files of a sandbox that was put away are kept.
    pub(crate) keep_days: u64,
    /// Where files that were put away lie so that every node reaches them: `s3://bucket/prefix`, or `file:///directory`.
    pub(crate) shelf: Option<String>,
}

impl Default for Environments {
    fn default() -> Self {
        Self {
            base: None,
            registry: None,
            plain_http: Vec::new(),
            layers_gib: 20,
            idle_seconds: 900,
            keep_days: 30,
            shelf: None,
        }
    }
}

impl Environments {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.source()?;
        ensure!(self.keep_days > 0, "environments.keep_days is 0: files that are put away are kept for a day at least");
        Ok(())
    }

    pub(crate) fn source(&self) -> anyhow::Result<Option<Source>> {
        let parse = |text: &String| text.parse::<Source>().context("environments.base");
        self.base.as_ref().map(parse).transpose()
    }

    pub(crate) fn registries(&self) -> Registries {
        Registries { default: self.registry.clone(), plain_http: self.plain_http.clone(), ..Registries::default() }
    }

    pub(crate) fn idle(&self) -> Option<Duration> {
        (self.idle_seconds > 0).then(|| Duration::from_secs(self.idle_seconds))
    }

    pub(crate) fn kept(&self) -> Duration {
        Duration::from_secs(self.keep_days.saturating_mul(24 * 60 * 60))
    }
}
