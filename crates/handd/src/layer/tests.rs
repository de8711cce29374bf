use std::{
    ffi::OsString,
    fs::{self, File, Permissions},
    os::unix::{
        ffi::OsStringExt,
        fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, getxattr, makedev, mknodat, setxattr, utimensat,
    },
    process::geteuid,
};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;

const DISK: u64 = 64 << 20;

/// The directories of two layers, and a spare one.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for part in ["root", "usr", "new-root", "new-usr", "spare"] {
            fs::create_dir(place.at(part)).unwrap();
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn open(&self, name: &str) -> OwnedFd {
        File::open(self.at(name)).unwrap().into()
    }

    fn layer(&self, prefix: &str) -> Layer {
        let open = |part| self.open(&format!("{prefix}{part}"));
        Layer { root: open("root"), usr: Some(open("usr")) }
    }

    fn save(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        save(&self.layer(""), DISK, &mut archive).unwrap();
        archive
    }

    fn unpack(&self, archive: &[u8]) -> io::Result<()> {
        unpack(&self.layer("new-"), DISK, &self.open("spare"), archive)
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Whether the file system of the test has attributes for programs.
fn mark(path: &Path, name: &str, value: &[u8]) -> bool {
    setxattr(path, name, value, XattrFlags::empty()).is_ok()
}

fn marked(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 100];
    let length = getxattr(path, name, value.as_mut_slice()).ok()?;
    Some(value[..length].to_vec())
}

#[test]
fn everything_that_a_layer_holds_comes_back() {
    let place = Place::new();
    let long = "n".repeat(255);
    let odd = OsString::from_vec(b"a\nb\xff=%".to_vec());
    let root = place.at("root");
    fs::write(root.join(&long), "long").unwrap();
    fs::create_dir(root.join(&odd)).unwrap();
    fs::write(root.join(&odd).join("file"), "odd").unwrap();
    fs::hard_link(root.join(&odd).join("file"), root.join("z")).unwrap();
    symlink(&odd, root.join("link")).unwrap();
    symlink(format!("{}nowhere", "deep/".repeat(200)), root.join("far")).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join("suid"), "suid").unwrap();
    chmod(&root.join("suid"), 0o6755);
    fs::create_dir(root.join("shared")).unwrap();
    chmod(&root.join("shared"), 0o3777);
    mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    mknodat(CWD, root.join("removed"), FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).unwrap();
    mknodat(CWD, place.at("usr/gone"), FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).unwrap();
    let time = Timespec { tv_sec: -77, tv_nsec: 123_456_789 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, root.join(&odd), &times, AtFlags::empty()).unwrap();

    let archive = place.save();
    place.unpack(&archive).unwrap();
    let new = place.at("new-root");
    assert_eq!(fs::read(new.join(&long)).unwrap(), b"long");
    assert_eq!(fs::read(new.join(&odd).join("file")).unwrap(), b"odd");
    let (one, other) = (fs::metadata(new.join("z")).unwrap(), fs::metadata(new.join(&odd).join("file")).unwrap());
    assert_eq!((one.ino(), one.nlink()), (other.ino(), 2));
    assert_eq!(fs::read_link(new.join("link")).unwrap(), Path::new(&odd));
    assert_eq!(fs::read_link(new.join("far")).unwrap(), fs::read_link(root.join("far")).unwrap());
    assert_eq!(fs::read(new.join("empty")).unwrap(), b"");
    assert_eq!((mode(&new.join("suid")), mode(&new.join("shared"))), (0o755, 0o3777));
    assert!(!new.join("pipe").exists());
    for whiteout in [new.join("removed"), place.at("new-usr/gone")] {
        let found = fs::symlink_metadata(whiteout).unwrap();
        assert!(found.file_type().is_char_device() && found.rdev() == 0);
    }
    let found = fs::metadata(new.join(&odd)).unwrap();
    assert_eq!((found.mtime(), found.mtime_nsec()), (-77, 123_456_789));
    assert_eq!(fs::read_dir(place.at("spare")).unwrap().count(), 0);
}

#[test]
fn what_nobody_may_read_is_saved_and_stays_unreadable() {
    let place = Place::new();
    let (closed, deep) = (place.at("root/closed"), place.at("root/closed/deep"));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("secret"), "secret").unwrap();
    for path in [&deep.join("secret"), &deep, &closed] {
        chmod(path, 0);
    }
    let layer = place.layer("");
    chmod(&place.at("root"), 0o111);
    let mut archive = Vec::new();
    save(&layer, DISK, &mut archive).unwrap();
    place.unpack(&archive).unwrap();
    assert_eq!((mode(&place.at("root")), mode(&place.at("new-root"))), (0o111, 0o111));
    for top in ["root", "new-root"] {
        let closed = place.at(top).join("closed");
        assert_eq!(mode(&closed), 0, "{top}");
        for (path, name) in [(closed.clone(), "deep"), (closed.join("deep"), "secret")] {
            chmod(&path, 0o700);
            assert_eq!(mode(&path.join(name)), 0, "{top} {name}");
        }
        let secret = closed.join("deep/secret");
        chmod(&secret, 0o600);
        assert_eq!(fs::read(secret).unwrap(), b"secret");
        chmod(&place.at(top), 0o755);
    }
}

#[test]
fn holes_stay_holes() {
    let place = Place::new();
    let file = File::create(place.at("root/sparse")).unwrap();
    file.set_len(1 << 30).unwrap();
    file.write_all_at(b"middle", 512 << 20).unwrap();
    File::create(place.at("root/hollow")).unwrap().set_len(1 << 40).unwrap();
    let archive = place.save();
    assert!(archive.len() < 1 << 20);
    place.unpack(&archive).unwrap();
    let found = File::open(place.at("new-root/sparse")).unwrap();
    let mut middle = [0; 8];
    found.read_exact_at(&mut middle, (512 << 20) - 1).unwrap();
    let metadata = found.metadata().unwrap();
    assert_eq!((&middle, metadata.len()), (b"\0middle\0", 1 << 30));
    assert!(metadata.blocks() < 1_000);
    let hollow = fs::metadata(place.at("new-root/hollow")).unwrap();
    assert_eq!((hollow.len(), hollow.blocks()), (1 << 40, 0));
}

#[test]
fn marks_of_programs_stay_and_of_the_overlays_only_the_one_that_hides() {
    let place = Place::new();
    let (file, directory) = (place.at("root/file"), place.at("root/directory"));
    fs::write(&file, "").unwrap();
    fs::create_dir(&directory).unwrap();
    if !mark(&file, "user.a=b%", b"1\n2") {
        eprintln!("skipped: the file system of the temporary directory has no attributes for programs");
        return;
    }
    mark(&directory, "user.overlay.opaque", b"y");
    mark(&directory, "user.overlay.origin", b"where it was");
    chmod(&file, 0);
    let archive = place.save();
    place.unpack(&archive).unwrap();
    let (file, directory) = (place.at("new-root/file"), place.at("new-root/directory"));
    chmod(&file, 0o600);
    assert_eq!(marked(&file, "user.a=b%").as_deref(), Some(&b"1\n2"[..]));
    assert_eq!(marked(&directory, "user.overlay.opaque").as_deref(), Some(&b"y"[..]));
    assert_eq!(marked(&directory, "user.overlay.origin"), None);
}

#[test]
fn deep_directories_are_kept_up_to_a_limit() {
    let place = Place::new();
    let deepest = |levels: usize| "d/".repeat(levels);
    fs::create_dir_all(place.at("root").join(deepest(500))).unwrap();
    fs::write(place.at("root").join(deepest(500)).join("file"), "deep").unwrap();
    let archive = place.save();
    place.unpack(&archive).unwrap();
    assert_eq!(fs::read(place.at("new-root").join(deepest(500)).join("file")).unwrap(), b"deep");
    fs::create_dir_all(place.at("root").join(deepest(520))).unwrap();
    let refused = save(&place.layer(""), DISK, io::sink()).unwrap_err().to_string();
    assert!(refused.contains("512 deep"), "{refused}");
}

/// A kind, a path, a link and content.
type Entry = (EntryType, &'static str, &'static str, &'static str);

const TOP: Entry = (EntryType::Directory, "root", "", "");

fn forged(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (kind, path, link, content) in entries {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o4755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_device_major(0).unwrap();
        header.set_device_minor(if *kind == EntryType::Char { 3 } else { 0 }).unwrap();
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    zstd::encode_all(archive.into_inner().unwrap().as_slice(), 1).unwrap()
}

#[test]
fn a_forged_archive_makes_nothing_outside_its_layer() {
    let file = |path| (EntryType::Regular, path, "", "bad");
    let link = |path, to| (EntryType::Link, path, to, "");
    let symlink = |path, to| (EntryType::Symlink, path, to, "");
    let records = |text| (EntryType::XHeader, "-", "", text);
    let cases: Vec<Vec<Entry>> = vec![
        vec![TOP, file("root/../bad")],
        vec![TOP, file("../bad")],
        vec![TOP, file("/bad")],
        vec![TOP, file("bad")],
        vec![TOP, file("root/missing/bad")],
        // A link, and then through it or in its place.
        vec![TOP, symlink("root/link", ".."), file("root/link/bad")],
        vec![TOP, symlink("root/link", "../bad"), file("root/link")],
        vec![TOP, symlink("root/link", ".."), (EntryType::Directory, "root/link", "", "")],
        vec![symlink("root", ".."), file("root/bad")],
        vec![TOP, link("root/link", "../there")],
        vec![TOP, link("root/link", "root/../there")],
        vec![TOP, symlink("root/up", ".."), link("root/bad", "root/up/there")],
        vec![TOP, file("root/file"), link("usr/link", "root/file")],
        // Devices, and what else no layer has.
        vec![TOP, (EntryType::Char, "root/null", "", "")],
        vec![TOP, (EntryType::Block, "root/disk", "", "")],
        vec![TOP, (EntryType::Fifo, "root/pipe", "", "")],
        vec![TOP, (EntryType::GNULongName, "root/name", "", "root/../bad")],
        vec![TOP, (EntryType::XGlobalHeader, "root/global", "", "")],
        // What does not fit together.
        vec![TOP, records("13 size=1000\n"), file("root/long")],
        vec![TOP, records("23 GNU.sparse.map=0,99\n"), file("root/sparse")],
        vec![TOP, records("nonsense"), file("root/file")],
        vec![TOP, records("15 path=root/a\n"), records("15 path=root/b\n"), file("root/file")],
        vec![TOP, file("root/twice"), file("root/twice")],
        // Nothing at all, as of a file that was never written.
        vec![],
    ];
    for (number, entries) in cases.iter().enumerate() {
        let place = Place::new();
        fs::write(place.at("there"), "there").unwrap();
        assert!(place.unpack(&forged(entries)).is_err(), "{number}");
        assert!(!place.at("bad").exists() && !place.at("new-root/bad").exists(), "{number}");
        assert_eq!(fs::metadata(place.at("there")).unwrap().nlink(), 1, "{number}");
    }
}

#[test]
fn a_forged_archive_gives_nobody_more_than_a_file() {
    let place = Place::new();
    place.unpack(&forged(&[TOP, (EntryType::Regular, "root/file", "", "text")])).unwrap();
    assert_eq!((mode(&place.at("new-root/file")), mode(&place.at("new-root"))), (0o755, 0o755));
    assert_eq!(fs::metadata(place.at("new-root/file")).unwrap().uid(), geteuid().as_raw());
}

#[test]
fn a_damaged_archive_is_refused() {
    let place = Place::new();
    fs::write(place.at("root/file"), "0123456789".repeat(1_000)).unwrap();
    let archive = place.save();
    for length in [0, 3, archive.len() / 2, archive.len() - 1] {
        assert!(Place::new().unpack(&archive[..length]).is_err(), "{length}");
    }
    let mut changed = archive.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert!(Place::new().unpack(&changed).is_err());
    Place::new().unpack(&archive).unwrap();
}
