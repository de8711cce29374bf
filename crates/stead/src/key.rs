//! The first API key: given, kept from before, or made.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};
use store::Rng;

use crate::config::Config;
use crate::installation::Installation;

const FILE: &str = "api_key";

/// The setting of an installation of several nodes that tells its key's digest: one key opens all of them.
const DIGEST: &str = "api_key_digest";

/// The key, and whether it was made just now.
pub(crate) async fn first(config: &Config, installation: &Installation) -> anyhow::Result<(String, bool)> {
    let is_given = config.api_key.is_some() || kept(&config.data_dir).is_some();
    if installation.is_shared && !is_given && installation.store.setting(DIGEST).await?.is_some() {
        anyhow::bail!("this database has an installation with a key already: set STEAD_API_KEY to that key");
    }
    let (key, is_new) = find(config)?;
    if installation.is_shared && installation.store.settle(DIGEST, &digest(&key)).await? != digest(&key) {
        tracing::warn!("the API key of this node is not the one of the installation's first node: clients need both");
    }
    Ok((key, is_new))
}

fn digest(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn find(config: &Config) -> anyhow::Result<(String, bool)> {
    if let Some(key) = &config.api_key {
        let key = key.0.trim();
        anyhow::ensure!(
            !key.is_empty(),
            "the API key is empty: set STEAD_API_KEY to one, or unset it to have one made"
        );
        return Ok((key.to_owned(), false));
    }
    let file = config.data_dir.join(FILE);
    if let Some(key) = kept(&config.data_dir) {
        return Ok((key, false));
    }
    let rng = store::SystemRng;
    let key = format!("sk-stead-{:032x}{:032x}", rng.bits(), rng.bits());
    let mut options = File::options();
    let mut opened = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&file)
        .with_context(|| format!("{} cannot be made", file.display()))?;
    writeln!(opened, "{key}")
        .and_then(|()| opened.sync_all())
        .with_context(|| format!("{} cannot be written", file.display()))?;
    Ok((key, true))
}

/// The key that a server on this data directory made.
pub(crate) fn kept(data_dir: &Path) -> Option<String> {
    let key = fs::read_to_string(data_dir.join(FILE)).ok()?.trim().to_owned();
    (!key.is_empty()).then_some(key)
}
