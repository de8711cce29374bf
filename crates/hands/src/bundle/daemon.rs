//! `handd` as a file: guests load programs by their path alone, and the first one's must be a path to begin with.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use hand_protocol::guest::Kind;

use crate::namespace::launcher::PROGRAM;

/// Below the data directory.
const PLACE: &str = "guest";

/// The file below the data directory, made if it is not there. Named by what it holds: a server of another version
/// leaves this one alone, and so the sandboxes that have it.
pub(crate) fn file(kind: Kind, data_dir: &Path) -> io::Result<PathBuf> {
    // Other users than this server's execute it, and nobody writes to it. gVisor reads it itself. This machine's kernel lets
    // nobody look into a process whose program he cannot read.
    let (name, mode) = match kind {
        Kind::Kernel => ("handd", 0o555),
        Kind::Runtime => ("closed", 0o111),
    };
    let place = data_dir.join(PLACE);
    let path = place.join(format!("{name}-{:016x}", fingerprint()));
    // Whole, if it is there: it is given its name last.
    if path.is_file() {
        return Ok(path);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
    let unfinished = place.join(format!("unfinished-{}", std::process::id()));
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(PROGRAM)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    drop(file);
    fs::rename(unfinished, &path)?;
    Ok(path)
}

fn fingerprint() -> u64 {
    static OF_THE_PROGRAM: OnceLock<u64> = OnceLock::new();
    *OF_THE_PROGRAM.get_or_init(|| {
        let mut hasher = DefaultHasher::new();
        PROGRAM.hash(&mut hasher);
        hasher.finish()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_made_once_and_executable_by_all() {
        let data = tempfile::tempdir().unwrap();
        for (kind, mode, count) in [(Kind::Kernel, 0o555, 1), (Kind::Runtime, 0o111, 2)] {
            let path = file(kind, data.path()).unwrap();
            let made = fs::metadata(&path).unwrap();
            assert_eq!((made.len(), made.permissions().mode() & 0o777), (PROGRAM.len() as u64, mode));
            assert_eq!(file(kind, data.path()).unwrap(), path);
            assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made.modified().unwrap());
            assert_eq!(fs::read_dir(data.path().join(PLACE)).unwrap().count(), count);
        }
    }
}
