//! The session's input files, in a directory of the host that shows inside, read-only.

use std::{
    collections::HashSet,
    fs::{self, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

use crate::ProvisionError;

/// Below the hand's own directory.
pub(super) const UPLOADS: &str = "uploads";

/// Where a file is copied before it shows, beside the directory: whole or not at all is what is seen inside.
const ARRIVING: &str = "upload.unfinished";

/// Makes the directory, with these files in it. Inside they are readable by all, and writable by none.
pub(super) fn fill(hand: &Path, uploads: &[(PathBuf, String)]) -> Result<(), ProvisionError> {
    let mut taken = HashSet::new();
    for (from, name) in uploads {
        let failed = |why: String| ProvisionError::Failed(format!("the input file {name}: {why}"));
        let path = relative(name).ok_or_else(|| failed("not a path below the uploads directory".into()))?;
        if !taken.insert(path.clone()) {
            return Err(failed("there are two of this path".into()));
        }
        place(hand, from, &path).map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

/// Puts a file there while the sandbox lives, in the place of an earlier one; or takes it away.
pub(super) fn change(hand: &Path, name: &str, file: Option<&Path>) -> io::Result<()> {
    let unusable = || io::Error::new(ErrorKind::InvalidInput, "not a path below the uploads directory");
    let path = relative(name).ok_or_else(unusable)?;
    match file {
        Some(file) => place(hand, file, &path),
        None => remove(&hand.join(UPLOADS), &path),
    }
}

/// With the directories that it leaves empty: a file may come where one was.
fn remove(root: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(root.join(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    let mut above = above.map(|above| root.join(above));
    while above.next().is_some_and(|above| fs::remove_dir(above).is_ok()) {}
    Ok(())
}

fn place(hand: &Path, from: &Path, path: &Path) -> io::Result<()> {
    let root = hand.join(UPLOADS);
    let mut directory = root.clone();
    for part in path.parent().into_iter().flat_map(Path::components) {
        directory.push(part);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => fs::set_permissions(&directory, Permissions::from_mode(0o755))?,
        }
    }
    let arriving = hand.join(ARRIVING);
    fs::copy(from, &arriving)?;
    fs::set_permissions(&arriving, Permissions::from_mode(0o444))?;
    fs::rename(arriving, root.join(path))
}

/// The path below the uploads directory. Whatever would lead out of it is no path.
fn relative(name: &str) -> Option<PathBuf> {
    let path = Path::new(name.trim_start_matches('/'));
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && path.file_name().is_some() && !name.ends_with('/')).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_stays_below_its_directory() {
        for (name, path) in [("/data.csv", "data.csv"), ("a/b.txt", "a/b.txt"), ("//x", "x")] {
            assert_eq!(relative(name).as_deref(), Some(Path::new(path)));
        }
        for name in ["", "/", "..", "../x", "a/../../x", "/a/..", "a/", "./a"] {
            assert_eq!(relative(name), None, "{name}");
        }
    }

    #[test]
    fn files_come_and_go() {
        let hand = tempfile::tempdir().unwrap();
        let (one, two) = (hand.path().join("one"), hand.path().join("two"));
        fs::create_dir(hand.path().join(UPLOADS)).unwrap();
        fs::write(&one, "one").unwrap();
        fs::write(&two, "two").unwrap();
        fill(hand.path(), &[(one.clone(), "/deep/down/file.txt".into())]).unwrap();
        let file = hand.path().join("uploads/deep/down/file.txt");
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o444);
        assert!(fill(hand.path(), &[(one.clone(), "x".into()), (one, "/x".into())]).is_err());

        change(hand.path(), "/deep/down/file.txt", Some(&two)).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        change(hand.path(), "/deep/down/file.txt", None).unwrap();
        change(hand.path(), "/deep/down/file.txt", None).unwrap();
        assert!(!file.exists());
        change(hand.path(), "/deep", Some(&two)).unwrap();
        assert_eq!(fs::read_to_string(hand.path().join("uploads/deep")).unwrap(), "two", "where its directory was");
        assert!(change(hand.path(), "../journal", None).is_err());
        assert!(!hand.path().join(ARRIVING).exists());
    }
}
