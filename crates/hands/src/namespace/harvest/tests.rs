//! Trees as a hostile sandbox would leave them, made into layers by whoever runs the tests.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, XattrFlags, listxattr, makedev, mkdirat, mknodat, openat, setxattr},
    process::{getegid, geteuid},
};
use tempfile::TempDir;

use super::*;

const USERS: Identity = Identity { uid: 1_000_000, gid: 2_000_000, count: 65_536 };

struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for part in [ROOT, USR].into_iter().chain(WORK) {
            fs::create_dir(tree.at(part)).unwrap();
        }
        tree
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: &str) -> PathBuf {
        let file = self.at(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    }

    fn is_there(&self, path: &str) -> bool {
        fs::symlink_metadata(self.at(path)).is_ok()
    }

    fn harvest(&self) -> io::Result<()> {
        self.harvest_from(Identity { uid: geteuid().as_raw(), gid: getegid().as_raw(), count: 1 })
    }

    fn harvest_from(&self, identity: Identity) -> io::Result<()> {
        harvest(&Keep { path: self.0.path().to_owned(), identity })
    }
}

fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root can do this");
    }
    is_root
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn owner(path: &Path) -> (u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid())
}

/// Without the labels of this machine's own policy.
fn attributes(path: &Path) -> Vec<String> {
    let mut list = vec![0_u8; 4_096];
    let length = listxattr(path, list.as_mut_slice()).unwrap();
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let names = names.map(|name| String::from_utf8_lossy(name).into_owned());
    names.filter(|name| !name.starts_with("security.")).collect()
}

/// Directories in one another, as deep as that, below this one.
fn dig(path: &Path, depth: usize) {
    let mut at = walk::open(path).unwrap();
    for _ in 0..depth {
        mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = openat(&at, "d", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
}

#[test]
fn what_belongs_to_no_installation_goes_and_the_rest_stays() {
    let tree = Tree::new();
    for gone in [
        "root/tmp/deep/file",
        "root/var/tmp/file",
        "root/run/lock/file",
        "root/var/cache/apt/archives/package.deb",
        "root/var/lib/apt/lists/list",
        "root/root/.cache/pip/file",
        "root/root/.npm/file",
        "root/mnt/session/outputs/file",
        "root/workspace/file",
        "root/dev/null",
        "root-work/work/file",
        "usr-work/file",
    ] {
        tree.file(gone, "text");
    }
    tree.file("root/etc/hosts", hand_protocol::HOSTS);
    tree.file("root/etc/resolv.conf", &format!("{}nameserver 127.0.0.2\n", hand_protocol::RESOLVER));
    let kept = ["root/etc/setting", "root/var/lib/dpkg/status", "root/root/.profile", "root/opt/tmp/file", "usr/bin/x"];
    for kept in kept {
        tree.file(kept, "text");
    }
    set_mode(&tree.at("root/root"), 0o700);
    set_mode(&tree.at("root"), 0o700);
    tree.harvest().unwrap();
    let gone = ["tmp", "var/tmp", "run", "root/.cache", "root/.npm", "mnt", "workspace", "dev", "etc/hosts"];
    for gone in gone.map(|name| format!("root/{name}")).iter().map(String::as_str).chain(WORK) {
        assert!(!tree.is_there(gone), "{gone}");
    }
    for emptied in ["root/var/cache/apt", "root/var/lib/apt/lists"] {
        assert_eq!(fs::read_dir(tree.at(emptied)).unwrap().count(), 0, "{emptied}");
    }
    for kept in kept.into_iter().chain(["root/etc/resolv.conf"]) {
        assert!(tree.is_there(kept), "{kept}");
    }
    assert_eq!((mode(&tree.at("root")), mode(&tree.at("root/root"))), (0o755, 0o700));
}

#[test]
fn no_link_is_followed() {
    let outside = Tree::new();
    let tree = Tree::new();
    let spared = ["root/tmp/file", "root/cache/apt/file", "root/lib/apt/lists/file", "root/session/file"];
    for spared in spared {
        outside.file(spared, "text");
    }
    let hosts = outside.file("root/hosts", hand_protocol::HOSTS);
    let program = outside.file("usr/program", "text");
    set_mode(&program, 0o4755);
    let before = owner(&program);
    for name in ["var", "mnt", "tmp", "etc"] {
        symlink(outside.at("root"), tree.at("root").join(name)).unwrap();
    }
    symlink(&program, tree.at("usr/program")).unwrap();
    symlink(outside.at("usr"), tree.at("usr/directory")).unwrap();
    tree.harvest_from(USERS).unwrap();
    for spared in spared {
        assert!(outside.is_there(spared), "{spared}");
    }
    assert!(hosts.exists());
    assert_eq!((mode(&program), owner(&program)), (0o4755, before));
    assert_eq!(fs::read_link(tree.at("usr/program")).unwrap(), program);
    assert!(!tree.is_there("root/mnt") && !tree.is_there("root/tmp"));
    assert!(fs::symlink_metadata(tree.at("root/var")).unwrap().is_symlink());
}

#[test]
fn a_part_that_is_a_link_is_no_layer() {
    let outside = Tree::new();
    let tree = Tree::new();
    fs::remove_dir(tree.at("usr")).unwrap();
    symlink(outside.at("usr"), tree.at("usr")).unwrap();
    let error = tree.harvest().unwrap_err().to_string();
    assert!(error.contains("`usr`"), "{error}");
}

#[test]
fn bits_that_lend_rights_go_and_others_stay() {
    let tree = Tree::new();
    let modes = [("a", 0o4755, 0o755), ("b", 0o2711, 0o711), ("c", 0o6555, 0o555), ("d", 0o600, 0o600)];
    for (name, before, _) in modes {
        set_mode(&tree.file(&format!("usr/bin/{name}"), "text"), before);
    }
    fs::hard_link(tree.at("usr/bin/a"), tree.at("usr/bin/again")).unwrap();
    for (name, mode) in [("root/opt", 0o2775), ("root/srv", 0o1777)] {
        fs::create_dir(tree.at(name)).unwrap();
        set_mode(&tree.at(name), mode);
    }
    tree.harvest().unwrap();
    for (name, _, after) in modes {
        assert_eq!(mode(&tree.at("usr/bin").join(name)), after, "{name}");
    }
    let (one, other) = (fs::metadata(tree.at("usr/bin/a")).unwrap(), fs::metadata(tree.at("usr/bin/again")).unwrap());
    assert_eq!(one.ino(), other.ino());
    assert_eq!((mode(&tree.at("root/opt")), mode(&tree.at("root/srv"))), (0o775, 0o1777));
}

#[test]
fn sockets_and_pipes_go_and_whiteouts_stay() {
    let tree = Tree::new();
    let make = |path: &str, kind| mknodat(CWD, tree.at(path), kind, Mode::RWXU, 0);
    make("root/pipe", FileType::Fifo).unwrap();
    let _socket = UnixListener::bind(tree.at("root/socket")).unwrap();
    // Some kernels let root alone hide a name.
    let hidden = make("root/hidden", FileType::CharacterDevice).is_ok();
    tree.harvest().unwrap();
    assert!(!tree.is_there("root/pipe") && !tree.is_there("root/socket"));
    assert_eq!(tree.is_there("root/hidden"), hidden);
}

#[test]
fn a_device_goes() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    for (name, kind, device) in [
        ("disk", FileType::BlockDevice, makedev(254, 0)),
        ("memory", FileType::CharacterDevice, makedev(1, 1)),
        ("block", FileType::BlockDevice, 0),
    ] {
        if let Err(error) = mknodat(CWD, tree.at("root").join(name), kind, Mode::RWXU, device) {
            eprintln!("skipped: there is no making a device here: {error}");
            return;
        }
    }
    tree.harvest_from(USERS).unwrap();
    assert_eq!(fs::read_dir(tree.at("root")).unwrap().count(), 0);
}

#[test]
fn what_nobody_may_read_is_gone_through_too() {
    let tree = Tree::new();
    let hidden = tree.file("usr/closed/deep/program", "text");
    set_mode(&hidden, 0o4000);
    for closed in ["usr/closed/deep", "usr/closed"] {
        set_mode(&tree.at(closed), 0o000);
    }
    tree.file("root/tmp/closed/file", "text");
    for closed in ["root/tmp/closed", "root/tmp"] {
        set_mode(&tree.at(closed), 0o000);
    }
    tree.harvest().unwrap();
    assert!(!tree.is_there("root/tmp"));
    assert_eq!(mode(&hidden), 0);
}

#[test]
fn owners_become_whom_they_were_inside_and_strangers_root() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    let given = [
        ("root/a", (1_000_000, 2_000_000), (0, 0)),
        ("root/b", (1_000_042, 2_000_007), (42, 7)),
        ("root/c", (1_065_536, 1_000_042), (0, 0)),
        ("usr/d", (65_534, 2_065_535), (0, 65_535)),
    ];
    for (path, (uid, gid), _) in given {
        chown(tree.file(path, "text"), Some(uid), Some(gid)).unwrap();
    }
    for name in ["again", "and-again"] {
        fs::hard_link(tree.at("root/b"), tree.at("usr").join(name)).unwrap();
    }
    symlink("nowhere", tree.at("root/link")).unwrap();
    lchown(tree.at("root/link"), Some(1_000_005), Some(2_000_006)).unwrap();
    fs::create_dir(tree.at("root/directory")).unwrap();
    set_mode(&tree.at("root/directory"), 0o700);
    for (path, uid) in [("root/directory", 1_000_033), ("root", 1_000_000), ("usr", 1_000_000)] {
        chown(tree.at(path), Some(uid), Some(uid + 1_000_000)).unwrap();
    }
    tree.harvest_from(USERS).unwrap();
    for (path, _, wanted) in given {
        assert_eq!(owner(&tree.at(path)), wanted, "{path}");
    }
    for path in ["root", "usr"] {
        assert_eq!((owner(&tree.at(path)), mode(&tree.at(path))), ((0, 0), 0o755), "{path}");
    }
    assert_eq!(owner(&tree.at("root/link")), (5, 6));
    assert_eq!((owner(&tree.at("root/directory")), mode(&tree.at("root/directory"))), ((33, 33), 0o700));
}

#[test]
fn of_extended_attributes_only_what_hides_is_left() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    let file = tree.file("root/file", "text");
    let set = |path: &Path, name: &str| setxattr(path, name, b"y", XattrFlags::empty()).is_ok();
    if !set(&file, "user.x") {
        eprintln!("skipped: this file system holds no attributes");
        return;
    }
    let names = ["user.overlay.opaque", "user.overlay.redirect", "user.overlay.overlay.opaque", "user.y"];
    for name in names {
        assert!(set(&tree.at("usr"), name), "{name}");
    }
    tree.harvest_from(USERS).unwrap();
    assert!(attributes(&file).is_empty());
    assert_eq!(attributes(&tree.at("usr")), ["user.overlay.opaque"]);
}

#[test]
fn what_is_too_deep_is_refused_rather_than_followed() {
    for place in ["root", "root/tmp", "usr"] {
        let tree = Tree::new();
        fs::create_dir_all(tree.at(place)).unwrap();
        dig(&tree.at(place), walk::DEEPEST + 10);
        let error = tree.harvest().unwrap_err().to_string();
        assert!(error.contains("deep"), "{place}: {error}");
    }
    let tree = Tree::new();
    dig(&tree.at("root"), 300);
    tree.harvest().unwrap();
}

#[test]
fn any_name_is_a_name() {
    let tree = Tree::new();
    let odd = [b"line\nend".as_slice(), b"\xff\xfe", b"-rf", b" "];
    for name in odd {
        let name = OsStr::from_bytes(name);
        fs::write(tree.at("root").join(name), "text").unwrap();
        set_mode(&tree.at("root").join(name), 0o4755);
    }
    tree.harvest().unwrap();
    let modes = fs::read_dir(tree.at("root")).unwrap().map(|entry| mode(&entry.unwrap().path()));
    assert_eq!(modes.collect::<Vec<_>>(), [0o755; 4]);
}
