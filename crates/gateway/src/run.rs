//! The gateway's process, from its start to its end.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ipnet::Ipv4Net;
use parking_lot::RwLock;
use secrecy::SecretString;
use store::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::audit::{Bounds, Spool};
use crate::gateway::Gateway;
use crate::held::Held;
use crate::keys::Keys;
use crate::shared::{Shared, Timeouts};
use crate::tasks::Tasks;
use crate::traces::AUDIT;
use crate::{Resolve, Settings, SystemResolver, control, vigil};

/// For a server to be started anew, with its machine busy.
const IDLE: Duration = Duration::from_secs(60);

/// For measuring networks, and so no machine's.
const NAMES: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15);

/// How a gateway is to run.
pub struct Options {
    /// Its own: the control socket, the audit files and a lock. Made if it is not there.
    pub directory: PathBuf,
    /// Until others are set.
    pub settings: Settings,
    pub resolver: Arc<dyn Resolve>,
    pub clock: Arc<dyn Clock>,
    pub timeouts: Timeouts,
    /// The addresses that stand for names inside sandboxes, where no packet ever leaves for them.
    pub names: Ipv4Net,
    /// Of one audit file.
    pub audit_bytes: u64,
    /// How many of them are kept.
    pub audit_files: usize,
    /// Keys of stored secrets that were handed over, in place of those that the settings tell of.
    pub keys: Option<SecretString>,
    /// How long it stays when it serves no sandbox and nobody controls it. None for ever.
    pub idle: Option<Duration>,
}

impl Options {
    /// As it runs for users, in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            settings: Settings::default(),
            resolver: Arc::new(SystemResolver::default()),
            clock: Arc::new(SystemClock),
            timeouts: Timeouts::default(),
            names: NAMES,
            audit_bytes: 64 << 20,
            audit_files: 16,
            keys: None,
            idle: Some(IDLE),
        }
    }
}

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("another gateway runs in {0}")]
    Running(PathBuf),
    #[error("the gateway's directory {path} cannot be used: {source}")]
    Unusable { path: PathBuf, source: io::Error },
}

/// Runs until somebody asks it to stop, `stop` is cancelled, its directory is gone, or nobody needs it any more.
pub async fn run(options: Options, stop: CancellationToken) -> Result<(), RunError> {
    let directory = options.directory.clone();
    let unusable = |source| RunError::Unusable { path: directory.clone(), source };
    let held = Held::take(&directory)?;
    let bounds = Bounds { bytes: options.audit_bytes, files: options.audit_files };
    let spool = Spool::open(&directory.join(AUDIT), bounds).map_err(unusable)?;
    let shared = Arc::new(Shared {
        settings: RwLock::new(Arc::new(options.settings)),
        resolver: options.resolver,
        spool: spool.clone(),
        clock: options.clock,
        timeouts: options.timeouts,
        names: options.names,
        tasks: Tasks::default(),
        connections: AtomicU64::default(),
        crowd: Arc::default(),
        keys: Keys::new(options.keys),
    });
    let listener = held.bind().map_err(unusable)?;
    let gateway = Arc::new(Gateway::new(Arc::clone(&shared)));
    tracing::info!(directory = %directory.display(), "the gateway is ready");
    tokio::select! {
        () = control::listen(listener, Arc::clone(&gateway)) => {}
        () = gateway.stop.cancelled() => {}
        () = stop.cancelled() => {}
        () = vigil::is_over(&gateway, &held, options.idle) => {}
    }
    if let Err(error) = held.unbind() {
        tracing::debug!(%error, "the control socket stays behind");
    }
    shared.tasks.finish().await;
    if let Err(error) = spool.flush().await {
        tracing::error!(%error, "the last audit records may be lost");
    }
    Ok(())
}
