//! Sandboxes that an engine or a cluster makes: where it is, and what it makes them of.

use std::path::PathBuf;

use anyhow::ensure;
use hands::oci::Runtime;
use serde::{Deserialize, Serialize};

/// Sandboxes by the OCI specifications: of a runtime that this server starts, or of an engine that is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Oci {
    pub(crate) engine: Engine,
    /// Docker's. Podman has one too.
    pub(crate) socket: PathBuf,
    /// What the engine's containers are made of. It must be there: none is pulled.
    pub(crate) image: Option<String>,
    /// Another runtime than the engine's usual one.
    pub(crate) runtime: Option<String>,
    pub(crate) network: Way,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    /// Whichever works, in the order of the following.
    #[default]
    Any,
    /// By this server itself, without any engine.
    Crun,
    Runc,
    /// Docker, or Podman by the same API.
    Docker,
}

/// What sandboxes may reach where there is no way to the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    #[default]
    None,
    /// Whatever the machine, or the cluster, lets them.
    HostPolicy,
}

impl Default for Oci {
    fn default() -> Self {
        let socket = "/var/run/docker.sock".into();
        Self { engine: Engine::Any, socket, image: None, runtime: None, network: Way::None }
    }
}

impl Oci {
    /// Those that this server is to try itself.
    pub(crate) fn runtimes(&self) -> &'static [Runtime] {
        match self.engine {
            Engine::Any => &Runtime::ALL,
            Engine::Crun => &[Runtime::Crun],
            Engine::Runc => &[Runtime::Runc],
            Engine::Docker => &[],
        }
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(cfg!(feature = "docker"), "oci.engine is docker: this Stead was built without the feature `docker`");
        ensure!(self.image.is_some(), "oci.image is not set: an engine's containers are made of an image");
        Ok(())
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Kubernetes {
    /// Unset: what every pod is given of its cluster.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Unset: the kubeconfig's, or this pod's own.
    pub(crate) namespace: Option<String>,
    pub(crate) image: Option<String>,
    pub(crate) runtime_class: Option<String>,
    pub(crate) network: Way,
}

impl Kubernetes {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let is_built = cfg!(feature = "kubernetes");
        ensure!(is_built, "the sandbox is kubernetes: this Stead was built without the feature `kubernetes`");
        ensure!(self.image.is_some(), "kubernetes.image is not set: pods are made of an image");
        Ok(())
    }
}
