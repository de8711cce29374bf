//! Sandboxes whose processes a container runtime starts: crun or runc, without any daemon of theirs.
//!
//! The rest is as with [`crate::namespace`], whose sandboxes these are: the same layers, users, way to the network, groups
//! and directories, and the same filter on system calls. What is within those namespaces is a container by the OCI runtime
//! specification. As with [`crate::gvisor`] the first process is a porter in a root with nothing in it but the runtime and
//! what that loads; ending it leaves nothing behind, and the runtime is never asked to list or to delete. It finds no
//! control groups to work with, for the porter's processes are in theirs already.

mod configured;
mod runtime;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};

use self::configured::Configured;
use crate::{
    Missing,
    namespace::{Namespace, Options},
};

/// What the addresses of these sandboxes say, whichever runtime has started them: the next server may have another.
pub(crate) const BACKEND: &str = "oci";

/// For a trial. It takes a tenth of a second; a runtime that does not work here may also never answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The runtimes that are known to work so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    Crun,
    Runc,
}

impl Runtime {
    /// The quicker one first.
    pub const ALL: [Self; 2] = [Self::Crun, Self::Runc];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crun => "crun",
            Self::Runc => "runc",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// With the program that the operator has configured, or else the one on the search path. Runs it once, to learn its
/// version. Whether it works here, only a trial tells.
pub async fn find(options: Options, runtime: Runtime, program: Option<PathBuf>) -> Result<Namespace, Missing> {
    let data_dir = std::path::absolute(&options.data_dir).unwrap_or_else(|_| options.data_dir.clone());
    let found = spawn_blocking(move || runtime::find(runtime, program.as_deref())).await;
    let found = found.unwrap_or_else(|error| Err(Missing { why: error.to_string(), fix: None }))?;
    Ok(Namespace::new(options).on(Arc::new(Configured::new(found, data_dir))))
}

/// The first of these with which a sandbox can be made here, and which that is: each is tried once, for a limited time.
pub async fn first_that_works(options: &Options, among: &[Runtime]) -> Result<(Runtime, Namespace), Missing> {
    let mut refusals = Vec::new();
    let mut fix = None;
    for &runtime in among {
        let found = match find(options.clone(), runtime, None).await {
            Ok(found) => found,
            Err(missing) => {
                refusals.push(format!("{runtime}: {}", missing.why));
                fix = fix.or(missing.fix);
                continue;
            }
        };
        match timeout(PATIENCE, found.self_test()).await {
            Ok(Ok(())) => return Ok((runtime, found)),
            Ok(Err(error)) => refusals.push(format!("{runtime}: {error}")),
            Err(_) => refusals.push(format!("{runtime}: no answer within {} seconds", PATIENCE.as_secs())),
        }
    }
    Err(Missing { why: refusals.join("; "), fix })
}
