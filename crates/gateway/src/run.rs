//! The gateway's process, from its start to its end.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ipnet::Ipv4Net;
use parking_lot::RwLock;
use rustix::fs::{FlockOperation, flock};
use store::{Clock, SystemClock};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::audit::{Bounds, Spool};
use crate::gateway::Gateway;
use crate::shared::{Shared, Timeouts};
use crate::tasks::Tasks;
use crate::{Resolve, Settings, SystemResolver, control};

const LOCK: &str = "lock";
const AUDIT: &str = "audit";

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

/// Runs until somebody asks it to stop, or `stop` is cancelled.
pub async fn run(options: Options, stop: CancellationToken) -> Result<(), RunError> {
    let directory = options.directory.clone();
    let unusable = |source| RunError::Unusable { path: directory.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(unusable)?;
    let _lock = lock(&directory)?;
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
    });
    let listener = bind(&directory).map_err(unusable)?;
    let gateway = Arc::new(Gateway::new(Arc::clone(&shared)));
    tracing::info!(directory = %directory.display(), "the gateway is ready");
    tokio::select! {
        () = control::listen(listener, Arc::clone(&gateway)) => {}
        () = gateway.stop.cancelled() => {}
        () = stop.cancelled() => {}
    }
    // Whoever connects from now on is told at once that nobody is there.
    let _ = fs::remove_file(control::socket(&directory));
    shared.tasks.finish().await;
    if let Err(error) = spool.flush().await {
        tracing::error!(%error, "the last audit records may be lost");
    }
    Ok(())
}

/// Held as long as the file is open.
fn lock(directory: &Path) -> Result<File, RunError> {
    let file = File::options().create(true).truncate(false).write(true).open(directory.join(LOCK));
    let file = file.map_err(|source| RunError::Unusable { path: directory.to_owned(), source })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(RunError::Running(directory.to_owned())),
    }
}

/// The lock is ours: a socket that is there is a dead gateway's.
fn bind(directory: &Path) -> io::Result<UnixListener> {
    let socket = control::socket(directory);
    match fs::remove_file(&socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (_directory, way) = control::short_way(directory)?;
    let listener = UnixListener::bind(way)?;
    fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
    Ok(listener)
}
