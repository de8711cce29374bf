//! `[vault]`: where the keys of stored credentials are.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use gateway::KeyPlace;
use serde::{Deserialize, Serialize};
use vault::TransitSource;

/// In the data directory, if nothing else is said.
const FILE: &str = "vault.key";

/// What systemd calls the credential that is taken where nothing else is said.
const CREDENTIAL: &str = "stead.vault.key";

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Vault {
    /// A file of keys in base64, one in a line, the newest last.
    pub(crate) key_file: Option<PathBuf>,
    /// A provider that has the key and never gives it away.
    pub(crate) transit: Option<TransitSource>,
}

impl Vault {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.key_file.is_none() || self.transit.is_none(),
            "vault.key_file and vault.transit are both set: the keys come from one of them"
        );
        Ok(())
    }

    /// As the gateway is told.
    pub(crate) fn place(&self, data_dir: &Path) -> KeyPlace {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        self.place_among(data_dir, credentials.as_deref())
    }

    fn place_among(&self, data_dir: &Path, credentials: Option<&Path>) -> KeyPlace {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if let Some(source) = &self.transit {
            let source = TransitSource {
                token_file: absolute(&source.token_file),
                ca: source.ca.as_deref().map(absolute),
                ..source.clone()
            };
            return KeyPlace::Transit(source);
        }
        let credential = credentials.map(|directory| directory.join(CREDENTIAL)).filter(|path| path.exists());
        let path = self.key_file.clone().or(credential).unwrap_or_else(|| data_dir.join(FILE));
        KeyPlace::File { path: absolute(&path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(place: KeyPlace) -> PathBuf {
        match place {
            KeyPlace::File { path } => path,
            KeyPlace::Transit(_) => panic!("it is at a provider"),
        }
    }

    #[test]
    fn a_file_that_is_named_goes_before_a_credential_and_that_before_the_data_directory() {
        let credentials = tempfile::tempdir().unwrap();
        let data = Path::new("/data");
        let mut vault = Vault::default();
        assert_eq!(file(vault.place_among(data, Some(credentials.path()))), data.join(FILE));
        std::fs::write(credentials.path().join(CREDENTIAL), "").unwrap();
        assert_eq!(file(vault.place_among(data, Some(credentials.path()))), credentials.path().join(CREDENTIAL));
        vault.key_file = Some("/keys".into());
        assert_eq!(file(vault.place_among(data, Some(credentials.path()))), Path::new("/keys"));
    }

    #[test]
    fn keys_come_from_one_place() {
        let text = "key_file = \"k\"\n[transit]\nurl = \"https://v.example\"\nkey = \"stead\"\ntoken_file = \"t\"\n";
        let vault: Vault = toml::from_str(text).unwrap();
        assert!(vault.check().unwrap_err().to_string().contains("vault.key_file"));
        let vault = Vault { key_file: None, ..vault };
        vault.check().unwrap();
        let KeyPlace::Transit(source) = vault.place(Path::new("/data")) else { panic!("it is in a file") };
        assert!(source.mount == "transit" && source.token_file.is_absolute());
    }
}
