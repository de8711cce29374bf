//! What of the host must be the same before and after.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
};

/// Of the host's system: what sandboxes have below them, and may change for themselves alone.
const SYSTEM: [&str; 5] = ["/usr/bin/env", "/usr/bin", "/usr/lib/os-release", "/etc/passwd", "/etc/hosts"];

/// Shown in every sandbox. Their times are the subject of an attack of its own.
const DEVICES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

const SETTINGS: [&str; 10] = [
    "/proc/self/mountinfo",
    "/proc/swaps",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/domainname",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/randomize_va_space",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/vm/mmap_min_addr",
];

/// By name, what it was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// `resident` is a process of the host that no attack may touch.
    pub(crate) fn take(canaries: &[PathBuf], resident: u32) -> Self {
        let mut seen = BTreeMap::new();
        let mut see = |path: &Path, what: String| seen.insert(path.display().to_string(), what);
        for path in canaries {
            see(path, format!("{} {:?}", file(path), fs::read(path).ok()));
        }
        for path in SYSTEM.map(Path::new) {
            see(path, file(path));
        }
        for path in DEVICES.map(Path::new) {
            see(path, owner(path));
        }
        for path in SETTINGS.map(PathBuf::from).into_iter().chain(release_agents()) {
            see(&path, fs::read_to_string(&path).unwrap_or_default());
        }
        see(Path::new("modules"), modules());
        for process in [resident, process::id()] {
            let path = PathBuf::from(format!("/proc/{process}/status"));
            let what = state(&fs::read_to_string(&path).unwrap_or_default());
            see(&path, what);
        }
        Self(seen)
    }

    /// The names of what differs.
    pub(crate) fn differences(&self, later: &Self) -> Vec<String> {
        let names = self.0.keys().chain(later.0.keys().filter(|name| !self.0.contains_key(*name)));
        names.filter(|name| self.0.get(*name) != later.0.get(*name)).cloned().collect()
    }
}

/// Everything but when it was read.
fn file(path: &Path) -> String {
    let Ok(found) = fs::symlink_metadata(path) else { return "missing".into() };
    let times = (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
    format!("{} {times:?} {}", owner(path), found.len())
}

fn owner(path: &Path) -> String {
    let Ok(found) = fs::symlink_metadata(path) else { return "missing".into() };
    format!("{:o} {} {} {} {}", found.mode(), found.uid(), found.gid(), found.ino(), found.nlink())
}

/// The program that each hierarchy of control groups runs when a group is empty.
fn release_agents() -> Vec<PathBuf> {
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    hierarchies.map(|entry| entry.path().join("release_agent")).filter(|path| path.exists()).collect()
}

/// Names only: how often each is used changes by itself.
fn modules() -> String {
    let table = fs::read_to_string("/proc/modules").unwrap_or_default();
    table.lines().filter_map(|line| line.split(' ').next()).collect::<Vec<_>>().join(" ")
}

/// Whether it is traced or stopped, and whose it is.
fn state(status: &str) -> String {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("missing").trim();
    let is_stopped = field("State:").starts_with(['T', 't', 'Z', 'X']);
    format!("stopped {is_stopped}, traced by {}, {} {}", field("TracerPid:"), field("Uid:"), field("Seccomp:"))
}

#[test]
fn what_has_changed_is_named_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let (canary, other) = (place.path().join("canary"), place.path().join("other"));
    fs::write(&canary, "one").unwrap();
    fs::write(&other, "one").unwrap();
    let take = || Snapshot::take(&[canary.clone(), other.clone()], process::id());
    let before = take();
    assert!(before.differences(&take()).is_empty());
    fs::write(&canary, "two").unwrap();
    assert_eq!(before.differences(&take()), [canary.display().to_string()]);
    fs::remove_file(&other).unwrap();
    assert_eq!(before.differences(&take()).len(), 2);
}
