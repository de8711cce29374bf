//! gVisor's program: where it is, and what it can do.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::sources;
use crate::{Missing, program};

const NAME: &str = "runsc";

/// Without this option of its `run`, a sandbox's daemon can have no journal. Debian 12's own runsc is older.
const PASSES_DESCRIPTORS: &str = "-pass-fd";

/// How gVisor gets hold of what processes ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// By a filter that turns each call into a signal. The quicker one.
    Systrap,
    /// By tracing each process. Works wherever that is allowed, and every call costs several switches.
    Ptrace,
}

/// A program that can hold sandboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runsc {
    pub(super) program: PathBuf,
    pub(super) version: String,
    /// The quicker one first.
    pub(super) platforms: Vec<Platform>,
}

/// Blocks while the program is run.
pub(super) fn find(configured: Option<&Path>) -> Result<Runsc, Missing> {
    let missing = |why: String| Missing { why, fix: sources::fix() };
    let program = program::find(NAME, configured).map_err(missing)?;
    let ask = |arguments: &[&str]| {
        program::ask(&program, arguments)
            .map_err(|error| missing(format!("{} cannot be run: {error}", program.display())))
    };
    let version = ask(&["--version"])?;
    let platforms = platforms(&ask(&["flags"])?);
    if !ask(&["help", "run"])?.contains(PASSES_DESCRIPTORS) || platforms.is_empty() {
        return Err(missing(format!("{} is too old ({})", program.display(), program::version(&version))));
    }
    Ok(Runsc { version: program::version(&version).to_owned(), program, platforms })
}

/// Those of ours that its help on `--platform` names.
fn platforms(flags: &str) -> Vec<Platform> {
    let mut lines = flags.lines().skip_while(|line| !line.trim_start().starts_with("-platform "));
    let own = lines.next().unwrap_or_default();
    // The rest of it stands on lines of its own, up to the next flag.
    let rest = lines.take_while(|line| !line.trim_start().starts_with('-')).collect::<String>();
    let named = |platform: &Platform| own.contains(platform.name()) || rest.contains(platform.name());
    [Platform::Systrap, Platform::Ptrace].into_iter().filter(named).collect()
}

impl Platform {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Systrap => "systrap",
            Self::Ptrace => "ptrace",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    const FLAGS: &str = "  -pcap-log string\n    \tlocation of PCAP log file.\n  -platform string\n    \tspecifies \
        which platform to use: systrap (default), ptrace, kvm.\n  -platform_device_path string\n    \tpath\n";

    const OLD: &str = "  -platform value\n    \twhich platform to use: ptrace (default), kvm.\n  -root string\n";

    #[test]
    fn the_quicker_platform_comes_first_and_an_old_program_has_only_the_other() {
        assert_eq!(platforms(FLAGS), [Platform::Systrap, Platform::Ptrace]);
        assert_eq!(platforms(OLD), [Platform::Ptrace]);
        assert_eq!(platforms("  -root string\n    \tsystrap\n"), []);
    }

    #[test]
    fn a_program_that_cannot_pass_descriptors_is_named_with_its_age() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("old");
        fs::write(&program, "#!/bin/sh\necho runsc version release-20220101.0\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let missing = find(Some(&program)).unwrap_err();
        assert!(missing.why.ends_with("old is too old (release-20220101.0)"), "{}", missing.why);
        assert!(find(Some(Path::new("/nowhere/runsc"))).unwrap_err().why.contains("is no program"));
    }
}
