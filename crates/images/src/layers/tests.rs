//! Layers kept, and carried from one machine to another.

use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, getxattr, mknodat, setxattr, utimensat,
};
use serde_json::json;
use tar::EntryType;

use super::*;
use crate::{Digest, testing::Archive};

struct Case {
    directory: tempfile::TempDir,
    layers: Layers,
}

impl Case {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let layers = Layers::open(directory.path()).unwrap();
        Self { directory, layers }
    }

    async fn building(&self, key: &str) -> Building {
        match self.layers.lock(&of(key)).await.unwrap() {
            Locked::Empty(building) => building,
            Locked::Built(layer) => panic!("{layer:?} is there"),
        }
    }

    /// A layer filled by hand.
    async fn make(&self, key: &str, fill: impl FnOnce(&Path)) -> Layer {
        let building = self.building(key).await;
        fill(&building.upper());
        self.layers.commit(building, json!({ "of": key })).unwrap()
    }

    async fn unpack(&self, key: &str, packed: &[u8]) -> Result<Layer, unpack::Error> {
        let building = self.building(key).await;
        building.unpack(packed, Marks::User, &Limits::default(), CancellationToken::new())?;
        Ok(self.layers.commit(building, Value::Null).unwrap())
    }
}

fn of(key: &str) -> Key {
    key.parse().unwrap()
}

fn packed(layer: &Layer) -> Result<(Vec<u8>, Packed), PackError> {
    let mut bytes = Vec::new();
    let packed = layer.pack(&mut bytes, &CancellationToken::new())?;
    assert_eq!((packed.bytes, &packed.digest), (bytes.len() as u64, &Digest::of(&bytes)));
    Ok((bytes, packed))
}

fn whiteout(path: &Path) {
    mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
}

/// An overlay holds none of what hides in an overlay, and then nothing here can be tested.
fn holds_whiteouts(directory: &Path) -> bool {
    let probe = directory.join("probe");
    let made = mknodat(CWD, &probe, FileType::CharacterDevice, Mode::empty(), 0).is_ok();
    if made {
        fs::remove_file(probe).unwrap();
    } else {
        eprintln!("SKIPPED: no whiteouts can be made in {}", directory.display());
    }
    made
}

/// False where the file system has no attributes.
fn mark(path: &Path, name: &str, value: &[u8]) -> bool {
    setxattr(path, name, value, XattrFlags::empty()).is_ok()
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = [0; 100];
    let length = getxattr(path, name, &mut value[..]).ok()?;
    Some(value[..length].to_vec())
}

#[tokio::test]
async fn a_layer_is_made_once_and_found_with_what_was_said_of_it() {
    let case = Case::new();
    assert!(case.layers.find(&of("k")).unwrap().is_none());
    assert!(!case.layers.touch(&of("k")).unwrap());
    let made = case.make("k", |upper| fs::write(upper.join("file"), "content").unwrap()).await;
    let found = Layers::open(case.directory.path()).unwrap().find(&of("k")).unwrap().unwrap();
    assert_eq!((&found.upper, &found.meta), (&made.upper, &json!({ "of": "k" })));
    assert_eq!(fs::read_to_string(found.upper.join("file")).unwrap(), "content");
    assert!(!found.directory().join(WORK).exists());
    assert!(case.layers.touch(&of("k")).unwrap());
    assert!(matches!(case.layers.lock(&of("k")).await.unwrap(), Locked::Built(_)));
    let listed = case.layers.list().unwrap();
    assert_eq!((listed.len(), listed[0].files, &listed[0].key), (1, 1, &of("k")));
    assert!(listed[0].size > 0 && listed[0].created_at > 1_600_000_000_000);
}

#[tokio::test]
async fn an_upper_from_elsewhere_is_renamed_with_all_that_only_it_can_hold() {
    let case = Case::new();
    if !holds_whiteouts(case.directory.path()) {
        return;
    }
    let upper = case.directory.path().join("elsewhere");
    fs::create_dir_all(upper.join("opaque")).unwrap();
    whiteout(&upper.join("gone"));
    let marked = mark(&upper.join("opaque"), "user.overlay.opaque", b"y");
    let inode = fs::metadata(&upper).unwrap().ino();
    let building = case.building("k").await;
    building.adopt(&upper).unwrap();
    let layer = case.layers.commit(building, Value::Null).unwrap();
    assert!(!upper.exists());
    assert_eq!(fs::metadata(&layer.upper).unwrap().ino(), inode);
    let gone = fs::symlink_metadata(layer.upper.join("gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert_eq!(attribute(&layer.upper.join("opaque"), "user.overlay.opaque").is_some(), marked);
}

#[tokio::test]
async fn what_is_dropped_or_was_left_behind_is_gone() {
    let case = Case::new();
    let building = case.building("dropped").await;
    fs::write(building.upper().join("half"), "").unwrap();
    drop(building);
    assert!(fs::read_dir(case.building("dropped").await.upper()).unwrap().next().is_none());
    let left = case.directory.path().join("layers/left.building");
    fs::create_dir_all(left.join(UPPER)).unwrap();
    let layers = Layers::open(case.directory.path()).unwrap();
    assert!(!left.exists() && layers.list().unwrap().is_empty());
}

#[tokio::test]
async fn layers_go_until_the_rest_fits_but_those_in_use_do_not() {
    let case = Case::new();
    for key in ["one", "two", "three"] {
        drop(case.make(key, |upper| fs::write(upper.join("file"), vec![1; 100_000]).unwrap()).await);
    }
    let held = case.layers.find(&of("two")).unwrap().unwrap();
    assert_eq!(case.layers.evict(held.size, &[of("three")]).unwrap(), [of("one")]);
    assert_eq!(case.layers.evict(u64::MAX, &[]).unwrap().len(), 0);
    drop(held);
    assert_eq!(case.layers.evict(0, &[of("three")]).unwrap(), [of("two")]);
    assert_eq!(case.layers.list().unwrap().len(), 1);
}

#[tokio::test]
async fn a_layer_is_the_same_on_the_other_machine() {
    let case = Case::new();
    if !holds_whiteouts(case.directory.path()) {
        return;
    }
    let long = ["a-rather-long-name"; 8].join("/");
    let mut marked = false;
    let layer = case
        .make("here", |upper| {
            fs::create_dir_all(upper.join(&long)).unwrap();
            fs::write(upper.join(&long).join("tool"), "run").unwrap();
            fs::set_permissions(upper.join(&long).join("tool"), PermissionsExt::from_mode(0o4750)).unwrap();
            fs::hard_link(upper.join(&long).join("tool"), upper.join("same")).unwrap();
            symlink(format!("/{long}/tool//../"), upper.join("link")).unwrap();
            symlink("short//", upper.join("short")).unwrap();
            fs::create_dir(upper.join("opaque")).unwrap();
            marked = mark(&upper.join("opaque"), "user.overlay.opaque", b"y")
                && mark(&upper.join("same"), "user.note", b"kept")
                && mark(&upper.join("same"), "user.overlay.origin", b"local");
            whiteout(&upper.join("gone"));
            whiteout(&upper.join("opaque/gone"));
            let time = Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
            let times = Timestamps { last_access: time, last_modification: time };
            utimensat(CWD, upper.join("opaque"), &times, AtFlags::empty()).unwrap();
        })
        .await;
    let (bytes, said) = packed(&layer).unwrap();
    assert_eq!(packed(&layer).unwrap().0, bytes);
    assert_eq!(said.skipped, 0);
    let there = case.unpack("there", &bytes).await.unwrap();
    let at = |path: &str| there.upper.join(path);
    let tool = fs::metadata(at(&format!("{long}/tool"))).unwrap();
    assert_eq!((tool.mode() & 0o7777, tool.ino()), (0o4750, fs::metadata(at("same")).unwrap().ino()));
    assert_eq!(fs::read_to_string(at("same")).unwrap(), "run");
    // Byte for byte: a path would lose the slashes.
    assert_eq!(fs::read_link(at("link")).unwrap().to_str().unwrap(), format!("/{long}/tool//../"));
    assert_eq!(fs::read_link(at("short")).unwrap().to_str().unwrap(), "short//");
    for path in ["gone", "opaque/gone"] {
        let gone = fs::symlink_metadata(at(path)).unwrap();
        assert!(gone.file_type().is_char_device() && gone.rdev() == 0, "{path}");
    }
    assert_eq!(fs::metadata(at("opaque")).unwrap().mtime(), 1_000_000_000);
    if marked {
        assert_eq!(attribute(&at("opaque"), "user.overlay.opaque").as_deref(), Some(b"y".as_slice()));
        assert_eq!(attribute(&at("same"), "user.note").as_deref(), Some(b"kept".as_slice()));
        assert_eq!(attribute(&at("same"), "user.overlay.origin"), None);
    }
    assert_eq!(packed(&there).unwrap().0, bytes);
}

#[tokio::test]
async fn what_a_tarball_cannot_say_is_not_said_wrongly() {
    let case = Case::new();
    let name = case.make("name", |upper| fs::write(upper.join(".wh.file"), "").unwrap()).await;
    assert!(matches!(packed(&name), Err(PackError::Path { .. })));
    let mut marked = false;
    let moved = case
        .make("moved", |upper| {
            fs::create_dir(upper.join("d")).unwrap();
            marked = mark(&upper.join("d"), "user.overlay.redirect", b"/old");
        })
        .await;
    assert_eq!(matches!(packed(&moved), Err(PackError::Path { .. })), marked);
}

#[tokio::test]
async fn a_packed_layer_is_as_hostile_as_any_archive() {
    let case = Case::new();
    let secret = case.directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let outside = case.directory.path().to_str().unwrap();
    let attacks = [
        Archive::new().symlink("way", outside).file("way/secret", "mine"),
        Archive::new().symlink("way", outside).file("way/.wh.secret", ""),
        Archive::new().symlink("way", outside).file("way/.wh..wh..opq", ""),
        Archive::new().file("../../../secret", "mine"),
        Archive::new().file(".wh...", ""),
        Archive::new().link("l", secret.to_str().unwrap()),
    ];
    for (number, attack) in attacks.into_iter().enumerate() {
        let refused = case.unpack(&format!("k{number}"), &attack.bytes()).await;
        assert!(matches!(refused, Err(unpack::Error::Path { .. })), "{number}: {refused:?}");
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert!(case.layers.list().unwrap().is_empty());
    if !holds_whiteouts(case.directory.path()) {
        return;
    }
    // A device that is a device is left out, and a whiteout takes the place of what its own archive has.
    let odd = Archive::new()
        .entry(EntryType::Char, "null", "", b"", |_| {})
        .directory("d")
        .file("d/in", "")
        .file(".wh.d", "");
    let layer = case.unpack("odd", &odd.bytes()).await.unwrap();
    assert!(!layer.upper.join("null").exists());
    assert!(fs::symlink_metadata(layer.upper.join("d")).unwrap().file_type().is_char_device());
}

#[tokio::test]
async fn packing_stops_when_nobody_waits() {
    let case = Case::new();
    let layer = case.make("k", |upper| fs::write(upper.join("file"), "").unwrap()).await;
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    assert!(matches!(layer.pack(io::sink(), &cancelled), Err(PackError::Cancelled)));
}

#[test]
fn a_key_is_a_name_and_no_path() {
    for key in ["a", "0", "sha256-00_ff", &"k".repeat(MAX_KEY)] {
        assert!(key.parse::<Key>().is_ok(), "{key}");
    }
    for key in ["", ".", "..", "a/b", "a.lock", "A", "ä", &"k".repeat(MAX_KEY + 1)] {
        assert!(key.parse::<Key>().is_err(), "{key}");
    }
}
