//! One backend, and what is known of it here.

use std::fmt;
use std::fs;
use std::os::unix::fs::FileTypeExt;

use hands::Missing;
use hands::namespace::Report;

use crate::config::Config;

/// How it was found out whether it can be offered.
pub(super) enum Found {
    /// By making a sandbox, or trying to.
    Tried(Report),
    /// By what is there. It was not tried.
    Present(String),
    Missing(Missing),
}

pub(super) struct Offer {
    name: &'static str,
    found: Found,
    pub(super) is_configured: bool,
}

impl Offer {
    pub(super) fn new(name: &'static str, found: Found) -> Self {
        Self { name, found, is_configured: false }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn works(&self) -> bool {
        match &self.found {
            Found::Tried(report) => report.trial.is_ok(),
            Found::Present(_) => true,
            Found::Missing(_) => false,
        }
    }

    /// What holds in its sandboxes, if it is the one that is configured and could be looked at.
    pub(super) fn configured(&self) -> Option<(&'static str, &Report)> {
        match &self.found {
            Found::Tried(report) if self.is_configured => Some((self.name, report)),
            _ => None,
        }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.is_configured { '*' } else { ' ' };
        let head = format!("{mark} {:<11}", self.name);
        match &self.found {
            Found::Tried(Report { trial: Ok(time), .. }) => {
                writeln!(out, "{head} works: a sandbox was made and answered in {} ms", time.as_millis())
            }
            Found::Tried(Report { trial: Err(why), .. }) => writeln!(out, "{head} FAILS: {why}"),
            Found::Present(what) => writeln!(out, "{head} may work, and was not tried: {what}"),
            Found::Missing(Missing { why, fix }) => {
                writeln!(out, "{head} not here: {why}")?;
                fix.as_ref().map_or(Ok(()), |fix| writeln!(out, "{:<13} to have it: {fix}", ""))
            }
        }
    }
}

/// By its socket and the configuration alone.
pub(super) fn docker(config: &Config) -> Found {
    let oci = &config.oci;
    let socket = oci.socket.display();
    if !cfg!(feature = "docker") {
        return unbuilt("docker");
    }
    if !fs::metadata(&oci.socket).is_ok_and(|found| found.file_type().is_socket()) {
        let fix = "systemctl start docker; or name another engine's socket: oci.socket in stead.toml";
        return missing(format!("there is no socket at {socket}"), fix);
    }
    match &oci.image {
        Some(image) => Found::Present(format!("an engine at {socket}, and the image {image} is named")),
        None => missing(
            format!("there is an engine at {socket}, and oci.image is not set"),
            "docker pull debian:stable, and `image = \"debian:stable\"` below [oci] in stead.toml",
        ),
    }
}

/// By the configuration, and by what every pod is given.
pub(super) fn kubernetes(config: &Config) -> Found {
    if !cfg!(feature = "kubernetes") {
        return unbuilt("kubernetes");
    }
    let kubernetes = &config.kubernetes;
    let cluster = match &kubernetes.kubeconfig {
        Some(path) if path.is_file() => format!("the cluster of {}", path.display()),
        Some(path) => {
            return missing(
                format!("there is no {}", path.display()),
                "name another file: kubernetes.kubeconfig in stead.toml",
            );
        }
        None if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() => "the cluster that this runs in".to_owned(),
        None => {
            let why = "this is no pod, and kubernetes.kubeconfig is not set".to_owned();
            return missing(why, "`kubeconfig = \"/path/to/config\"` below [kubernetes] in stead.toml");
        }
    };
    match &kubernetes.image {
        Some(image) => Found::Present(format!("{cluster}, and the image {image} is named")),
        None => missing(
            format!("there is {cluster}, and kubernetes.image is not set"),
            "`image = \"debian:stable\"` below [kubernetes] in stead.toml",
        ),
    }
}

fn unbuilt(feature: &str) -> Found {
    let why = format!("this Stead was built without the feature `{feature}`");
    missing(why, &format!("cargo build --release --package stead --features {feature}"))
}

fn missing(why: String, fix: &str) -> Found {
    Found::Missing(Missing { why, fix: Some(fix.to_owned()) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_gap_is_said_with_the_way_to_close_it() {
        let found =
            Missing { why: "there is no runsc on the search path".into(), fix: Some("apt-get install runsc".into()) };
        let said = Offer::new("gvisor", Found::Missing(found)).to_string();
        assert_eq!(
            said,
            "  gvisor      not here: there is no runsc on the search path\n              to have it: apt-get install runsc\n"
        );
    }

    #[test]
    fn only_what_is_configured_is_marked_and_looked_at_closely() {
        let report = |trial| Report { facts: Vec::new(), trial };
        let mut offer = Offer::new("none", Found::Tried(report(Ok(Duration::from_millis(12)))));
        assert!(offer.works() && offer.configured().is_none());
        offer.is_configured = true;
        assert_eq!(offer.to_string(), "* none        works: a sandbox was made and answered in 12 ms\n");
        assert!(offer.configured().is_some());
        assert!(!Offer::new("none", Found::Tried(report(Err("no".into())))).works());
    }

    #[test]
    fn an_engine_needs_a_socket_and_an_image() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.oci.socket = directory.path().join("engine.sock");
        let why = |found| match found {
            Found::Missing(missing) => missing.why,
            _ => String::new(),
        };
        if cfg!(feature = "docker") {
            assert!(why(docker(&config)).contains("there is no socket"));
            let _engine = std::os::unix::net::UnixListener::bind(&config.oci.socket).unwrap();
            assert!(why(docker(&config)).contains("oci.image is not set"));
            config.oci.image = Some("image".into());
            assert!(matches!(docker(&config), Found::Present(_)));
        } else {
            assert!(why(docker(&config)).contains("without the feature"));
        }
    }
}
