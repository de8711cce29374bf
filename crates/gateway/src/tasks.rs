//! The gateway's tasks. Each has a name, ends with what it serves, and tells of its own panic.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Cancelled with the gateway, or before.
    pub(crate) fn token(&self) -> CancellationToken {
        self.stop.child_token()
    }

    /// Cancel policy: dropped where it waits once `until` is cancelled. Failure policy: a panic is logged as a defect,
    /// and ends nothing but the task.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        until: CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tracker.spawn(async move {
            let done = AssertUnwindSafe(until.run_until_cancelled(task)).catch_unwind().await;
            if done.is_err() {
                tracing::error!(task = name, "a defect: a task panicked");
            }
        });
    }

    /// Ends them all, and returns once they have.
    pub(crate) async fn finish(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
