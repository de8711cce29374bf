//! Everything once more, without being root.

use std::{os::unix::process::CommandExt, process::Command};

/// Any user that owns nothing will do; this one is everywhere.
const NOBODY: u32 = 65_534;

/// Set for the inner run, which must not start another.
const INNER: &str = "STEAD_TEST_AS_NOBODY";

#[test]
fn everything_holds_for_an_ordinary_user_too() {
    let root = std::fs::read_to_string("/proc/self/status").unwrap().lines().any(|line| line.starts_with("Uid:\t0\t"));
    if !root || std::env::var_os(INNER).is_some() {
        eprintln!("skipped: these tests are run by an ordinary user as it is");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let nobody = |command: &mut Command| command.uid(NOBODY).gid(NOBODY).env(INNER, "1").status();
    // Nobody may not see a build directory below /root.
    if !nobody(Command::new(&program).arg("--list").stdout(std::process::Stdio::null()))
        .is_ok_and(|status| status.success())
    {
        eprintln!("skipped: an ordinary user cannot execute {}", program.display());
        return;
    }
    let mut again = Command::new(&program);
    again
        .args(["--test-threads=2", "life::", "restart::", "rest::", "limits::", "escape::", "layers::"])
        .current_dir("/");
    assert!(nobody(&mut again).unwrap().success());
}
