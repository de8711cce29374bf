//! The backend.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hand_protocol::UPLOADS;
use hands::{
    Address, BoxedStream, Execute, Hand, Kept, Limits, Lost, Outcome, ProvisionError, Sandbox, Spec, attach,
    namespace::Report,
};
use serde_json::json;
use tokio::{task::spawn_blocking, time::Instant};

use crate::{
    archive,
    container::{INCARNATION, SESSION},
    report,
    shared::{Dialer, Shared, name},
};

/// What the addresses of these sandboxes say.
pub(crate) const BACKEND: &str = "docker";

/// The sandbox that a trial makes, and nobody's session.
const TRIAL: &str = "trial-docker";

/// What sandboxes may reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    /// Nothing: there is no way from a container to the gateway yet. A session that needs a network gets no sandbox.
    #[default]
    None,
    /// For a session that may reach something, whatever the engine's own network reaches: the machine's rules hold, and
    /// those of the session's environment do not.
    HostPolicy,
}

#[derive(Debug, Clone)]
pub struct Options {
    /// The engine's.
    pub socket: PathBuf,
    /// What containers are made of. The engine must have it: nothing is pulled.
    pub image: String,
    /// Another runtime than the engine's usual one, by the name the engine knows it by: `runsc`, `kata`.
    pub runtime: Option<String>,
    pub network: Way,
    /// The data directory's id, which the sandboxes' addresses name. Containers of other homes are left alone.
    pub home: String,
    /// Where archives are put together.
    pub scratch: PathBuf,
}

impl Options {
    /// With no network, and the engine's usual runtime. The home has to be said.
    #[must_use]
    pub fn of(socket: impl Into<PathBuf>, image: impl Into<String>, scratch: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            image: image.into(),
            runtime: None,
            network: Way::None,
            home: String::new(),
            scratch: scratch.into(),
        }
    }
}

/// The containers of one engine that are of this home, those of earlier servers included.
pub struct Docker {
    shared: Arc<Shared>,
}

impl Docker {
    #[must_use]
    pub fn new(options: Options) -> Self {
        if options.network == Way::HostPolicy {
            tracing::warn!(
                "sandboxes with a network reach whatever the engine's own network reaches: no gateway is between, and \
                 what environments allow is not enforced"
            );
        }
        Self { shared: Arc::new(Shared::new(options)) }
    }

    /// What holds a sandbox here, and how long one takes.
    pub async fn doctor(&self) -> Report {
        let began = Instant::now();
        let trial = self.self_test().await.map(|()| began.elapsed()).map_err(|error| error.to_string());
        self.report(trial)
    }

    fn report(&self, trial: Result<Duration, String>) -> Report {
        Report { facts: report::facts(&self.shared.options, self.shared.has_quota()), trial }
    }

    /// Makes a sandbox, runs a command in it and takes it away again.
    async fn self_test(&self) -> Result<(), ProvisionError> {
        let limits =
            Limits { memory: 256 << 20, processes: 64, disk: 64 << 20, orphan_seconds: 10, ..Limits::default() };
        let spec = Spec { name: TRIAL.into(), limits, ..Spec::default() };
        let failed = |error: &dyn std::fmt::Display| ProvisionError::Failed(error.to_string());
        let hand = self.provision(&spec, 1).await?;
        let input = json!({ "command": "echo works" }).as_object().cloned().unwrap_or_default();
        let outcome = hand.execute(Execute { call: "trial".into(), tool: "bash".into(), input }).await;
        self.destroy(TRIAL, None).await.map_err(|error| failed(&error))?;
        match outcome {
            Ok(outcome) if outcome == Outcome::text("works\n") || outcome == Outcome::text("works") => Ok(()),
            Ok(outcome) => Err(ProvisionError::Failed(format!("a command gave {:?}", outcome.content))),
            Err(lost) => Err(failed(&lost)),
        }
    }
}

#[async_trait]
impl Sandbox for Docker {
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
                if let Ok(Some(container)) = self.shared.find(&address).await {
                    why = format!("{why}; {}", self.shared.last_words(&container.id).await);
                    self.shared.give_up(&container.id).await;
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
        let _alone = self.shared.alone(name).await;
        for container in self.shared.list(Some(name)).await? {
            if incarnation.is_none() || container.label(INCARNATION) == incarnation {
                self.shared.remove(&container.id).await?;
            }
        }
        Ok(())
    }

    async fn kept(&self) -> Vec<Kept> {
        let listed = self.shared.list(None).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the engine's containers cannot be listed");
            Vec::new()
        });
        let kept = listed.iter().filter_map(|container| {
            let incarnation = container.label(INCARNATION).map(str::to_owned);
            Some(Kept { name: container.label(SESSION)?.to_owned(), incarnation, checkpoint: None, layers: Vec::new() })
        });
        kept.collect()
    }

    async fn upload(&self, address: &Address, path: &str, file: Option<&Path>) -> io::Result<()> {
        let unusable = || io::Error::new(io::ErrorKind::InvalidInput, "not a path below the uploads directory");
        let path = archive::relative(path).ok_or_else(unusable)?;
        let Some(name) = name(address) else { return Ok(()) };
        let _alone = self.shared.alone(name).await;
        // Of none: the next one is made with the files as they are then.
        let container = self.shared.find(address).await?.filter(|container| !container.is_over());
        let Some(container) = container else { return Ok(()) };
        let Some(file) = file.map(Path::to_owned) else {
            return Ok(self.shared.take_away(&container.id, &path).await?);
        };
        let scratch = self.shared.options.scratch.clone();
        let packed = spawn_blocking(move || archive::arriving(&scratch, &path, &file)).await??;
        let place: String = form_urlencoded::byte_serialize(UPLOADS.as_bytes()).collect();
        let path = format!("/containers/{}/archive?path={place}", container.id);
        Ok(self.shared.engine.put(&path, packed).await?)
    }
}

/// What is asked for, and cannot be had of a container engine, is refused: a sandbox that silently lacks it would be
/// another one.
fn possible(spec: &Spec, network: Way) -> Result<(), ProvisionError> {
    let unsupported = |step: &str, reason: &str| {
        Err(ProvisionError::Unsupported { step: step.into(), reason: format!("a container of an engine {reason}") })
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if spec.name.is_empty() || spec.name.len() > 100 || !spec.name.chars().all(plain) {
        return Err(ProvisionError::Failed("a sandbox's name is 1 to 100 ASCII letters, digits, `_` or `-`".into()));
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
            "has no way to the gateway yet: use an environment without a network, another sandbox, or let the machine's \
             own rules hold with `network = \"host-policy\"`",
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
    fn what_a_container_cannot_be_is_refused_by_name() {
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
