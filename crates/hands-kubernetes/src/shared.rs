//! What a hand needs to find its pod again, and everything that is said to the cluster.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hand_protocol::{HOUSE_DAEMON, HOUSE_SOCKET, UPLOADS};
use hands::{Address, BoxedStream, Dial, Lost, ProvisionError, Spec};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    sync::{Mutex, MutexGuard},
    time::{Instant, sleep, timeout},
};

use crate::{
    api::{Api, Error},
    kubernetes::{BACKEND, Options},
    pod::{self, BRING_DAEMON, BRING_UPLOAD, HOME, INCARNATION, Pod, SESSION},
};

const NAMES: usize = 64;

/// Between two looks at a pod that is being started.
const LOOK: Duration = Duration::from_millis(250);

/// For a command that brings a file, or takes one away.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) struct Shared {
    pub(crate) api: Api,
    pub(crate) options: Options,
    /// Each name has one of these locks: a pod is made or taken away by one at a time.
    names: [Mutex<()>; NAMES],
}

impl Shared {
    pub(crate) fn new(api: Api, options: Options) -> Self {
        Self { api, options, names: std::array::from_fn(|_| Mutex::new(())) }
    }

    /// Waits until nobody else makes or removes the pod of this session.
    pub(crate) async fn alone(&self, name: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % NAMES as u64).unwrap_or_default();
        self.names[place].lock().await
    }

    /// The pods of this home, or of one of its sessions. What the cluster's own filter lets through is looked at once
    /// more: a pod of another home is never touched.
    pub(crate) async fn list(&self, session: Option<&str>) -> Result<Vec<Pod>, Error> {
        let home = self.options.home.as_str();
        let mut selector = format!("{HOME}={home}");
        if let Some(session) = session {
            selector = format!("{selector},{SESSION}={session}");
        }
        let mut pods = self.api.list(&selector).await?;
        pods.retain(|pod| {
            pod.label(HOME) == Some(home) && session.is_none_or(|session| pod.label(SESSION) == Some(session))
        });
        Ok(pods)
    }

    /// The pod at this address, whatever state it is in.
    pub(crate) async fn find(&self, address: &Address) -> Result<Option<Pod>, Error> {
        let home = self.options.home.as_str();
        let is_ours = address.backend == BACKEND && address.home.as_ref().is_none_or(|theirs| theirs == home);
        let Some(session) = name(address).filter(|_| is_ours) else { return Ok(None) };
        match self.api.get(&pod::name(&address.incarnation)).await {
            Ok(pod) => {
                let labels = [(HOME, home), (SESSION, session), (INCARNATION, address.incarnation.as_str())];
                let is_it = labels.iter().all(|(label, value)| pod.label(label) == Some(value));
                Ok(is_it.then_some(pod))
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a pod, waits until it runs, and brings everything into it; the daemon last, which begins then.
    pub(crate) async fn make(&self, spec: &Spec, incarnation: &str) -> Result<(), ProvisionError> {
        let failed = |error: Error| ProvisionError::Failed(error.to_string());
        for earlier in self.list(Some(&spec.name)).await.map_err(failed)? {
            self.remove(&earlier).await.map_err(failed)?;
        }
        let mut uploads = Vec::new();
        for (from, name) in &spec.uploads {
            let unusable = || format!("the input file {name}: not a path below the uploads directory");
            uploads.push((from, relative(name).ok_or_else(|| ProvisionError::Failed(unusable()))?));
        }
        let wanted = pod::wanted(spec, &self.options, incarnation);
        let wanted = wanted.map_err(|error| ProvisionError::Failed(error.to_string()))?;
        let made = self.api.create(&wanted).await.map_err(failed)?;
        let begun = async {
            self.until_running(&made).await?;
            for (from, path) in &uploads {
                let brought = self.bring_upload(&made.metadata.name, path, from).await;
                brought.map_err(|error| format!("the input file {}: {error}", path.display()))?;
            }
            let program = hands::daemon_program();
            let brought = self.bring(&made, BRING_DAEMON, HOUSE_DAEMON, program.len() as u64, program).await;
            brought.map_err(|error| format!("handd cannot be brought into it: {error}"))
        };
        if let Err(why) = begun.await {
            self.give_up(&made).await;
            return Err(ProvisionError::Failed(why));
        }
        Ok(())
    }

    async fn until_running(&self, made: &Pod) -> Result<(), String> {
        let deadline = Instant::now() + self.options.patience;
        loop {
            let pod = self.api.get(&made.metadata.name).await.map_err(|error| error.to_string())?;
            if pod.is_running() {
                return Ok(());
            }
            if let Some(why) = pod.is_hopeless() {
                return Err(format!("its pod does not start: {why}"));
            }
            if Instant::now() >= deadline {
                return Err(format!("its pod has not started in time: {}", pod.words()));
            }
            sleep(LOOK).await;
        }
    }

    pub(crate) async fn bring_upload(&self, pod: &str, path: &Path, from: &Path) -> io::Result<()> {
        let file = File::open(from).await?;
        let length = file.metadata().await?.len();
        let path = Path::new(UPLOADS).join(path);
        self.bring_to(pod, BRING_UPLOAD, &path.to_string_lossy(), length, file).await
    }

    async fn bring(&self, pod: &Pod, script: &str, path: &str, length: u64, bytes: &[u8]) -> io::Result<()> {
        self.bring_to(&pod.metadata.name, script, path, length, bytes).await
    }

    async fn bring_to(
        &self,
        pod: &str,
        script: &str,
        path: &str,
        length: u64,
        from: impl AsyncRead + Unpin + Send,
    ) -> io::Result<()> {
        let counted = length.to_string();
        let (mut channels, ended) = self.api.exec(pod, &pod::bring(script, &counted, path)).await?;
        let brought = async {
            let sent = tokio::io::copy(&mut from.take(length), &mut channels).await;
            match sent {
                Ok(sent) if sent < length => return Err(io::Error::other("the file became shorter meanwhile")),
                Ok(_) => channels.flush().await?,
                // The command may have ended, and then it is known why.
                Err(_) => {}
            }
            match ended.await {
                Ok(Ok(())) => sent.map(drop),
                Ok(Err(why)) => Err(io::Error::other(why)),
                Err(_) => Err(io::Error::other("the connection to the pod was lost")),
            }
        };
        timeout(PATIENCE, brought).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    pub(crate) async fn take_away(&self, pod: &str, path: &Path) -> io::Result<()> {
        let path = Path::new(UPLOADS).join(path);
        let (_channels, ended) = self.api.exec(pod, &["rm", "-f", "--", &path.to_string_lossy()]).await?;
        match timeout(PATIENCE, ended).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(why))) => Err(io::Error::other(why)),
            _ => Err(io::Error::other("the connection to the pod was lost")),
        }
    }

    pub(crate) async fn remove(&self, pod: &Pod) -> Result<(), Error> {
        self.api.delete(&pod.metadata.name, &pod.metadata.uid).await
    }

    pub(crate) async fn give_up(&self, pod: &Pod) {
        if let Err(error) = self.remove(pod).await {
            tracing::warn!(pod = pod.metadata.name, %error, "a pod that is of no use cannot be removed");
        }
    }

    pub(crate) async fn dial(&self, address: &Address) -> Result<BoxedStream, Lost> {
        let away = |error: Error| Lost::Refused(error.to_string());
        let Some(pod) = self.find(address).await.map_err(away)? else {
            return Err(Lost::Gone("the cluster knows of no such pod".into()));
        };
        if pod.is_over() {
            return Err(Lost::Gone(format!("its pod has ended: {}", pod.words())));
        }
        if !pod.is_running() {
            return Err(Lost::Refused(format!("its pod does not run: {}", pod.words())));
        }
        let (channels, _) =
            self.api.exec(&pod.metadata.name, &[HOUSE_DAEMON, "relay", HOUSE_SOCKET]).await.map_err(away)?;
        Ok(Box::new(channels))
    }
}

/// The name of the session whose pod is meant.
pub(crate) fn name(address: &Address) -> Option<&str> {
    address.directory.file_name()?.to_str()
}

/// The path below the uploads directory. Whatever would lead out of it is no path.
pub(crate) fn relative(name: &str) -> Option<PathBuf> {
    let path = Path::new(name.trim_start_matches('/'));
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && path.file_name().is_some() && !name.ends_with('/')).then(|| path.to_owned())
}

/// Kept by a hand, to reach its pod again.
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
