//! What goes into a container as a tar archive, and the one file that comes out of it as one.
//!
//! Archives are made in files that have no name, so that an input file of any size is never in memory.

use std::{
    collections::{BTreeSet, HashSet},
    fs::File,
    io::{self, ErrorKind, Read, Seek},
    path::{Component, Path, PathBuf},
};

use hand_protocol::{HOUSE, HOUSE_DAEMON, HOUSE_JOURNAL, OUTPUTS, OVERFLOW, UPLOADS, WORKSPACE};
use hands::ProvisionError;
use tar::{Builder, EntryType, Header};

/// Whom everything in the container runs as. Root there may be root outside: so nobody is root there but what is run
/// from outside.
pub(crate) const USER: u64 = 1_000;
const ROOT: u64 = 0;

/// Bytes of a journal that the next container of a session goes on with.
pub(crate) const MOST_OF_JOURNAL: usize = 256 << 20;

/// All that a container needs to begin with: to be unpacked at its root.
pub(crate) fn beginning(
    scratch: &Path,
    journal: Option<&[u8]>,
    uploads: &[(PathBuf, String)],
) -> Result<File, ProvisionError> {
    let failed = |error: io::Error| ProvisionError::Failed(format!("its files cannot be packed: {error}"));
    let mut archive = start(scratch).map_err(failed)?;
    let lay = |archive: &mut Builder<File>| {
        directory(archive, HOUSE, USER)?;
        file(archive, HOUSE_DAEMON, 0o555, ROOT, hands::daemon_program())?;
        if let Some(journal) = journal {
            file(archive, HOUSE_JOURNAL, 0o600, USER, journal)?;
        }
        directory(archive, WORKSPACE, USER)?;
        for parent in Path::new(UPLOADS).ancestors().skip(1).filter(|parent| parent.parent().is_some()) {
            // Nobody inside may put something else in the place of what is below.
            directory(archive, &parent.to_string_lossy(), ROOT)?;
        }
        directory(archive, UPLOADS, ROOT)?;
        directory(archive, OUTPUTS, USER)?;
        directory(archive, OVERFLOW, USER)
    };
    lay(&mut archive).map_err(failed)?;
    let mut taken = HashSet::new();
    let mut made = BTreeSet::new();
    for (from, name) in uploads {
        let failed = |why: String| ProvisionError::Failed(format!("the input file {name}: {why}"));
        let path = relative(name).ok_or_else(|| failed("not a path below the uploads directory".into()))?;
        if !taken.insert(path.clone()) {
            return Err(failed("there are two of this path".into()));
        }
        let below = Path::new(UPLOADS);
        upload(&mut archive, below, &path, from, &mut made).map_err(|error| failed(error.to_string()))?;
    }
    finish(archive).map_err(failed)
}

/// One input file, to be unpacked in the uploads directory.
pub(crate) fn arriving(scratch: &Path, path: &Path, from: &Path) -> io::Result<File> {
    let mut archive = start(scratch)?;
    upload(&mut archive, Path::new(""), path, from, &mut BTreeSet::new())?;
    finish(archive)
}

/// The path below the uploads directory. Whatever would lead out of it is no path.
pub(crate) fn relative(name: &str) -> Option<PathBuf> {
    let path = Path::new(name.trim_start_matches('/'));
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && path.file_name().is_some() && !name.ends_with('/')).then(|| path.to_owned())
}

/// The first file of an archive, as the engine gives one out. What it holds was written in the container, and is read
/// by nobody but the daemon of the next one.
pub(crate) fn first_file(archive: &[u8]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.header().entry_type() == EntryType::Regular {
            let mut bytes = Vec::new();
            entry.take(MOST_OF_JOURNAL as u64).read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    }
    Err(io::Error::new(ErrorKind::InvalidData, "there is no file in it"))
}

fn start(scratch: &Path) -> io::Result<Builder<File>> {
    Ok(Builder::new(tempfile::tempfile_in(scratch)?))
}

fn finish(archive: Builder<File>) -> io::Result<File> {
    let mut file = archive.into_inner()?;
    file.rewind()?;
    Ok(file)
}

/// A file that all may read and nobody inside may change, with the directories on its way, each once.
fn upload(
    archive: &mut Builder<File>,
    below: &Path,
    path: &Path,
    from: &Path,
    made: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    let mut parents: Vec<_> = path.ancestors().skip(1).filter(|parent| parent.file_name().is_some()).collect();
    parents.reverse();
    for parent in parents {
        if made.insert(parent.to_owned()) {
            directory(archive, &below.join(parent).to_string_lossy(), ROOT)?;
        }
    }
    let from = File::open(from)?;
    let mut header = header(EntryType::Regular, 0o444, ROOT);
    let length = from.metadata()?.len();
    header.set_size(length);
    // A file that grows meanwhile would spoil what comes after it.
    archive.append_data(&mut header, inside(&below.join(path)), from.take(length))
}

fn directory(archive: &mut Builder<File>, path: &str, owner: u64) -> io::Result<()> {
    let mut header = header(EntryType::Directory, 0o755, owner);
    header.set_size(0);
    archive.append_data(&mut header, inside(Path::new(path)), io::empty())
}

fn file(archive: &mut Builder<File>, path: &str, mode: u32, owner: u64, bytes: &[u8]) -> io::Result<()> {
    let mut header = header(EntryType::Regular, mode, owner);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, inside(Path::new(path)), bytes)
}

fn header(kind: EntryType, mode: u32, owner: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(0);
    header
}

/// Archives have no absolute paths.
fn inside(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(archive: File) -> Vec<(String, u32, u64)> {
        let mut archive = tar::Archive::new(archive);
        let entry = |entry: tar::Entry<'_, File>| {
            let path = entry.path().unwrap().to_string_lossy().trim_end_matches('/').to_owned();
            (path, entry.header().mode().unwrap(), entry.header().uid().unwrap())
        };
        archive.entries().unwrap().map(|found| entry(found.unwrap())).collect()
    }

    #[test]
    fn input_files_are_nobodys_to_change() {
        let scratch = tempfile::tempdir().unwrap();
        let from = scratch.path().join("from");
        std::fs::write(&from, "text").unwrap();
        let uploads = [(from.clone(), "/deep/one".to_owned()), (from.clone(), "/deep/two".to_owned())];
        let packed = listed(beginning(scratch.path(), Some(b"past\n"), &uploads).unwrap());
        let found = |path: &str| packed.iter().find(|entry| entry.0 == path).map(|entry| (entry.1, entry.2));
        assert_eq!(found(".stead/handd"), Some((0o555, 0)));
        assert_eq!(found(".stead/journal"), Some((0o600, 1_000)));
        assert_eq!(found("workspace"), Some((0o755, 1_000)));
        assert_eq!(found("mnt/session/uploads"), Some((0o755, 0)));
        assert_eq!(found("mnt/session/uploads/deep/two"), Some((0o444, 0)));
        assert_eq!(packed.iter().filter(|entry| entry.0 == "mnt/session/uploads/deep").count(), 1);
        assert!(packed.iter().all(|entry| !entry.0.starts_with('/')));
        assert!(beginning(scratch.path(), None, &[(from.clone(), "x".into()), (from, "/x".into())]).is_err());
    }

    #[test]
    fn an_upload_stays_below_its_directory() {
        assert_eq!(relative("/a/b.txt").as_deref(), Some(Path::new("a/b.txt")));
        for name in ["", "/", "..", "../x", "a/../../x", "a/", "./a"] {
            assert_eq!(relative(name), None, "{name}");
        }
    }

    #[test]
    fn a_journal_comes_out_as_it_went_in() {
        let scratch = tempfile::tempdir().unwrap();
        let mut archive = start(scratch.path()).unwrap();
        file(&mut archive, "journal", 0o600, USER, b"past\n").unwrap();
        let mut bytes = Vec::new();
        finish(archive).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(first_file(&bytes).unwrap(), b"past\n");
        assert!(first_file(b"nonsense").is_err());
        assert!(first_file(&[0; 1_024]).is_err());
    }
}
