//! What makes sandboxes: this server itself, an engine or a cluster.

mod local;

use std::sync::Arc;

use hands::gvisor::Gvisor;
use hands::namespace::{Options, Report};
use hands::pool::Pool;
use hands::{Gate, Sandbox};

#[cfg_attr(not(feature = "docker"), allow(unused_imports, reason = "one or the other is used by each feature"))]
use crate::config::{Config, Engine, SandboxKind, Way};

/// What sandboxes are made with.
pub(crate) struct Made {
    pub(crate) sandbox: Arc<dyn Sandbox>,
    /// If some are made before anybody asks for them: to be closed in the end.
    pub(crate) pool: Option<Arc<Pool<Gvisor>>>,
}

impl Made {
    fn of(sandbox: Arc<dyn Sandbox>) -> Self {
        Self { sandbox, pool: None }
    }
}

/// What the configuration asks for, tried where it is known for not working everywhere.
pub(crate) async fn sandbox(config: &Config, options: Options, gate: Arc<dyn Gate>) -> anyhow::Result<Made> {
    match away(config, &options.home)? {
        Some(sandbox) => Ok(Made::of(sandbox)),
        None => local::sandbox(config, options, gate).await,
    }
}

/// One that an engine or a cluster makes.
enum Backend {
    #[cfg(feature = "docker")]
    Docker(hands_docker::Docker),
    #[cfg(feature = "kubernetes")]
    Kubernetes(hands_kubernetes::Kubernetes),
}

/// None: the sandboxes are made by this server itself. The home is the data directory's id.
fn away(config: &Config, home: &str) -> anyhow::Result<Option<Arc<dyn Sandbox>>> {
    Ok(match backend(config, home)? {
        #[cfg(feature = "docker")]
        Some(Backend::Docker(docker)) => Some(Arc::new(docker) as Arc<dyn Sandbox>),
        #[cfg(feature = "kubernetes")]
        Some(Backend::Kubernetes(kubernetes)) => Some(Arc::new(kubernetes) as Arc<dyn Sandbox>),
        _ => None,
    })
}

/// What is offered by an engine or a cluster, if the configuration asks for one.
pub(crate) async fn doctor(config: &Config) -> anyhow::Result<Option<Report>> {
    Ok(match backend(config, "doctor")? {
        #[cfg(feature = "docker")]
        Some(Backend::Docker(docker)) => Some(docker.doctor().await),
        #[cfg(feature = "kubernetes")]
        Some(Backend::Kubernetes(kubernetes)) => Some(kubernetes.doctor().await),
        _ => None,
    })
}

#[cfg_attr(
    not(all(feature = "docker", feature = "kubernetes")),
    allow(unused_variables, reason = "without both features nobody may want a home")
)]
fn backend(config: &Config, home: &str) -> anyhow::Result<Option<Backend>> {
    match config.sandbox {
        #[cfg(feature = "docker")]
        SandboxKind::Oci if config.oci.engine == Engine::Docker => {
            let oci = &config.oci;
            let network = match oci.network {
                Way::None => hands_docker::Way::None,
                Way::HostPolicy => hands_docker::Way::HostPolicy,
            };
            let image = oci.image.clone().unwrap_or_default();
            let options = hands_docker::Options {
                runtime: oci.runtime.clone(),
                network,
                home: home.to_owned(),
                ..hands_docker::Options::of(&oci.socket, image, &config.data_dir)
            };
            Ok(Some(Backend::Docker(hands_docker::Docker::new(options))))
        }
        #[cfg(feature = "kubernetes")]
        SandboxKind::Kubernetes => {
            let kubernetes = &config.kubernetes;
            let network = match kubernetes.network {
                Way::None => hands_kubernetes::Way::None,
                Way::HostPolicy => hands_kubernetes::Way::HostPolicy,
            };
            let options = hands_kubernetes::Options {
                kubeconfig: kubernetes.kubeconfig.clone(),
                namespace: kubernetes.namespace.clone(),
                runtime_class: kubernetes.runtime_class.clone(),
                network,
                home: home.to_owned(),
                ..hands_kubernetes::Options::of(kubernetes.image.clone().unwrap_or_default())
            };
            Ok(Some(Backend::Kubernetes(hands_kubernetes::Kubernetes::new(options)?)))
        }
        _ => Ok(None),
    }
}
