//! Toolchains that only some steps need. A missing one skips those steps by name, loudly; under `CI=true` it fails
//! them, after an attempt to install it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Result, bail};

use crate::command::{command, run};
use crate::report::Outcome;

pub(crate) struct Toolchain {
    pub(crate) name: &'static str,
    /// Each must start and end with 0 for the toolchain to count as present.
    probes: &'static [&'static [&'static str]],
    /// Debian's packages that bring it; none for what comes with Rust.
    packages: &'static [&'static str],
}

pub(crate) const RUSTFMT: Toolchain =
    Toolchain { name: "rustfmt", probes: &[&["cargo", "fmt", "--version"]], packages: &[] };
pub(crate) const CLIPPY: Toolchain =
    Toolchain { name: "clippy", probes: &[&["cargo", "clippy", "--version"]], packages: &[] };
pub(crate) const NODE: Toolchain =
    Toolchain { name: "node", probes: &[&["node", "--version"], &["npm", "--version"]], packages: &["nodejs", "npm"] };
pub(crate) const POSTGRES: Toolchain = Toolchain {
    name: "postgresql",
    probes: &[&["sh", "-c", "command -v postgres || ls /usr/lib/postgresql/*/bin/postgres"]],
    packages: &["postgresql"],
};
pub(crate) const PYTHON: Toolchain = Toolchain {
    name: "python3",
    probes: &[&["python3", "-c", "import ensurepip, venv"]],
    packages: &["python3", "python3-venv"],
};

impl Toolchain {
    /// Whether it can be used, after an attempt to install it where that is allowed.
    pub(crate) fn ready(&self, root: &Path) -> bool {
        self.present(root) || (self.install(root) && self.present(root))
    }

    /// What a step that needs it comes to when it is missing.
    pub(crate) fn absent(&self) -> Result<Outcome> {
        if strict() {
            bail!("{} is missing, and under CI=true every step must run", self.name);
        }
        Ok(Outcome::Skipped(format!("{} is not installed here", self.name)))
    }

    fn present(&self, root: &Path) -> bool {
        self.probes.iter().all(|probe| {
            let mut probing = command(root, probe[0]);
            probing.args(&probe[1..]).stdout(Stdio::null()).stderr(Stdio::null());
            probing.status().is_ok_and(|status| status.success())
        })
    }

    /// Machines that nobody works on may be changed: CI, as root, with apt-get. No other is.
    fn install(&self, root: &Path) -> bool {
        if !strict() || !is_root() || self.packages.is_empty() {
            return false;
        }
        let apt = |arguments: &[&str]| {
            let mut apt = command(root, "apt-get");
            apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
            run(&mut apt)
        };
        let install = [&["install", "-y", "-qq", "--no-install-recommends"][..], self.packages].concat();
        apt(&["update", "-qq"]).and_then(|()| apt(&install)).is_ok()
    }
}

/// Whether a missing toolchain is a failure.
pub(crate) fn strict() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
