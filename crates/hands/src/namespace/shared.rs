//! The part of [`super::Namespace`] that works with files and processes, and so never on an asynchronous thread.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use hand_protocol::Launch;
use parking_lot::{Mutex, MutexGuard};
use rustix::rand::{GetRandomFlags, getrandom};

use super::{
    BACKEND, base,
    directory::{Directory, HANDS, Record},
    groups::{self, Groups},
    identity, launcher, name,
    process::Process,
};
use crate::{Address, ProvisionError, Spec};

pub(super) struct Shared {
    data_dir: PathBuf,
    home: String,
    groups: OnceLock<Groups>,
    /// Held while the base is made, so that it is made once.
    base: Mutex<Option<PathBuf>>,
    /// Each name has one of these locks: a sandbox is made or taken away by one at a time, also when whoever asked for it has
    /// stopped waiting.
    names: [Mutex<()>; NAMES],
}

const NAMES: usize = 64;

impl Shared {
    pub(super) fn new(data_dir: PathBuf, home: String) -> Self {
        let names = [const { Mutex::new(()) }; NAMES];
        Self { data_dir, home, groups: OnceLock::new(), base: Mutex::new(None), names }
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(super) fn leave_groups_alone(&self) {
        let _ = self.groups.set(Groups::Unavailable);
    }

    pub(super) fn groups(&self) -> Groups {
        self.groups.get_or_init(Groups::find).clone()
    }

    fn base(&self) -> Result<PathBuf, ProvisionError> {
        let mut base = self.base.lock();
        if let Some(base) = &*base {
            return Ok(base.clone());
        }
        let made = base::prepare(&self.data_dir)?;
        *base = Some(made.clone());
        Ok(made)
    }

    /// Waits until nobody else makes or removes the sandbox of this name.
    pub(super) fn alone(&self, name: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % NAMES as u64).unwrap_or_default();
        self.names[place].lock()
    }

    /// A new sandbox in the place of whatever was there under this name, its journal excepted.
    pub(super) fn make(&self, spec: &Spec) -> Result<Record, ProvisionError> {
        let _alone = self.alone(&spec.name);
        let identity = identity::choose(&spec.name)?;
        let base = self.base()?;
        let directory = Directory::of(&self.data_dir, &spec.name).map_err(failed)?;
        directory.end().and_then(|()| directory.make()).map_err(failed)?;
        directory.fill(&spec.uploads)?;
        let log = directory.log().map_err(failed)?;

        let incarnation = incarnation().map_err(failed)?;
        // Of this incarnation alone: the group of an earlier one may be there still.
        let group = format!("{}.{}", spec.name, incarnation.get(..8).unwrap_or_default());
        let groups = self.groups().make(&group, &spec.limits).map_err(failed)?;
        let launch = Launch {
            directory: directory.path().to_owned(),
            base,
            identity,
            processes: spec.limits.processes,
            disk: spec.limits.disk,
            cgroups: groups.iter().map(|group| groups::entrance(group)).collect(),
            incarnation: incarnation.clone(),
            orphan_seconds: spec.limits.orphan_seconds,
        };
        let launched = launcher::launch(&launch, log).and_then(|pid| {
            let daemon = Process::find(pid).map_err(failed)?;
            let place = Path::new(HANDS).join(&spec.name);
            let home = Some(self.home.clone());
            let address = Address { backend: BACKEND.into(), directory: place, incarnation, home };
            let record = Record { address, daemon, limits: spec.limits, groups: groups.clone() };
            directory.keep(&record).inspect_err(|_| drop(record.daemon.end())).map_err(failed)?;
            Ok(record)
        });
        launched.inspect_err(|_| drop(groups::remove(&groups)))
    }

    /// Ends a sandbox that does not answer. Returns what it had to say.
    pub(super) fn give_up(&self, name: &str) -> String {
        let Ok(directory) = Directory::of(&self.data_dir, name) else { return String::new() };
        if let Err(error) = directory.end() {
            tracing::warn!(sandbox = name, %error, "a sandbox that does not answer cannot be ended");
        }
        directory.last_words()
    }

    /// What is known of the sandbox at this address, if it is this one that is there.
    pub(super) fn find(&self, address: &Address) -> Option<Record> {
        let name = name(address).filter(|_| address.backend == BACKEND)?;
        let record = Directory::of(&self.data_dir, name).ok()?.record()?;
        // The address comes from a log. Compared whole, so that no other directory is ever looked into.
        (record.address == *address).then_some(record)
    }
}

/// 128 random bits, so that no two sandboxes are ever taken for each other.
fn incarnation() -> io::Result<String> {
    let mut bits = [0; 16];
    let filled = getrandom(&mut bits, GetRandomFlags::empty())?;
    if filled != bits.len() {
        return Err(io::Error::other("the kernel gave too little randomness"));
    }
    Ok(format!("{:032x}", u128::from_ne_bytes(bits)))
}

fn failed(error: io::Error) -> ProvisionError {
    ProvisionError::Failed(error.to_string())
}
