//! The host's side: a backend, a data directory, and files that are nobody's business.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use hands::{
    Kept, Limits, Sandbox,
    gvisor::Gvisor,
    namespace::{Namespace, Options},
};
use rustix::rand::{GetRandomFlags, getrandom};
use tempfile::TempDir;

/// What most sandboxes get. Seconds enough for the slowest group, should this process die before it takes them away.
pub(crate) const LIMITS: Limits = Limits {
    memory: 512 << 20,
    processes: 64,
    disk: 64 << 20,
    cpus: 0,
    open_files: 65_536,
    call_seconds: 600,
    orphan_seconds: 60,
};

/// What the gluttons get: little, so that more than that is little too.
pub(crate) const SMALL: Limits = Limits { memory: 64 << 20, disk: 32 << 20, ..LIMITS };

/// What is kept in a data directory, and what a vault may come to be called.
const STORED: [&str; 4] = ["stead.db", "api_key", "vault/credentials", "blobs/one"];

/// Which backend the attacks are let loose on, by its name: more join here. None: namespaces.
pub(crate) const BACKEND: &str = "STEAD_ATTACK_BACKEND";

/// What processes run on gVisor's own kernel for, whose name this is too.
pub(crate) const GVISOR: &str = "gvisor";

pub(crate) fn is_on_gvisor() -> bool {
    env::var_os(BACKEND).is_some_and(|name| name == GVISOR)
}

async fn backend(data: &Path) -> Arc<dyn Sandbox> {
    let options = Options { data_dir: data.to_owned(), home: "here".into() };
    if !is_on_gvisor() {
        return Arc::new(Namespace::new(options));
    }
    let program = testkit::programs::find("runsc").unwrap();
    let gvisor = Gvisor::find(options, program).await.unwrap_or_else(|error| panic!("{error}"));
    // Chooses the platform that works here.
    gvisor.prepare().await.unwrap_or_else(|error| panic!("{error}"));
    Arc::new(gvisor)
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
    pub(crate) async fn new(secret: &str) -> Self {
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
        let sandbox = backend(&data).await;
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
