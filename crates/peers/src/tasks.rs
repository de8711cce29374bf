//! The tasks of one port. Each has a name, ends with the port if not before, and tells of its own panic.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Clone)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    /// Tasks are also spawned for callers that are on no runtime.
    runtime: Handle,
}

impl Tasks {
    /// Must be called on a runtime.
    pub(crate) fn new() -> Self {
        Self { tracker: TaskTracker::new(), stop: CancellationToken::new(), runtime: Handle::current() }
    }

    /// Cancelled with the port, or before.
    pub(crate) fn token(&self) -> CancellationToken {
        self.stop.child_token()
    }

    /// Cancel policy: dropped where it waits once `until` is cancelled. Failure policy: a panic is logged as a defect.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        until: CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let whole = async move {
            let done = AssertUnwindSafe(until.run_until_cancelled(task)).catch_unwind().await;
            if done.is_err() {
                tracing::error!(task = name, "a defect: a task panicked");
            }
        };
        self.tracker.spawn_on(whole, &self.runtime);
    }

    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn finish(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
