//! Checkpoints that no daemon has made. Each is refused, or does what any agent could have done inside.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hands::Sandbox;
use tar::{Builder, EntryType, Header};

use super::from;
use crate::bench::{Bench, bash};

struct Entry<'a> {
    path: &'a str,
    kind: EntryType,
    link: &'a str,
    mode: u32,
    owner: u64,
    device: u32,
    size: Option<u64>,
    data: &'a [u8],
    records: &'a [(&'a str, &'a [u8])],
}

fn entry(path: &str, kind: EntryType) -> Entry<'_> {
    Entry { path, kind, link: "", mode: 0o755, owner: 0, device: 0, size: None, data: b"", records: &[] }
}

fn directory(path: &str) -> Entry<'_> {
    entry(path, EntryType::Directory)
}

fn file<'a>(path: &'a str, data: &'a [u8]) -> Entry<'a> {
    Entry { data, ..entry(path, EntryType::Regular) }
}

fn link<'a>(path: &'a str, kind: EntryType, to: &'a str) -> Entry<'a> {
    Entry { link: to, ..entry(path, kind) }
}

/// An archive of these entries, below a root that is as it should be.
fn forged(bench: &Bench, entries: &[Entry<'_>]) -> PathBuf {
    let mut archive = Builder::new(Vec::new());
    let root = [directory("root"), directory("root/opt")];
    for told in root.iter().chain(entries) {
        if !told.records.is_empty() {
            archive.append_pax_extensions(told.records.iter().copied()).unwrap();
        }
        let mut header = Header::new_ustar();
        // As it is: what the crate itself would refuse to write is what is to be tried.
        header.as_old_mut().name[..told.path.len()].copy_from_slice(told.path.as_bytes());
        header.as_old_mut().linkname[..told.link.len()].copy_from_slice(told.link.as_bytes());
        header.set_entry_type(told.kind);
        header.set_mode(told.mode);
        header.set_uid(told.owner);
        header.set_gid(told.owner);
        header.set_mtime(0);
        header.set_device_major(told.device).unwrap();
        header.set_device_minor(told.device).unwrap();
        header.set_size(told.size.unwrap_or(told.data.len() as u64));
        header.set_cksum();
        archive.append(&header, told.data).unwrap();
    }
    let path = bench.data.path().join("forged");
    fs::write(&path, zstd::encode_all(archive.into_inner().unwrap().as_slice(), 1).unwrap()).unwrap();
    path
}

async fn refused(bench: &Bench, entries: &[Entry<'_>]) -> String {
    let path = forged(bench, entries);
    let made = bench.sandbox.provision(&from(&path), 1).await;
    let error = made.err().unwrap_or_else(|| panic!("{} is taken", entries.last().unwrap().path));
    bench.sandbox.destroy("one", None).await.unwrap();
    error.to_string()
}

#[tokio::test]
async fn nothing_is_made_outside_of_the_sandboxs_own_files() {
    let bench = Bench::new();
    let outside = bench.data.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("canary"), "untouched").unwrap();
    fs::set_permissions(&outside, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let (there, canary) = (outside.to_str().unwrap(), outside.join("canary"));
    let canary = canary.to_str().unwrap();
    let planted = format!("{there}/planted");
    let up = format!("root/../../../../../../../..{planted}");
    let climbs = format!("root/../../../../../../../..{canary}");
    let (symlink, hard) = (EntryType::Symlink, EntryType::Link);
    let attempts: &[&[Entry<'_>]] = &[
        &[file(&up, b"x")],
        &[file(&planted, b"x")],
        &[file("root//opt/../../x", b"x")],
        &[file("root/opt/./x", b"x")],
        &[file("upper/x", b"x")],
        &[file("../usr-upper/x", b"x")],
        &[link("root/opt/link", symlink, there), file("root/opt/link/planted", b"x")],
        &[link("root/opt/link", symlink, canary), file("root/opt/link", b"x")],
        &[link("root/opt/link", symlink, there), directory("root/opt/link"), file("root/opt/link/planted", b"x")],
        &[link("root/opt/hard", hard, canary)],
        &[link("root/opt/hard", hard, &climbs)],
        &[link("root/opt/link", symlink, there), link("root/opt/hard", hard, "root/opt/link/canary")],
        &[link("root/opt/link", symlink, there), link("root/opt/link/hard", hard, "root/opt")],
        &[Entry { records: &[("path", b"root/opt/../../x")], ..file("root/opt/x", b"x") }],
        &[Entry { records: &[("path", b"/etc/stead-test-planted")], ..file("root/opt/x", b"x") }],
        &[Entry { records: &[("linkpath", b"../../../etc/passwd")], ..link("root/opt/x", hard, "root/opt") }],
    ];
    for entries in attempts {
        refused(&bench, entries).await;
    }
    assert_eq!(fs::read_to_string(canary).unwrap(), "untouched");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert!(!Path::new("/etc/stead-test-planted").exists() && !Path::new("/upper").exists());
    bench.end().await;
}

#[tokio::test]
async fn there_are_no_devices_and_nobody_is_lent_anothers_rights() {
    let bench = Bench::new();
    for kind in [EntryType::Block, EntryType::Fifo, EntryType::Continuous, EntryType::GNUSparse] {
        refused(&bench, &[entry("root/opt/special", kind)]).await;
    }
    refused(&bench, &[Entry { device: 1, ..entry("root/opt/memory", EntryType::Char) }]).await;
    let owned = |owner| Entry { owner, mode: 0o6755, ..file("root/opt/lent", b"x") };
    for owner in [0, 70_000, 1 << 20] {
        let path = forged(&bench, &[owned(owner), Entry { mode: 0o7777, ..directory("root/opt/open") }]);
        let hand = bench.provision(&from(&path)).await;
        let said = "755 0:0\n3777 0:0";
        assert_eq!(bash(&*hand, "stat -c '%a %u:%g' /opt/lent /opt/open").await, said, "{owner}");
    }
    bench.end().await;
}

#[tokio::test]
async fn what_is_too_much_for_the_disk_is_refused_in_little_time() {
    let bench = Bench::new();
    // A few thousand bytes that come to more than the disk holds.
    let zeros = vec![0; 40 << 20];
    let files = [file("root/opt/one", &zeros), file("root/opt/two", &zeros)];
    let why = refused(&bench, &files).await;
    assert!(why.contains("they need more than the 64 MiB"), "{why}");
    let why = refused(&bench, &[Entry { size: Some(1 << 32), ..file("root/opt/cut", b"x") }]).await;
    assert!(!why.is_empty());
    let records: &[(&str, &[u8])] =
        &[("GNU.sparse.size", b"9000000000000000000"), ("GNU.sparse.numblocks", b"1"), ("GNU.sparse.map", b"0,512")];
    let data = [7; 512];
    let path = forged(&bench, &[Entry { records, ..file("root/opt/holes", &data) }]);
    if let Ok(hand) = bench.sandbox.provision(&from(&path), 1).await {
        assert_eq!(bash(&*hand, "stat -c %b /opt/holes; echo alive").await, "8\nalive", "holes take nothing");
    }
    let far: &[(&str, &[u8])] =
        &[("GNU.sparse.size", b"512"), ("GNU.sparse.numblocks", b"1"), ("GNU.sparse.map", b"18446744073709551000,512")];
    refused(&bench, &[Entry { records: far, ..file("root/opt/holes", &data) }]).await;
    bench.end().await;
}

#[tokio::test]
async fn what_stands_where_something_is_mounted_makes_way() {
    let bench = Bench::new();
    let symlink = EntryType::Symlink;
    let entries = [
        file("root/proc", b"x"),
        link("root/dev", symlink, "/etc"),
        link("root/mnt", symlink, "/tmp"),
        link("root/usr", symlink, "/tmp"),
        link("root/etc", symlink, "/opt"),
        link("root/tmp", symlink, "/opt"),
    ];
    let path = forged(&bench, &entries);
    let hand = bench.provision(&from(&path)).await;
    let look = "test -d /proc/self && test -c /dev/null && test -d /mnt/session/uploads && ls /usr/bin/env; readlink /etc /tmp";
    assert_eq!(bash(&*hand, look).await, "/usr/bin/env\n/opt\n/opt");
    bench.end().await;
}
