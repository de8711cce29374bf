//! The host's side: a backend, a data directory, and files that are nobody's business.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use hands::{
    Kept, Limits, Sandbox,
    namespace::{Namespace, Options},
};
use rustix::rand::{GetRandomFlags, getrandom};
use tempfile::TempDir;

/// What most sandboxes get. Seconds enough for the slowest group, should this process die before it takes them away.
pub(crate) const LIMITS: Limits = Limits { memory: 512 << 20, processes: 64, disk: 64 << 20, orphan_seconds: 60 };

/// What the gluttons get: little, so that more than that is little too.
pub(crate) const SMALL: Limits = Limits { memory: 64 << 20, disk: 32 << 20, ..LIMITS };

/// What is kept in a data directory, and what a vault may come to be called.
const STORED: [&str; 4] = ["stead.db", "api_key", "vault/credentials", "blobs/one"];

/// What the attacks are let loose on: more backends join here.
pub(crate) fn backend(data: &Path) -> Arc<dyn Sandbox> {
    Arc::new(Namespace::new(Options { data_dir: data.to_owned(), home: "here".into() }))
}

pub(crate) struct House {
    /// Everything of this run is below it.
    pub(crate) place: TempDir,
    pub(crate) data: PathBuf,
    /// The data directory's own name, by which it is known in the host's tables.
    pub(crate) marker: String,
    /// An input file of every sandbox.
    pub(crate) input: PathBuf,
    pub(crate) sandbox: Arc<dyn Sandbox>,
    /// In every token, and in nothing that a program is given.
    pub(crate) secret: String,
}

impl House {
    pub(crate) fn new(secret: &str) -> Self {
        let place = TempDir::new().unwrap();
        let marker = format!("home-{}", random());
        let data = place.path().join(&marker);
        // Open to all on the host: that nothing can be reached shall not depend on modes.
        let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        open(place.path());
        for name in STORED {
            let path = data.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, token("data", secret)).unwrap();
        }
        open(&data);
        let input = place.path().join("input.txt");
        fs::write(&input, "input").unwrap();
        let sandbox = backend(&data);
        Self { place, data, marker, input, sandbox, secret: secret.to_owned() }
    }

    pub(crate) fn token(&self, kind: &str) -> String {
        token(kind, &self.secret)
    }

    /// A new directory on the host, open to all.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.place.path().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Files that no attack may change, or that would tell of it.
    pub(crate) fn canaries(&self) -> Vec<PathBuf> {
        let stored = STORED.iter().map(|name| self.data.join(name));
        stored.chain([self.input.clone()]).collect()
    }

    /// Ends every sandbox there is.
    pub(crate) async fn clear(&self) {
        for Kept { name, .. } in self.sandbox.kept().await {
            self.sandbox.destroy(&name, None).await.unwrap();
        }
    }
}

/// What a canary holds. Every program knows the beginning, and none the end.
pub(crate) fn token(kind: &str, secret: &str) -> String {
    format!("CANARY-{kind}-{secret}")
}

/// A name that nothing else on this machine has.
pub(crate) fn random() -> String {
    let mut bits = [0; 8];
    assert_eq!(getrandom(&mut bits, GetRandomFlags::empty()).unwrap(), bits.len());
    format!("{:016x}", u64::from_ne_bytes(bits))
}
