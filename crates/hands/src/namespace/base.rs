//! The base: the root file system that every sandbox has below its own layer.
//!
//! It holds little, for programs come from the host's `/usr` itself: the links into that, a generated `/etc`, parts of the
//! host's `/etc` that programs need, and a copy of the package database. Never anything of `/root`, `/home`, or what not
//! everybody on the host may read. Made once for each state of the host, and kept.

mod copy;
mod etc;
mod skeleton;

use std::{
    fs::{self, Permissions},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use super::directory::HANDS;
use crate::ProvisionError;

/// Changed whenever this code makes another base of the same host.
const VERSION: u32 = 1;

/// What lies outside `/usr` on an older host, and is a link into it on a merged one.
const LINKS: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

const DIRECTORIES: [&str; 11] = [
    "etc",
    "mnt/session",
    "opt",
    "proc",
    "run/lock",
    "tmp",
    "usr",
    "var/cache/apt/archives/partial",
    "var/lib/apt/lists/partial",
    "var/lib/dpkg",
    "var/log",
];

/// Beyond this the lists of what each package has installed are left out, and `dpkg -L` knows nothing.
const PACKAGES: u64 = 50 << 20;

/// The base below `data_dir` for the host as it is now, made if it is not there. Not to be run twice at once.
pub(super) fn prepare(data_dir: &Path) -> Result<PathBuf, ProvisionError> {
    usable(data_dir)?;
    let bases = data_dir.join("base");
    let base = bases.join(format!("{:016x}", fingerprint()));
    if base.is_dir() {
        return Ok(base);
    }
    // Bases of earlier states of the host go once no sandbox can have one of them below it.
    if fs::read_dir(data_dir.join(HANDS)).map_or(true, |mut hands| hands.next().is_none()) {
        let _ = fs::remove_dir_all(&bases);
    }
    let unfinished = bases.join("unfinished");
    let made = fs::create_dir_all(&bases)
        .and_then(|()| remove(&unfinished))
        .and_then(|()| build(&unfinished))
        .and_then(|()| fs::rename(&unfinished, &base));
    made.map_err(|error| {
        ProvisionError::Failed(format!("the base in {} could not be made: {error}", bases.display()))
    })?;
    Ok(base)
}

fn usable(data_dir: &Path) -> Result<(), ProvisionError> {
    let refuse = |reason: String| ProvisionError::Unsupported { step: "base".into(), reason };
    if data_dir.starts_with("/usr") {
        return Err(refuse("every sandbox sees /usr: put the data directory elsewhere (STEAD_DATA_DIR)".into()));
    }
    // Merged, the links are all there is. Otherwise there would be programs that no sandbox sees.
    let own = LINKS.iter().map(|name| Path::new("/").join(name)).find(|path| path.is_dir() && !path.is_symlink());
    own.map_or(Ok(()), |path| {
        let path = path.display();
        Err(refuse(format!(
            "{path} is not a link into /usr; this system must be usr-merged first (Debian: package usrmerge)"
        )))
    })
}

fn build(base: &Path) -> io::Result<()> {
    fs::create_dir(base)?;
    for directory in DIRECTORIES {
        fs::create_dir_all(base.join(directory))?;
    }
    for name in LINKS {
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            symlink(target, base.join(name))?;
        }
    }
    symlink("/run", base.join("var/run"))?;
    symlink("/run/lock", base.join("var/lock"))?;
    etc::make(&base.join("etc"))?;
    packages(&base.join("var/lib/dpkg"))?;
    skeleton::make(Path::new("/usr"), &base.join("usr"))?;
    open(base)
}

/// The package database, so that `dpkg` knows what there is.
fn packages(to: &Path) -> io::Result<()> {
    let from = Path::new("/var/lib/dpkg");
    let info = from.join("info");
    let lists = fs::read_dir(&info).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let wanted = |path: &Path| path.extension().is_some_and(|kind| kind == "list") || path.ends_with("format");
    let lists: Vec<_> = lists.into_iter().filter(|entry| wanted(&entry.path())).collect();
    let size: u64 = lists.iter().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum();
    for name in ["status", "available", "arch", "triggers"] {
        copy::copy(&from.join(name), &to.join(name), from)?;
    }
    fs::create_dir(to.join("info"))?;
    for entry in lists.iter().filter(|_| size <= PACKAGES) {
        copy::copy(&entry.path(), &to.join("info").join(entry.file_name()), from)?;
    }
    Ok(())
}

/// Makes all of it readable by whoever it belongs to inside, whatever this server's umask is.
fn open(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
        for entry in fs::read_dir(path)? {
            open(&entry?.path())?;
        }
    } else if metadata.is_file() {
        let mode = if metadata.mode() & 0o111 == 0 { 0o644 } else { 0o755 };
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Changes when the host has other programs, certificates or settings than before.
fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    (VERSION, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
    let system = ["/usr", "/usr/bin", "/usr/lib", "/usr/share", "/usr/local", "/var/lib/dpkg/status"];
    let settings = etc::sources().into_iter();
    for path in system.iter().map(PathBuf::from).chain(settings) {
        path.hash(&mut hasher);
        let state = fs::metadata(&path).map(|found| (found.mtime(), found.mtime_nsec(), found.len(), found.ino()));
        state.ok().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_has_links_and_accounts_and_nothing_secret() {
        let directory = tempfile::tempdir().unwrap();
        let base = prepare(directory.path()).unwrap();
        assert_eq!(fs::read_link(base.join("bin")).unwrap(), Path::new("usr/bin"));
        assert!(fs::read_to_string(base.join("etc/passwd")).unwrap().starts_with("root:x:0:0:"));
        for secret in ["etc/shadow", "etc/gshadow", "etc/sudoers", "etc/ssh", "etc/ssl/private", "root", "home"] {
            assert!(!base.join(secret).exists(), "{secret}");
        }
        assert_eq!(fs::metadata(&base).unwrap().mode() & 0o777, 0o755);
        assert_eq!(prepare(directory.path()).unwrap(), base);
    }

    #[test]
    fn a_data_directory_that_every_sandbox_would_see_is_refused() {
        let refused = prepare(Path::new("/usr/local/stead"));
        assert!(
            matches!(refused, Err(ProvisionError::Unsupported { reason, .. }) if reason.contains("STEAD_DATA_DIR"))
        );
    }
}
