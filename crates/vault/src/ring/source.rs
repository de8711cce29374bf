//! Where the key-encryption keys come from.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Error, local};

#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file of keys in base64, one in a line, the newest last.
    File { path: PathBuf },
    /// The same, as text that was handed over.
    Given { text: SecretString },
    /// A key that never leaves its provider.
    Transit(TransitSource),
}

/// The transit engine of HashiCorp Vault, or of what speaks as it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransitSource {
    /// Of the provider: `https://vault.example.com:8200`.
    pub url: String,
    /// Of the key.
    pub key: String,
    /// Where the engine is mounted.
    #[serde(default = "transit")]
    pub mount: String,
    /// A file that holds the token, as agents of the provider keep one up to date.
    pub token_file: PathBuf,
    #[serde(default)]
    pub namespace: Option<String>,
    /// A PEM file, trusted besides the system's certificates.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

fn transit() -> String {
    "transit".into()
}

/// What became of making a first key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated {
    Made,
    /// There are keys already.
    Kept,
}

impl KeySource {
    /// Makes the first key, where there is a file for it and none in it.
    pub fn generate(&self) -> Result<Generated, Error> {
        match self {
            Self::File { path } => Self::generate_in(path),
            Self::Given { .. } | Self::Transit(_) => Ok(Generated::Kept),
        }
    }

    fn generate_in(path: &Path) -> Result<Generated, Error> {
        if !local::read(path)?.is_empty() {
            return Ok(Generated::Kept);
        }
        local::add(path)?;
        Ok(Generated::Made)
    }
}
