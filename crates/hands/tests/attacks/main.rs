//! Programs that try to get out of a sandbox: at what lies beside it, above it and below it, and at more than it may
//! have.
//!
//! Each is a file below `programs`, whose head says what it tries and how it is known to be able to succeed: its
//! control, the same program with nothing in its way. What an attack needs of the host's side as well is in `staged`.
//! Everything goes through [`hands::Sandbox`] and [`hands::Hand`], so that every backend is attacked alike. An attack
//! is held only if it says so itself, no token of a canary is in what it printed, nothing of the host has changed,
//! nobody was spoken to who listens there, and the session goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod attack;
mod control;
mod exhaustion;
mod guest;
mod house;
mod known;
mod report;
mod resident;
mod room;
mod snapshot;
mod stage;
mod staged;
mod suite;
mod verdict;

use std::{
    env,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
};

/// Any user that owns nothing will do; this one is everywhere.
const NOBODY: u32 = 65_534;

/// A token in the environment of the server that makes the sandboxes. Nothing inside may find it.
const PLANTED: &str = "STEAD_ATTACK_PLANTED";

#[test]
fn every_attack_is_held() {
    assert!(attacked(on(env::current_exe().unwrap(), None)).success());
}

#[test]
#[ignore = "as long as the other, which is of the same code: for `make soak`"]
fn every_attack_is_held_for_an_ordinary_user_too() {
    held_for_an_ordinary_user(None);
}

#[test]
#[ignore = "as long as on namespaces: for `make soak`"]
fn every_attack_is_held_on_gvisor() {
    if let Some(gvisor) = gvisor() {
        assert!(attacked(on(env::current_exe().unwrap(), Some(gvisor))).success());
    }
}

#[test]
#[ignore = "as long as on namespaces: for `make soak`"]
fn every_attack_is_held_on_gvisor_for_an_ordinary_user_too() {
    if let Some(gvisor) = gvisor() {
        held_for_an_ordinary_user(Some(gvisor));
    }
}

/// The backend's name. None if there is no gVisor here, which is said.
fn gvisor() -> Option<&'static str> {
    testkit::programs::find("runsc").unwrap().map(|_| house::GVISOR)
}

fn on(program: PathBuf, backend: Option<&str>) -> Command {
    let mut command = Command::new(program);
    command.env_remove(house::BACKEND);
    command.envs(backend.map(|backend| (house::BACKEND, backend)));
    command
}

fn held_for_an_ordinary_user(backend: Option<&str>) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: these tests are run by an ordinary user as it is");
        return;
    }
    let nobody = || {
        let mut command = on(env::current_exe().unwrap(), backend);
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
        command
    };
    // Nobody may not see a build directory below /root.
    if !nobody().arg("--list").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: an ordinary user cannot execute {}", env::current_exe().unwrap().display());
        return;
    }
    assert!(attacked(nobody()).success());
}

/// The attacks themselves, in a process that was started with the token.
#[test]
#[ignore = "started by the others, with a token in its environment"]
fn the_attacks() {
    let Ok(planted) = env::var(PLANTED) else {
        eprintln!("skipped: only the other tests start this one");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let report = runtime.block_on(suite::run(&planted));
    println!("{report}");
    let failures = report.failures();
    assert!(failures.is_empty(), "{} of the attacks were not held:\n{}", failures.len(), failures.join("\n"));
}

fn attacked(mut command: Command) -> ExitStatus {
    command.args(["--exact", "the_attacks", "--ignored", "--nocapture"]);
    command.env(PLANTED, house::token("environment", &house::random())).status().unwrap()
}
