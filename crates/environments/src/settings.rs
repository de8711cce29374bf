//! The host's settings of package managers, as a layer that lies below all others.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use packages::Settings;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// Longer files are no settings.
const LONGEST: u64 = 1 << 20;

/// Held while a layer is made: sandboxes that begin at the same time want the same one.
static MAKING: Mutex<()> = Mutex::new(());

/// The layer with these settings, made if it is not there. None if there are none. Blocks.
pub(crate) fn layer(directory: &Path, settings: &Settings) -> io::Result<Option<PathBuf>> {
    let mut files: Vec<(PathBuf, Vec<u8>)> =
        settings.files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect();
    for key in &settings.keys {
        if fs::metadata(key).is_ok_and(|found| found.is_file() && found.len() <= LONGEST) {
            files.push((key.clone(), fs::read(key)?));
        }
    }
    if files.is_empty() {
        return Ok(None);
    }
    files.sort();
    let layer = directory.join(name(&files));
    let _alone = MAKING.lock();
    if layer.is_dir() {
        return Ok(Some(layer));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let unfinished = directory.join("unfinished");
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for (path, bytes) in &files {
        write(&unfinished.join("root"), path, bytes)?;
    }
    fs::rename(&unfinished, &layer)?;
    Ok(Some(layer))
}

/// Readable by all inside, whatever this server's umask is.
fn write(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.strip_prefix("/").unwrap_or(path);
    let mut place = root.to_owned();
    make(&place)?;
    for part in name.parent().into_iter().flat_map(Path::components) {
        place.push(part);
        make(&place)?;
    }
    let file = root.join(name);
    fs::write(&file, bytes)?;
    fs::set_permissions(file, Permissions::from_mode(0o644))
}

fn make(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o755))
}

fn name(files: &[(PathBuf, Vec<u8>)]) -> String {
    let mut hash = Sha256::new();
    for (path, bytes) in files {
        let path = path.as_os_str().as_encoded_bytes();
        for part in [path, bytes] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn whoever_wants_the_same_at_once_gets_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let settings =
            Settings { files: vec![("/etc/pip.conf".into(), "x".into())], environment: Vec::new(), keys: Vec::new() };
        thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| layer(directory.path(), &settings))).collect();
            let made: Vec<_> = makers.into_iter().map(|maker| maker.join().unwrap().unwrap()).collect();
            assert!(made.iter().all(|layer| *layer == made[0]));
        });
    }

    #[test]
    fn settings_become_files_of_a_layer_that_is_named_by_them() {
        let directory = tempfile::tempdir().unwrap();
        let of = |text: &str| Settings {
            files: vec![("/etc/pip.conf".into(), text.into())],
            environment: Vec::new(),
            keys: vec!["/nowhere/key.gpg".into()],
        };
        let one = layer(directory.path(), &of("[global]\n")).unwrap().unwrap();
        assert_eq!(fs::read_to_string(one.join("root/etc/pip.conf")).unwrap(), "[global]\n");
        assert_eq!(fs::metadata(one.join("root/etc")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(layer(directory.path(), &of("[global]\n")).unwrap().unwrap(), one);
        assert_ne!(layer(directory.path(), &of("other")).unwrap().unwrap(), one);
        let none = Settings { files: Vec::new(), environment: Vec::new(), keys: Vec::new() };
        assert_eq!(layer(directory.path(), &none).unwrap(), None);
    }
}
