//! The part of [`super::Namespace`] that works with files and processes, and so never on an asynchronous thread.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use hand_protocol::{Launch, Serve};
use parking_lot::{Mutex, MutexGuard};
use rustix::rand::{GetRandomFlags, getrandom};

use super::{
    BACKEND, base,
    directory::{Directory, HANDS, Record},
    groups::{self, Groups},
    harvest, identity,
    keep::Keep,
    launcher, mask, name, own,
    process::Process,
    uploads,
};
use crate::{Address, Limits, ProvisionError, Spec, pool, within::Within};

pub(super) struct Shared {
    data_dir: PathBuf,
    home: String,
    groups: OnceLock<Groups>,
    /// What the processes are in, where that is not what the launcher makes by itself.
    within: OnceLock<Within>,
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
        Self { data_dir, home, groups: OnceLock::new(), within: OnceLock::new(), base: Mutex::new(None), names }
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(super) fn leave_groups_alone(&self) {
        let _ = self.groups.set(Groups::Unavailable);
    }

    pub(super) fn run_within(&self, within: Within) {
        let _ = self.within.set(within);
    }

    pub(super) fn within(&self) -> Option<&Within> {
        self.within.get()
    }

    /// The name of the backend that these sandboxes are of.
    pub(super) fn backend(&self) -> &'static str {
        self.within().map_or(BACKEND, Within::backend)
    }

    fn is_open(&self) -> bool {
        self.within().is_some_and(Within::is_nothing)
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
        self.names[place(name)].lock()
    }

    /// As [`Self::alone`], with two names at once.
    pub(super) fn alone_with_both(&self, one: &str, other: &str) -> (MutexGuard<'_, ()>, Option<MutexGuard<'_, ()>>) {
        let (one, other) = (place(one), place(other));
        // Always in this order, so that no two wait for each other; and never twice for what is one lock.
        let first = self.names[one.min(other)].lock();
        (first, (one != other).then(|| self.names[one.max(other)].lock()))
    }

    /// A new sandbox in the place of whatever was there under this name, its journal excepted.
    pub(super) fn make(&self, spec: &Spec) -> Result<Record, ProvisionError> {
        let _alone = self.alone(&spec.name);
        self.within().map_or(Ok(()), |within| within.check(spec))?;
        let is_open = self.is_open();
        let identity = if is_open { identity::own() } else { identity::choose(&spec.name)? };
        let base = match &spec.ground.rootfs {
            // There is no root to prepare.
            None if is_open => PathBuf::new(),
            None => self.base()?,
            Some(rootfs) => absolute(rootfs)?,
        };
        let layers = spec.ground.layers.iter().map(|layer| absolute(layer)).collect::<Result<Vec<_>, _>>()?;
        let restore = spec.restore.as_deref().map(absolute).transpose()?;
        let directory = Directory::of(&self.data_dir, &spec.name).map_err(failed)?;
        self.take_left(&spec.name).map_err(failed)?;
        directory.end().and_then(|()| directory.make()).map_err(failed)?;
        uploads::fill(directory.path(), &spec.uploads)?;
        let keep = spec.keep.as_deref().map(|path| Keep::prepare(path, identity)).transpose().map_err(failed)?;
        // Only who can own the host's files inside may see them so.
        let masked = keep.is_some() && spec.ground.rootfs.is_none() && identity.count > 1;
        let mask = masked.then(|| mask::make(Path::new("/usr"), directory.path())).transpose().map_err(failed)?;
        let log = directory.log().map_err(failed)?;

        let incarnation = incarnation().map_err(failed)?;
        // Of this incarnation alone: the group of an earlier one may be there still.
        let group = format!("{}.{}", spec.name, incarnation.get(..8).unwrap_or_default());
        let engine = self.within().and_then(Within::engine);
        let room = engine.map_or(spec.limits, |engine| engine.room(&spec.limits));
        let serve = Serve {
            incarnation: incarnation.clone(),
            orphan_seconds: spec.limits.orphan_seconds,
            limits: inner(&spec.limits),
            // The host's, which nothing on another kernel could hold: the porter has them.
            sockets: Vec::new(),
        };
        let guest = engine.map(|engine| engine.guest(spec, &serve)).transpose().map_err(failed)?;
        // Nobody has to open what is open.
        let network = spec.network.clone().filter(|_| !is_open);
        let home = if is_open { Some(own::make(directory.path()).map_err(failed)?) } else { None };
        let groups = self.groups().make(&group, &room).map_err(failed)?;
        let launch = Launch {
            directory: directory.path().to_owned(),
            base,
            is_whole: spec.ground.rootfs.is_some(),
            layers,
            keep: keep.as_ref().map(|keep| keep.path.clone()),
            mask,
            restore,
            network: network.is_some(),
            environment: home.into_iter().chain(spec.ground.environment.clone()).collect(),
            identity,
            limits: inner(&spec.limits),
            cgroups: groups.iter().map(|group| groups::entrance(group)).collect(),
            incarnation: incarnation.clone(),
            orphan_seconds: spec.limits.orphan_seconds,
            guest,
            is_open,
        };
        let launched = launcher::launch(&launch, log).and_then(|pid| {
            let daemon = Process::find(pid).map_err(failed)?;
            let place = Path::new(HANDS).join(&spec.name);
            let home = Some(self.home.clone());
            let address = Address { backend: self.backend().into(), directory: place, incarnation, home };
            // What is nobody's yet has a way out that leads nowhere.
            let network = network.filter(|_| !pool::is_unnamed(&spec.name));
            let ground = spec.ground.clone();
            let record = Record { address, daemon, limits: spec.limits, groups: groups.clone(), ground, network, keep };
            directory.keep(&record).inspect_err(|_| drop(record.daemon.end())).map_err(failed)?;
            Ok(record)
        });
        launched.inspect_err(|_| drop(groups::remove(&groups)))
    }

    /// Ends a sandbox, and makes a layer of what it has written. Whatever comes of that, the sandbox is no more.
    pub(super) fn harvest(&self, name: &str) -> io::Result<(Record, io::Result<()>)> {
        let _alone = self.alone(name);
        let directory = Directory::of(&self.data_dir, name)?;
        let none = || io::Error::new(io::ErrorKind::NotFound, "there is no sandbox of this name");
        let unkept = || io::Error::new(io::ErrorKind::InvalidInput, "what this sandbox writes is not kept");
        let record = directory.record().ok_or_else(none)?;
        let keep = record.keep.as_ref().ok_or_else(unkept)?;
        directory.end()?;
        let made = harvest::harvest(keep);
        directory.destroy()?;
        Ok((record, made))
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
        let name = name(address).filter(|_| address.backend == self.backend())?;
        let record = Directory::of(&self.data_dir, name).ok()?.record()?;
        // The address comes from a log. Compared whole, so that no other directory is ever looked into.
        (record.address == *address).then_some(record)
    }
}

/// Which lock a name has.
fn place(name: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    usize::try_from(hasher.finish() % NAMES as u64).unwrap_or_default()
}

/// What is enforced from inside.
fn inner(limits: &Limits) -> hand_protocol::Limits {
    let &Limits { memory, processes, disk, open_files, call_seconds, .. } = limits;
    hand_protocol::Limits { processes, disk, open_files, call_seconds, memory }
}

/// No two sandboxes are ever taken for each other.
fn incarnation() -> io::Result<String> {
    Ok(format!("{:032x}", random()?))
}

pub(super) fn random() -> io::Result<u128> {
    let mut bits = [0; 16];
    let filled = getrandom(&mut bits, GetRandomFlags::empty())?;
    if filled != bits.len() {
        return Err(io::Error::other("the kernel gave too little randomness"));
    }
    Ok(u128::from_ne_bytes(bits))
}

/// The launcher works from another directory.
fn absolute(path: &Path) -> Result<PathBuf, ProvisionError> {
    std::path::absolute(path).map_err(failed)
}

fn failed(error: io::Error) -> ProvisionError {
    ProvisionError::Failed(error.to_string())
}
