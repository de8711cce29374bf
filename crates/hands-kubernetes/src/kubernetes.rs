//! The backend.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hands::{
    Address, BoxedStream, Content, Execute, Hand, Kept, Limits, Lost, Outcome, ProvisionError, Sandbox, Spec, attach,
    namespace::Report,
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    access::Access,
    api::Api,
    pod::{self, INCARNATION, SESSION},
    report,
    shared::{Dialer, Shared, name, relative},
};

/// What the addresses of these sandboxes say.
pub(crate) const BACKEND: &str = "kubernetes";

/// The sandbox that a trial makes, and nobody's session.
const TRIAL: &str = "trial-kubernetes";

/// Says whether a pod reaches the one address that every pod is told. By bash, as `sh` may have no sockets.
const PROBE: &str = "if ! command -v bash >/dev/null || ! command -v timeout >/dev/null; then echo unknown; \
                     elif [ -z \"$KUBERNETES_SERVICE_HOST\" ]; then echo unknown; \
                     elif timeout 5 bash -c 'exec 3<>/dev/tcp/\"$KUBERNETES_SERVICE_HOST\"/\"$KUBERNETES_SERVICE_PORT\"' \
                     2>/dev/null; then echo reached; else echo none; fi";

/// What sandboxes may reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    /// Nothing: there is no way from a pod to the gateway yet. The operator's policy sees to it, and a trial sees
    /// whether it does. A session that needs a network gets no sandbox.
    #[default]
    None,
    /// For every session, whatever the cluster's policies allow. What environments allow is not enforced.
    HostPolicy,
}

#[derive(Debug, Clone)]
pub struct Options {
    /// None: what every pod is given of its cluster.
    pub kubeconfig: Option<PathBuf>,
    /// None: the kubeconfig's, or this pod's own.
    pub namespace: Option<String>,
    pub image: String,
    /// None: the cluster's usual one, which shares the node's kernel.
    pub runtime_class: Option<String>,
    pub network: Way,
    /// How long a pod may take to start, with its image.
    pub patience: Duration,
    /// The data directory's id, which the sandboxes' addresses name. Pods of other homes are left alone.
    pub home: String,
}

impl Options {
    /// With no network, from within a cluster. The home has to be said.
    #[must_use]
    pub fn of(image: impl Into<String>) -> Self {
        Self {
            kubeconfig: None,
            namespace: None,
            image: image.into(),
            runtime_class: None,
            network: Way::None,
            patience: Duration::from_secs(120),
            home: String::new(),
        }
    }
}

/// The pods of one namespace that are of this home, those of earlier servers included.
pub struct Kubernetes {
    shared: Arc<Shared>,
}

impl Kubernetes {
    /// Reads what is needed to speak to the cluster, and does not speak to it yet.
    pub fn new(options: Options) -> io::Result<Self> {
        let access =
            Access::find(options.kubeconfig.as_deref()).map_err(|error| io::Error::other(error.to_string()))?;
        let namespace = options.namespace.clone().or_else(|| access.namespace.clone());
        let api = Api::new(access, namespace.unwrap_or_else(|| "default".to_owned()))?;
        if options.network == Way::HostPolicy {
            tracing::warn!(
                "sandboxes reach whatever the cluster's policies allow: no gateway is between, and what environments \
                 allow is not enforced"
            );
        }
        Ok(Self { shared: Arc::new(Shared::new(api, options)) })
    }

    /// What holds a sandbox here, and how long one takes.
    pub async fn doctor(&self) -> Report {
        let began = Instant::now();
        let trial = self.self_test().await.map(|()| began.elapsed()).map_err(|error| error.to_string());
        let at = format!("{}, namespace {}", self.shared.api.server(), self.shared.api.namespace());
        Report { facts: report::facts(&self.shared.options, at), trial }
    }

    /// Makes a sandbox, tries what it reaches, and takes it away again.
    async fn self_test(&self) -> Result<(), ProvisionError> {
        let limits =
            Limits { memory: 256 << 20, processes: 64, disk: 64 << 20, orphan_seconds: 10, ..Limits::default() };
        let spec = Spec { name: TRIAL.into(), limits, ..Spec::default() };
        let hand = self.provision(&spec, 1).await?;
        let works = self.run(&*hand, "works", "echo works").await;
        let reaches = self.run(&*hand, "reaches", PROBE).await;
        self.destroy(TRIAL, None).await.map_err(|error| ProvisionError::Failed(error.to_string()))?;
        match works?.as_str() {
            "works" => {}
            other => return Err(ProvisionError::Failed(format!("a command gave {other:?}"))),
        }
        if self.shared.options.network == Way::HostPolicy {
            return Ok(());
        }
        let unsupported = |reason: &str| ProvisionError::Unsupported { step: "network".into(), reason: reason.into() };
        match reaches?.as_str() {
            "none" => Ok(()),
            "reached" => Err(unsupported(
                "a pod reaches the cluster's network. Apply a NetworkPolicy that denies all to pods with the label \
                 `app.kubernetes.io/managed-by: stead` (docs/SECURITY.md has one), or let the cluster's own hold with \
                 `network = \"host-policy\"`",
            )),
            _ => Err(unsupported(
                "whether a pod reaches the cluster's network cannot be tried: that takes an image with `bash` and \
                 `timeout`",
            )),
        }
    }

    async fn run(&self, hand: &dyn Hand, call: &str, command: &str) -> Result<String, ProvisionError> {
        let input = json!({ "command": command }).as_object().cloned().unwrap_or_default();
        let outcome = hand.execute(Execute { call: call.into(), tool: "bash".into(), input }).await;
        let Outcome { content, .. } = outcome.map_err(|lost| ProvisionError::Failed(lost.to_string()))?;
        match content.as_slice() {
            [Content::Text { text }] => Ok(text.trim().to_owned()),
            other => Err(ProvisionError::Failed(format!("a command gave {other:?}"))),
        }
    }
}

#[async_trait]
impl Sandbox for Kubernetes {
    async fn prepare(&self) -> Result<(), ProvisionError> {
        self.self_test().await
    }

    async fn provision(&self, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        possible(spec, self.shared.options.network)?;
        let _alone = self.shared.alone(&spec.name).await;
        let incarnation = incarnation()?;
        self.shared.make(spec, &incarnation).await?;
        let directory = Path::new(BACKEND).join(&spec.name);
        let home = Some(self.shared.options.home.clone());
        let address = Address { backend: BACKEND.into(), directory, incarnation, home };
        let dial = Arc::new(Dialer { shared: Arc::clone(&self.shared), address: address.clone() });
        match attach(dial, address.clone(), epoch).await {
            Ok(hand) => Ok(hand),
            Err(lost) => {
                let mut why = lost.to_string();
                if let Ok(Some(pod)) = self.shared.find(&address).await {
                    why = format!("{why}; {}", pod.words());
                    self.shared.give_up(&pod).await;
                }
                Err(ProvisionError::Failed(why))
            }
        }
    }

    async fn adopt(&self, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        let dial = Arc::new(Dialer { shared: Arc::clone(&self.shared), address: address.clone() });
        attach(dial, address.clone(), epoch).await
    }

    async fn dial(&self, address: &Address) -> Result<BoxedStream, Lost> {
        self.shared.dial(address).await
    }

    async fn destroy(&self, name: &str, incarnation: Option<&str>) -> io::Result<()> {
        if !pod::is_label(name) {
            return Ok(());
        }
        let _alone = self.shared.alone(name).await;
        for pod in self.shared.list(Some(name)).await? {
            if incarnation.is_none() || pod.label(INCARNATION) == incarnation {
                self.shared.remove(&pod).await?;
            }
        }
        Ok(())
    }

    async fn kept(&self) -> Vec<Kept> {
        let pods = self.shared.list(None).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the cluster's pods cannot be listed");
            Vec::new()
        });
        let kept = pods.iter().filter_map(|pod| {
            let incarnation = pod.label(INCARNATION).map(str::to_owned);
            Some(Kept { name: pod.label(SESSION)?.to_owned(), incarnation, checkpoint: None, layers: Vec::new() })
        });
        kept.collect()
    }

    async fn upload(&self, address: &Address, path: &str, file: Option<&Path>) -> io::Result<()> {
        let unusable = || io::Error::new(io::ErrorKind::InvalidInput, "not a path below the uploads directory");
        let path = relative(path).ok_or_else(unusable)?;
        let Some(name) = name(address) else { return Ok(()) };
        let _alone = self.shared.alone(name).await;
        // Of none: the next one is made with the files as they are then.
        let Some(pod) = self.shared.find(address).await?.filter(|pod| !pod.is_over()) else { return Ok(()) };
        match file {
            Some(file) => self.shared.bring_upload(&pod.metadata.name, &path, file).await,
            None => self.shared.take_away(&pod.metadata.name, &path).await,
        }
    }
}

/// What is asked for, and cannot be had of a pod, is refused: a sandbox that silently lacks it would be another one.
fn possible(spec: &Spec, network: Way) -> Result<(), ProvisionError> {
    let unsupported = |step: &str, reason: &str| {
        Err(ProvisionError::Unsupported { step: step.into(), reason: format!("a pod {reason}") })
    };
    if !pod::is_label(&spec.name) {
        let rule =
            "a pod's session is named by 1 to 63 letters, digits, `_`, `-` or `.`, a letter or digit at both ends";
        return Err(ProvisionError::Failed(rule.into()));
    }
    if spec.ground.rootfs.is_some() || !spec.ground.layers.is_empty() {
        return unsupported(
            "layers",
            "has the operator's image for a base, and no packages or image of an environment",
        );
    }
    if spec.keep.is_some() {
        return unsupported("layers", "cannot be made into a layer");
    }
    if spec.restore.is_some() {
        return unsupported("checkpoint", "cannot begin with a checkpoint");
    }
    if spec.network.is_some() && network == Way::None {
        return unsupported(
            "network",
            "has no way to the gateway yet: use an environment without a network, another sandbox, or let the cluster's \
             own policies hold with `network = \"host-policy\"`",
        );
    }
    Ok(())
}

/// 128 random bits, so that no two sandboxes are ever taken for each other.
fn incarnation() -> Result<String, ProvisionError> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| ProvisionError::Failed(error.to_string()))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bits)))
}

#[cfg(test)]
mod tests {
    use hands::{Network, Reach};

    use super::*;

    #[test]
    fn what_a_pod_cannot_be_is_refused_by_name() {
        let spec = || Spec { name: "sesn_1".into(), ..Spec::default() };
        let step = |spec: &Spec, way| match possible(spec, way) {
            Err(ProvisionError::Unsupported { step, .. }) => step,
            other => format!("{other:?}"),
        };
        let layered = hands::Ground { layers: vec!["/layer".into()], ..hands::Ground::default() };
        assert_eq!(step(&Spec { ground: layered, ..spec() }, Way::None), "layers");
        assert_eq!(step(&Spec { keep: Some("/keep".into()), ..spec() }, Way::None), "layers");
        assert_eq!(step(&Spec { restore: Some("/checkpoint".into()), ..spec() }, Way::None), "checkpoint");
        let network = Some(Network { reach: Reach::Unrestricted, egress: None });
        assert_eq!(step(&Spec { network: network.clone(), ..spec() }, Way::None), "network");
        assert!(possible(&Spec { network, ..spec() }, Way::HostPolicy).is_ok());
        assert!(possible(&Spec { name: "a/b".into(), ..Spec::default() }, Way::None).is_err());
    }
}
