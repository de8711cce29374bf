//! The gateway, for `stead doctor`.

use std::path::Path;

use gateway::{Client, Error, Traces};

use super::directory;

/// One line. Nothing is started for it.
pub(crate) async fn report(data_dir: &Path) -> String {
    let directory = directory(data_dir);
    let Traces { pid, audit } = Traces::of(&directory);
    let process = pid.map(|pid| format!(" as process {pid}")).unwrap_or_default();
    let state = match Client::impatient(&directory).list().await {
        Ok(served) => format!("runs{process}, sandboxes served: {}", served.len()),
        Err(Error::Unreachable(_)) => {
            "does not run; it is started for the first sandbox that may reach something".to_owned()
        }
        Err(error) => format!("runs{process} and cannot be used: {error}"),
    };
    let audit = audit.map(|audit| format!("; its audit records are in {}", audit.display())).unwrap_or_default();
    format!("{:<10} {state}{audit}", "gateway")
}
