//! Other programs that make sandboxes, where this machine has them: from their start to the end of `echo hi`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use super::find;
use crate::table::{Times, ms};

pub(super) struct Other {
    name: &'static str,
    start: fn(&Bundle) -> Command,
}

const RUNSC: [&str; 2] = ["--ignore-cgroups", "--network=none"];

/// This program of gVisor's, wherever it is.
pub(super) fn runsc(program: &Path, repeats: usize) -> Result<Times> {
    times(repeats, |bundle| container(program, &RUNSC, bundle))
}

pub(super) fn all() -> [Other; 4] {
    [
        Other { name: "bwrap", start: |_| bubblewrap() },
        Other { name: "runc", start: |bundle| container("runc", &[], bundle) },
        Other { name: "crun", start: |bundle| container("crun", &[], bundle) },
        Other { name: "runsc", start: |bundle| container("runsc", &RUNSC, bundle) },
    ]
}

impl Other {
    /// In words, for the baseline's cell.
    pub(super) fn measure(&self, repeats: usize) -> String {
        if find(self.name).is_none() {
            return format!("{}: not on this machine", self.name);
        }
        match times(repeats, self.start) {
            Ok(times) => format!("{}: {}", self.name, ms(times.median())),
            Err(error) => format!("{}: does not work here ({error})", self.name),
        }
    }
}

fn times(repeats: usize, start: impl Fn(&Bundle) -> Command) -> Result<Times> {
    let bundle = Bundle::make()?;
    let mut times = Times::default();
    for _ in 0..repeats {
        let started = Instant::now();
        let output = start(&bundle).stdin(Stdio::null()).output()?;
        ensure!(output.stdout == b"hi\n", "{}", String::from_utf8_lossy(&output.stderr).trim());
        times.push(started.elapsed());
    }
    Ok(times)
}

fn bubblewrap() -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all", "--die-with-parent"]);
    command.args(["bash", "-c", "echo hi"]);
    command
}

fn container(program: impl AsRef<OsStr>, options: &[&str], bundle: &Bundle) -> Command {
    let mut command = Command::new(program);
    command.args(options).args(["--root".as_ref(), bundle.0.path().join("state").as_os_str()]);
    command.args(["run", "--bundle"]).arg(bundle.0.path()).arg(format!("stead-bench-{}", std::process::id()));
    command
}

/// A container with the host's own programs in it.
struct Bundle(TempDir);

impl Bundle {
    fn make() -> Result<Self> {
        let directory = TempDir::new()?;
        let root = directory.path().join("root");
        fs::create_dir(&root)?;
        let mut mounts = vec![json!({ "destination": "/proc", "type": "proc", "source": "proc" })];
        for name in ["usr", "etc"] {
            fs::create_dir(root.join(name))?;
            let (source, destination) = (format!("/{name}"), format!("/{name}"));
            let options = ["rbind", "ro"];
            mounts.push(json!({ "destination": destination, "type": "bind", "source": source, "options": options }));
        }
        fs::create_dir(root.join("proc"))?;
        for name in ["bin", "lib", "lib64"] {
            if let Ok(target) = fs::read_link(format!("/{name}")) {
                std::os::unix::fs::symlink(target, root.join(name))?;
            }
        }
        let kinds = ["pid", "mount", "ipc", "uts", "network"];
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": 0, "gid": 0 },
                "cwd": "/",
                "args": ["/usr/bin/bash", "-c", "echo hi"],
                "env": ["PATH=/usr/bin"],
                "noNewPrivileges": true,
            },
            "root": { "path": "root", "readonly": true },
            "mounts": mounts,
            "linux": { "namespaces": kinds.map(|kind| json!({ "type": kind })) },
        });
        fs::write(directory.path().join("config.json"), config.to_string())?;
        Ok(Self(directory))
    }
}
