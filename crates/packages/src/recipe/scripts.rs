//! What each manager is told. Each tries again itself where it can; caches are cleaned away, for they would be in every
//! sandbox.

use super::quote::{quote, quote_all};

/// Services are not started: there is nothing to run them, and the layer would keep what they write.
pub(super) fn apt(packages: &[&str]) -> String {
    let packages = quote_all(packages);
    format!(
        r#"export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true APT_LISTCHANGES_FRONTEND=none
mkdir -p /var/lib/apt/lists/partial /var/cache/apt/archives/partial
options=(
    -o Acquire::Retries=5 -o Acquire::http::Timeout=60 -o Acquire::https::Timeout=60
    -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold
)
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d; rm -rf "$work"' EXIT
fi
again 600 apt-get "${{options[@]}}" update
within 2400 apt-get "${{options[@]}}" install --yes --no-install-recommends -- {packages}
within 60 apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log
mkdir -p /var/lib/apt/lists/partial /var/cache/apt/archives/partial
"#
    )
}

/// With the versions that the author of each has locked, for the newest of everything may need a newer compiler.
pub(super) fn cargo(packages: &[&str]) -> String {
    let mut script = r#"export CARGO_HOME="$work/cargo" CARGO_TARGET_DIR="$work/target"
export CARGO_NET_RETRY=5 CARGO_HTTP_TIMEOUT=60 CARGO_TERM_PROGRESS_WHEN=never CARGO_TERM_COLOR=never
"#
    .to_owned();
    for package in packages {
        // Older ones know the version as an option only.
        let words = match package.split_once('@') {
            Some((name, version)) if !name.is_empty() && !version.is_empty() && version != "latest" => {
                format!("--version {} -- {}", quote(version), quote(name))
            }
            Some((name, "latest")) if !name.is_empty() => format!("-- {}", quote(name)),
            _ => format!("-- {}", quote(package)),
        };
        script.push_str(&format!("within 5400 cargo install --locked --root /usr/local {words}\n"));
    }
    script
}

/// What comes after `--` would be given to the compiler, so it is not written here.
pub(super) fn gem(packages: &[&str]) -> String {
    let packages = quote_all(packages);
    format!(
        r#"again 2400 gem install --no-document --bindir /usr/local/bin {packages}
rm -rf -- "$(gem environment gemdir)"/cache/*.gem ~/.gem/specs ~/.local/share/gem/specs ~/.cache/gem
"#
    )
}

/// One at a time: a call takes packages of one module only.
pub(super) fn go(packages: &[&str]) -> String {
    let mut script = r#"export GOBIN=/usr/local/bin GOPATH="$work/go"
export GOMODCACHE="$work/go/pkg/mod" GOCACHE="$work/build" GO111MODULE=on GOTELEMETRY=off
mkdir -p "$GOBIN"
"#
    .to_owned();
    for package in packages {
        let latest = if package.contains('@') { "" } else { "@latest" };
        script.push_str(&format!("again 1800 go install {}\n", quote(&format!("{package}{latest}"))));
    }
    script
}

pub(super) fn npm(packages: &[&str]) -> String {
    let packages = quote_all(packages);
    format!(
        r#"export npm_config_cache="$work/npm" npm_config_update_notifier=false npm_config_fund=false
export npm_config_audit=false npm_config_progress=false npm_config_yes=true
export npm_config_fetch_retries=5 npm_config_fetch_timeout=60000
within 2400 npm install --global --prefix /usr/local -- {packages}
"#
    )
}

/// Wheels are built in the sandbox like everything else. The option that lets pip write beside the distribution's
/// packages is given as a variable, for versions before it know the variable as little as they need it.
pub(super) fn pip(packages: &[&str]) -> String {
    let packages = quote_all(packages);
    format!(
        r#"export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1 PIP_PROGRESS_BAR=off PIP_RETRIES=5 PIP_DEFAULT_TIMEOUT=60
within 3000 python3 -m pip install -- {packages}
"#
    )
}
