//! What a hand needs to find its container again, and everything that is said to the engine.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hand_protocol::{HOUSE_DAEMON, HOUSE_JOURNAL, HOUSE_SOCKET, UPLOADS};
use hands::{Address, BoxedStream, Dial, Lost, ProvisionError, Spec};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt,
    sync::{Mutex, MutexGuard},
    task::spawn_blocking,
    time::sleep,
};

use crate::{
    archive,
    container::{self, HOME, INCARNATION, Listed, SESSION},
    docker::{BACKEND, Options},
    engine::{Engine, Error},
    stream::Demultiplexed,
};

const NAMES: usize = 64;

/// Bytes of output that are waited for of a command that has nothing to say.
const WORDS: u64 = 64 << 10;

/// How often, and how long between, it is asked how a command has ended.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
struct Made {
    #[serde(rename = "Id")]
    id: String,
}

#[derive(Deserialize)]
struct Executed {
    #[serde(rename = "ExitCode")]
    exit_code: Option<i64>,
    #[serde(rename = "Running", default)]
    running: bool,
}

pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) options: Options,
    /// Whether the engine's storage can bound what a container writes. Believed until it refuses.
    has_quota: AtomicBool,
    /// Each name has one of these locks: a container is made or taken away by one at a time.
    names: [Mutex<()>; NAMES],
}

impl Shared {
    pub(crate) fn new(options: Options) -> Self {
        let names = std::array::from_fn(|_| Mutex::new(()));
        Self { engine: Engine::new(options.socket.clone()), options, has_quota: AtomicBool::new(true), names }
    }

    pub(crate) fn has_quota(&self) -> bool {
        self.has_quota.load(Ordering::Relaxed)
    }

    /// Waits until nobody else makes or removes the container of this session.
    pub(crate) async fn alone(&self, name: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % NAMES as u64).unwrap_or_default();
        self.names[place].lock().await
    }

    /// The containers of this home, or of one of its sessions. What the engine's own filter lets through is looked at
    /// once more: a container of another home is never touched.
    pub(crate) async fn list(&self, session: Option<&str>) -> Result<Vec<Listed>, Error> {
        let home = self.options.home.as_str();
        let mut labels = vec![format!("{HOME}={home}")];
        labels.extend(session.map(|session| format!("{SESSION}={session}")));
        let filters = json!({ "label": labels }).to_string();
        let filters: String = form_urlencoded::byte_serialize(filters.as_bytes()).collect();
        let mut listed: Vec<Listed> = self.engine.get(&format!("/containers/json?all=true&filters={filters}")).await?;
        listed.retain(|container| {
            container.label(HOME) == Some(home)
                && session.is_none_or(|session| container.label(SESSION) == Some(session))
                && is_id(&container.id)
        });
        Ok(listed)
    }

    /// The container at this address, whatever state it is in.
    pub(crate) async fn find(&self, address: &Address) -> Result<Option<Listed>, Error> {
        let is_ours = address.backend == BACKEND && address.home.as_ref().is_none_or(|home| *home == self.options.home);
        let Some(name) = name(address).filter(|_| is_ours) else { return Ok(None) };
        let listed = self.list(Some(name)).await?;
        let is_it = |container: &Listed| container.label(INCARNATION) == Some(address.incarnation.as_str());
        Ok(listed.into_iter().find(is_it))
    }

    /// Makes a container, with everything in it, and starts it.
    pub(crate) async fn make(&self, spec: &Spec, incarnation: &str) -> Result<(), ProvisionError> {
        let failed = |error: Error| ProvisionError::Failed(error.to_string());
        let earlier = self.list(Some(&spec.name)).await.map_err(failed)?;
        let journal = self.journal_of(&earlier).await.map_err(failed)?;
        for container in &earlier {
            self.remove(&container.id).await.map_err(failed)?;
        }
        let (scratch, uploads) = (self.options.scratch.clone(), spec.uploads.clone());
        let packed = spawn_blocking(move || archive::beginning(&scratch, journal.as_deref(), &uploads)).await;
        let packed = packed.map_err(|error| ProvisionError::Failed(error.to_string()))??;

        let id = self.create(spec, incarnation).await?;
        let started = async {
            self.engine.put(&format!("/containers/{id}/archive?path=%2F"), packed).await?;
            self.engine.post_empty(&format!("/containers/{id}/start")).await
        };
        if let Err(error) = started.await {
            self.give_up(&id).await;
            return Err(failed(error));
        }
        Ok(())
    }

    async fn create(&self, spec: &Spec, incarnation: &str) -> Result<String, ProvisionError> {
        loop {
            let has_quota = self.has_quota();
            let wanted = container::wanted(spec, &self.options, incarnation, has_quota);
            let wanted = wanted.map_err(|error| ProvisionError::Failed(error.to_string()))?;
            match self.engine.post::<Made>(&format!("/containers/create?name=stead-{incarnation}"), &wanted).await {
                Ok(Made { id }) if is_id(&id) => return Ok(id),
                Ok(Made { id }) => return Err(ProvisionError::Failed(format!("the engine calls a container {id:?}"))),
                Err(Error::Refused { message, .. }) if has_quota && is_about_storage(&message) => {
                    tracing::warn!(
                        message,
                        "the engine's storage does not bound what a container writes: a sandbox can fill its disk"
                    );
                    self.has_quota.store(false, Ordering::Relaxed);
                }
                Err(error) if error.is_missing() => {
                    let image = &self.options.image;
                    let reason = format!("{error}. Pull the image first: this server pulls none ({image})");
                    return Err(ProvisionError::Unsupported { step: "image".into(), reason });
                }
                Err(error) => return Err(ProvisionError::Failed(error.to_string())),
            }
        }
    }

    /// What earlier containers of the session were asked to do must not be done again: the next daemon has to know of
    /// it.
    async fn journal_of(&self, earlier: &[Listed]) -> Result<Option<Vec<u8>>, Error> {
        let Some(container) = earlier.first() else { return Ok(None) };
        let path: String = form_urlencoded::byte_serialize(HOUSE_JOURNAL.as_bytes()).collect();
        let path = format!("/containers/{}/archive?path={path}", container.id);
        match self.engine.get_bytes(&path, archive::MOST_OF_JOURNAL).await {
            Ok(packed) => {
                let read = spawn_blocking(move || archive::first_file(&packed)).await;
                let read = read.map_err(std::io::Error::from).flatten();
                read.map(Some).map_err(|error| Error::Confused(format!("its earlier journal: {error}")))
            }
            // It never came to have one.
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<(), Error> {
        match self.engine.delete(&format!("/containers/{id}?force=true&v=true")).await {
            Err(error) if error.is_missing() => Ok(()),
            removed => removed,
        }
    }

    pub(crate) async fn give_up(&self, id: &str) {
        if let Err(error) = self.remove(id).await {
            tracing::warn!(container = id, %error, "a container that is of no use cannot be removed");
        }
    }

    /// Runs a command in a container, and gives its streams.
    async fn execute(&self, id: &str, command: &[&str]) -> Result<(String, BoxedStream), Error> {
        let Made { id } = self.engine.post(&format!("/containers/{id}/exec"), &container::executed(command)).await?;
        if !is_id(&id) {
            return Err(Error::Confused(format!("it calls a command {id:?}")));
        }
        let start = json!({ "Detach": false, "Tty": false });
        let stream = self.engine.upgrade(&format!("/exec/{id}/start"), &start).await?;
        Ok((id, Box::new(Demultiplexed::new(stream))))
    }

    /// Takes an input file away.
    pub(crate) async fn take_away(&self, id: &str, path: &Path) -> Result<(), Error> {
        let path = Path::new(UPLOADS).join(path);
        let (command, stream) = self.execute(id, &["rm", "-f", "--", &path.to_string_lossy()]).await?;
        let mut words = Vec::new();
        // Its end is the command's.
        let read = stream.take(WORDS).read_to_end(&mut words).await;
        read.map_err(|error| Error::Confused(error.to_string()))?;
        for _ in 0..LOOKS {
            let Executed { exit_code, running } = self.engine.get(&format!("/exec/{command}/json")).await?;
            match exit_code {
                Some(0) if !running => return Ok(()),
                Some(code) if !running => return Err(Error::Confused(format!("rm has ended with {code}"))),
                // The stream may end a moment before the engine knows of the command's end.
                _ => sleep(PAUSE).await,
            }
        }
        Err(Error::Confused("rm has ended, and how is not known".into()))
    }

    /// How a container has ended, for an error's message.
    pub(crate) async fn last_words(&self, id: &str) -> String {
        let inspected: Result<Value, Error> = self.engine.get(&format!("/containers/{id}/json")).await;
        match inspected {
            Ok(inspected) => format!("its state is {}", inspected.get("State").unwrap_or(&Value::Null)),
            Err(error) => error.to_string(),
        }
    }

    pub(crate) async fn dial(&self, address: &Address) -> Result<BoxedStream, Lost> {
        let away = |error: Error| Lost::Refused(error.to_string());
        let Some(container) = self.find(address).await.map_err(away)? else {
            return Err(Lost::Gone("the engine knows of no such container".into()));
        };
        if container.is_over() {
            return Err(Lost::Gone("its container has ended".into()));
        }
        if !container.is_running() {
            return Err(Lost::Refused(format!("its container is {}", container.state)));
        }
        match self.execute(&container.id, &[HOUSE_DAEMON, "relay", HOUSE_SOCKET]).await {
            Ok((_, stream)) => Ok(stream),
            Err(error) => Err(Lost::Refused(error.to_string())),
        }
    }
}

/// The name of the session whose container is meant.
pub(crate) fn name(address: &Address) -> Option<&str> {
    address.directory.file_name()?.to_str()
}

/// Ids are put into paths of requests.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|letter| letter.is_ascii_alphanumeric())
}

/// As Docker and Podman word it where the storage below has no quotas.
fn is_about_storage(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["storage-opt", "storage opt", "storageopt", "pquota", "quota"].iter().any(|word| message.contains(word))
}

/// Kept by a hand, to reach its container again.
pub(crate) struct Dialer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) address: Address,
}

#[async_trait]
impl Dial for Dialer {
    async fn dial(&self) -> Result<BoxedStream, Lost> {
        self.shared.dial(&self.address).await
    }
}
