//! A runtime's program: where it is, and what it loads.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Runtime;
use crate::{Missing, program};

/// Each with what installs a package, and whether it asks first.
const INSTALLERS: [(&str, &str); 5] = [
    ("/usr/bin/apt-get", "apt-get install"),
    ("/usr/bin/dnf", "dnf install"),
    ("/usr/bin/zypper", "zypper install"),
    ("/usr/bin/pacman", "pacman -S"),
    ("/sbin/apk", "apk add"),
];

/// A program that can make containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) runtime: Runtime,
    pub(super) program: PathBuf,
    pub(super) version: String,
    /// What it loads, its loader included.
    pub(super) libraries: Vec<PathBuf>,
}

/// Blocks while the program is run.
pub(super) fn find(runtime: Runtime, configured: Option<&Path>) -> Result<Found, Missing> {
    let missing = |why: String| Missing { why, fix: fix(runtime) };
    let program = program::find(runtime.name(), configured).map_err(missing)?;
    let failed = |error: String| missing(format!("{} cannot be run: {error}", program.display()));
    let said = program::ask(&program, &["--version"]).map_err(|error| failed(error.to_string()))?;
    let libraries = libraries(&listed(&program)).map_err(failed)?;
    // Anything else than its name and a version is the complaint of whoever could not run it.
    if !said.starts_with(runtime.name()) {
        return Err(failed(said.lines().next().unwrap_or_default().to_owned()));
    }
    Ok(Found { runtime, version: program::version(&said).to_owned(), program, libraries })
}

fn fix(runtime: Runtime) -> Option<String> {
    let installer = INSTALLERS.iter().find(|(program, _)| Path::new(program).exists());
    installer.map(|(_, install)| format!("{install} {runtime}"))
}

/// What the loader says that it would load. Nothing where there is no loader to ask: then the program is static, or a
/// trial tells.
fn listed(program: &Path) -> String {
    let output = Command::new("ldd").arg(program).stdin(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// From lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f…)`.
fn libraries(listed: &str) -> Result<Vec<PathBuf>, String> {
    if let Some(line) = listed.lines().find(|line| line.ends_with("not found")) {
        return Err(line.trim().to_owned());
    }
    let path = |line: &str| line.split_ascii_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    Ok(listed.lines().filter_map(path).collect())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    const LISTED: &str = "\tlinux-vdso.so.1 (0x00007f20)\n\tlibcap.so.2 => /lib/x86_64-linux-gnu/libcap.so.2 (0x00007f20)\n\
        \t/lib64/ld-linux-x86-64.so.2 (0x00007f20)\n";

    #[test]
    fn what_is_loaded_comes_with_its_loader_and_without_what_is_no_file() {
        let expected = ["/lib/x86_64-linux-gnu/libcap.so.2", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(libraries(LISTED).unwrap(), expected.map(PathBuf::from));
        assert_eq!(libraries("\tnot a dynamic executable\n").unwrap(), [""; 0].map(PathBuf::from));
        assert_eq!(libraries("\tlibyajl.so.2 => not found\n").unwrap_err(), "libyajl.so.2 => not found");
    }

    #[test]
    fn only_a_program_that_says_what_it_is_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let program = directory.path().join(name);
            fs::write(&program, text).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            program
        };
        let other = write("other", "#!/bin/sh\necho error while loading >&2; exit 127\n");
        let why = find(Runtime::Crun, Some(&other)).unwrap_err().why;
        assert!(why.ends_with("other cannot be run: error while loading"), "{why}");
        let crun = write("crun", "#!/bin/sh\necho crun version 1.8.1\necho commit: x\n");
        let found = find(Runtime::Crun, Some(&crun)).unwrap();
        assert_eq!((found.version.as_str(), found.libraries), ("1.8.1", Vec::new()));
        assert!(find(Runtime::Runc, Some(&crun)).is_err());
        assert!(find(Runtime::Runc, Some(Path::new("/nowhere/runc"))).unwrap_err().why.contains("is no program"));
    }
}
