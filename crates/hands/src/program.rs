//! Programs of this machine that sandboxes need: where they are, and what they say of themselves.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where the loader looks first. All else of the environment is not for programs that are only asked.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// The one that an operator has configured, or else the one of this name on the search path. Why there is none, if so.
pub(crate) fn find(name: &str, configured: Option<&Path>) -> Result<PathBuf, String> {
    let found = match configured {
        Some(program) => Some(program.to_owned()).filter(|program| is_program(program)),
        None => on_path(name, &env::var_os("PATH").unwrap_or_default()),
    };
    let program = found.ok_or_else(|| match configured {
        Some(program) => format!("{} is no program", program.display()),
        None => format!("there is no {name} on the search path"),
    })?;
    Ok(fs::canonicalize(&program).unwrap_or(program))
}

fn on_path(name: &str, path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path).map(|directory| directory.join(name)).find(|program| is_program(program))
}

/// Users of a sandbox are others than this server's, and must be able to execute it.
fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o001 != 0 && found.size() > 0)
}

/// What it says, on whichever stream. Blocks until it has ended.
pub(crate) fn ask(program: &Path, arguments: &[&str]) -> io::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(env::var_os(LIBRARY_PATH).map(|path| (LIBRARY_PATH, path)));
    let output = command.stdin(Stdio::null()).output()?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

/// From `runsc version 0.0~20240729.0` and lines about other things.
pub(crate) fn version(said: &str) -> &str {
    let first = said.lines().next().unwrap_or_default();
    first.rsplit(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_last_word_of_the_first_line() {
        assert_eq!(version("runsc version 0.0~20240729.0\nspec: 1.0.2-dev\n"), "0.0~20240729.0");
        assert_eq!(version(""), "");
    }

    #[test]
    fn a_file_that_not_everybody_can_execute_is_no_program() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("crun");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let path = env::join_paths([Path::new("/nowhere"), directory.path()]).unwrap();
        assert_eq!(on_path("crun", &path), None);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(on_path("crun", &path), Some(program));
    }
}
