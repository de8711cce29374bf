//! Builds `handd` for the target, static, and leaves it where the library includes it from.
//!
//! Static glibc needs an explicit `--target`, so that the flag for it reaches no build script or procedural macro, and so a
//! target directory of its own. That one lies beside the outer build's, where a later build finds it again.

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, exit},
};

/// Settings of the outer build that would change the inner one. The rest of `CARGO_*` is kept or dropped by prefix.
const DROPPED: [&str; 4] = ["RUSTFLAGS", "RUSTDOCFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_TARGET_DIR"];

/// Where crates come from, and how much to say: as much the inner build's business as the outer one's.
const KEPT: [&str; 9] = [
    "CARGO_HOME",
    "CARGO_NET_",
    "CARGO_HTTP_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TARGET_",
    "CARGO_TERM_",
    "CARGO_MAKEFLAGS",
    "CARGO_BUILD_JOBS",
];

fn main() -> Result<(), Box<dyn Error>> {
    for path in ["build.rs", "../handd", "../hand-protocol", "../../Cargo.toml", "../../Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let target = env::var("TARGET")?;
    let workspace = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let directory = target_directory(&out);

    let mut inner = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    inner
        .args(["build", "--locked", "--profile", "hand", "--package", "handd", "--bin", "handd", "--target"])
        .arg(&target);
    inner.arg("--target-dir").arg(&directory).current_dir(&workspace);
    for (name, _) in env::vars_os().filter(|(name, _)| is_dropped(name)) {
        inner.env_remove(name);
    }
    // This one outranks every other place that flags can come from.
    inner.env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");

    let output = inner.output()?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        eprintln!("building handd, the daemon that goes into every sandbox, failed; the command was {inner:?}");
        exit(1);
    }
    fs::copy(directory.join(target).join("hand/handd"), out.join("handd"))?;
    Ok(())
}

/// From `target/release/build/hands-0123/out` to `target/handd-build`.
fn target_directory(out: &Path) -> PathBuf {
    out.ancestors().nth(4).unwrap_or(out).join("handd-build")
}

fn is_dropped(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let flags = name.starts_with("CARGO_TARGET_") && name.ends_with("_RUSTFLAGS");
    let others = name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept));
    DROPPED.contains(&name.as_ref()) || flags || others
}
