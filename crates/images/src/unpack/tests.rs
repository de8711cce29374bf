//! Archives good and bad, into a directory beside one that none of them may touch.

mod attacks;
mod bounds;
mod whiteouts;

use std::{
    fs::{self, Metadata},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
};

use rustix::fs::flistxattr;
use tar::EntryType;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Limits, testing::Archive};

struct Case {
    directory: tempfile::TempDir,
    limits: Limits,
    rules: Rules,
}

impl Case {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("rootfs")).unwrap();
        fs::create_dir(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/secret"), "secret").unwrap();
        Self { directory, limits: Limits::default(), rules: Rules::new(false, Whiteouts::Apply) }
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.directory.path().join("rootfs").join(path)
    }

    fn outside(&self) -> String {
        self.directory.path().join("outside").to_str().unwrap().to_owned()
    }

    fn unpack(&self, layers: impl IntoIterator<Item = Archive>) -> Result<(Totals, Skipped), Error> {
        let layers: Vec<_> = layers.into_iter().map(Archive::bytes).collect();
        self.unpack_bytes(layers.iter().map(Vec::as_slice))
    }

    fn unpack_bytes<'b>(&self, layers: impl IntoIterator<Item = &'b [u8]>) -> Result<(Totals, Skipped), Error> {
        let watch = Watch::start(self.limits.clone(), CancellationToken::new());
        let mut unpacker = Unpacker::new(&self.inside(""), self.rules, &watch).unwrap();
        for layer in layers {
            unpacker.layer(layer, &Expected::default(), &|_| {})?;
        }
        unpacker.finish()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.inside(path)).unwrap()
    }

    fn stat(&self, path: &str) -> Metadata {
        fs::symlink_metadata(self.inside(path)).unwrap()
    }

    /// Every path, sorted.
    fn all(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut open = vec![self.inside("")];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                all.push(path.strip_prefix(self.inside("")).unwrap().to_str().unwrap().to_owned());
                if path.is_dir() && !path.is_symlink() {
                    open.push(path);
                }
            }
        }
        all.sort();
        all
    }

    fn assert_untouched(&self) {
        let outside = self.directory.path().join("outside");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    }
}

#[test]
fn files_come_out_as_they_went_in() {
    let case = Case::new();
    let long = format!("{}/file", ["a-rather-long-name"; 10].join("/"));
    let archive = Archive::new()
        .entry(EntryType::Directory, "closed/", "", b"", |header| header.set_mode(0o555))
        .file("closed/file", "content")
        .entry(EntryType::Regular, "bin/tool", "", b"run", |header| header.set_mode(0o755))
        .symlink("bin/again", "/bin/tool")
        .link("bin/linked", "bin/tool")
        .extended(&[("path", long.as_bytes()), ("mtime", b"1700000000.5")])
        .file("short", "long");
    let (totals, skipped) = case.unpack([archive]).unwrap();
    assert_eq!(case.read("closed/file"), "content");
    assert_eq!(case.read(&long), "long");
    assert_eq!(fs::read_link(case.inside("bin/again")).unwrap().to_str(), Some("/bin/tool"));
    assert_eq!(case.stat("bin/tool").ino(), case.stat("bin/linked").ino());
    assert_eq!(case.stat("bin/tool").permissions().mode() & 0o7777, 0o755);
    assert_eq!(case.stat("bin/again").mtime(), 1_000_000_000);
    assert_eq!((case.stat(&long).mtime(), case.stat(&long).mtime_nsec()), (1_700_000_000, 500_000_000));
    // Not when the file in it was made.
    assert_eq!(case.stat("closed").mtime(), 1_000_000_000);
    assert_eq!(case.stat("closed").mode() & 0o577, 0o555);
    assert_eq!(case.stat("bin").mode() & 0o7777, 0o755);
    assert_eq!(totals.files as usize, case.all().len());
    assert!(totals.bytes > 0, "{totals:?}");
    assert_eq!(skipped, Skipped::default());
}

#[test]
fn a_gnu_long_name_is_read() {
    let case = Case::new();
    let long = "n".repeat(200);
    let mut name = long.clone().into_bytes();
    name.push(0);
    let archive =
        Archive::new().entry(EntryType::GNULongName, "././@LongLink", "", &name, |_| {}).file("short", "content");
    case.unpack([archive]).unwrap();
    assert_eq!(case.all(), [long]);
}

#[test]
fn a_sparse_file_has_its_holes() {
    let case = Case::new();
    let archive = Archive::new().entry(EntryType::GNUSparse, "sparse", "", b"end", |header| {
        let gnu = header.as_gnu_mut().unwrap();
        gnu.set_real_size(8195);
        gnu.sparse[0].set_offset(8192);
        gnu.sparse[0].set_length(3);
    });
    case.unpack([archive]).unwrap();
    let content = fs::read(case.inside("sparse")).unwrap();
    assert_eq!(content.len(), 8195);
    assert!(content.starts_with(&[0; 8192]) && content.ends_with(b"end"));
}

#[test]
fn owners_are_kept_by_root_alone() {
    let case = Case::new();
    let archive = Archive::new().entry(EntryType::Regular, "file", "", b"", |header| {
        header.set_uid(12_345);
        header.set_gid(23_456);
    });
    case.unpack([archive]).unwrap();
    let (stat, root) = (case.stat("file"), geteuid());
    let expected = if root.is_root() { (12_345, 23_456) } else { (root.as_raw(), stat.gid()) };
    assert_eq!((stat.uid(), stat.gid()), expected);
}

#[test]
fn set_id_bits_stay_only_where_asked_for() {
    for (special_bits, mode) in [(false, 0o755), (true, 0o4755)] {
        let mut case = Case::new();
        case.rules.special_bits = special_bits;
        let archive = Archive::new().entry(EntryType::Regular, "su", "", b"", |header| header.set_mode(0o4755)).entry(
            EntryType::Directory,
            "tmp",
            "",
            b"",
            |header| header.set_mode(0o1777),
        );
        let (_, skipped) = case.unpack([archive]).unwrap();
        assert_eq!(case.stat("su").mode() & 0o7777, mode);
        assert_eq!(case.stat("tmp").mode() & 0o7777, 0o1777);
        assert_eq!(skipped.special_bits, u64::from(!special_bits));
    }
}

#[test]
fn devices_are_left_out_and_counted() {
    let case = Case::new();
    let mut archive = Archive::new().file("kept", "");
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::new(b'Z')] {
        archive = archive.entry(kind, "dev/special", "", b"", |_| {});
    }
    let (_, skipped) = case.unpack([archive]).unwrap();
    assert_eq!(case.all(), ["kept"]);
    assert_eq!(skipped.special_files, 4);
}

#[test]
fn of_attributes_only_those_that_mean_nothing_to_the_system_are_kept() {
    let case = Case::new();
    let archive = Archive::new()
        .extended(&[
            ("SCHILY.xattr.user.note", b"kept"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.security.capability", b"\x01\x00\x00\x02"),
        ])
        .file("file", "content");
    let (_, skipped) = case.unpack([archive]).unwrap();
    let mut list = [0; 4096];
    let length = flistxattr(fs::File::open(case.inside("file")).unwrap(), &mut list[..]).unwrap_or(0);
    let names = String::from_utf8(list[..length].to_vec()).unwrap();
    let names: Vec<_> = names.split_terminator('\0').filter(|name| *name != "security.selinux").collect();
    // A file system without attributes keeps none.
    let kept = usize::from(skipped.attributes == 3);
    assert!(matches!(skipped.attributes, 3 | 4), "{skipped:?}");
    assert_eq!(names, ["user.note"][..kept]);
}

#[test]
fn of_entries_of_one_name_the_last_counts() {
    let case = Case::new();
    let archive = Archive::new()
        .file("a", "first")
        .file("a", "second")
        .directory("b")
        .file("b/in", "")
        .file("b", "now a file")
        .file("c", "")
        .directory("c")
        .file("c/in", "");
    case.unpack([archive]).unwrap();
    assert_eq!(case.all(), ["a", "b", "c", "c/in"]);
    assert_eq!((case.read("a"), case.read("b")), ("second".into(), "now a file".into()));
}

#[test]
fn a_layer_that_is_another_than_the_manifest_s_is_refused() {
    let archive = Archive::new().file("a", "content").bytes();
    let right = Digest::of(&archive);
    let wrong = Digest::of(b"something else");
    let cases = [(Some(&right), Some(&right), true), (Some(&wrong), None, false), (None, Some(&wrong), false)];
    for (blob, diff, fits) in cases {
        let case = Case::new();
        let watch = Watch::start(Limits::default(), CancellationToken::new());
        let mut unpacker = Unpacker::new(&case.inside(""), case.rules, &watch).unwrap();
        let expected = Expected { blob: blob.cloned(), diff: diff.cloned() };
        let done = unpacker.layer(archive.as_slice(), &expected, &|_| {});
        assert!(if fits { done.is_ok() } else { matches!(done, Err(Error::Digest { .. })) });
    }
}
