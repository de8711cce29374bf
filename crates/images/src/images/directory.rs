//! A directory that is used where it is: what tells one state of it from another.

use std::{
    fs::{self, Metadata},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{Digest, Error, piece::open_file, unpack::Watch};

/// A file at the top whose content stands for all of it: whoever changes the directory changes that too, and nobody has
/// to look at every file.
const MARKER: &str = ".stead-base";

/// Bytes of it that count.
const MAX_MARKER: u64 = 4096;

/// Of the marker, or else of every file's name, kind, owner, mode, size and time of change. Content is not read.
pub(super) fn fingerprint(directory: &Path, watch: &Watch) -> Result<Digest, Error> {
    let failed = |path: &Path, error| Error::at(path)(error);
    let found = fs::metadata(directory).map_err(|error| failed(directory, error))?;
    if !found.is_dir() || directory.canonicalize().is_ok_and(|path| path == Path::new("/")) {
        let reason = "an image is a directory other than the host's own root, which would show all of the host";
        return Err(failed(directory, io::Error::new(io::ErrorKind::InvalidInput, reason)));
    }
    let mut hash = Sha256::new();
    match marker(&directory.join(MARKER)) {
        Ok(content) => hash.update([b"marker\n".as_slice(), &content].concat()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => walk(directory, watch, &mut hash)?,
        Err(error) => return Err(failed(&directory.join(MARKER), error)),
    }
    Ok(Digest::finish(hash))
}

fn marker(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open_file(path)?.take(MAX_MARKER).read_to_end(&mut content)?;
    Ok(content)
}

fn walk(top: &Path, watch: &Watch, hash: &mut Sha256) -> Result<(), Error> {
    let mut open = vec![top.to_owned()];
    while let Some(directory) = open.pop() {
        let mut entries = entries(&directory).map_err(Error::at(&directory))?;
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        for (path, found) in entries {
            watch.entry()?;
            if found.is_dir() {
                open.push(path.clone());
            }
            let name = path.strip_prefix(top).unwrap_or(&path).as_os_str().as_bytes();
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            for number in [found.mode(), found.uid(), found.gid()] {
                hash.update(number.to_le_bytes());
            }
            hash.update(size(&found).to_le_bytes());
            hash.update(found.mtime().to_le_bytes());
            hash.update(found.mtime_nsec().to_le_bytes());
        }
    }
    Ok(())
}

/// A directory's own says nothing: it depends on the file system.
fn size(found: &Metadata) -> u64 {
    if found.is_dir() { 0 } else { found.len() }
}

fn entries(directory: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let entry = |entry: io::Result<fs::DirEntry>| entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)));
    fs::read_dir(directory)?.map(entry).collect()
}
