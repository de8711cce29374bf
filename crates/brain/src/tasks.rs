//! The tasks of one node. Each has a name, ends by itself or with the node, and tells of its own panic.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use store::Error;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    killed: CancellationToken,
}

/// A task that was spawned. Dropping it leaves the task alone.
pub(crate) struct Handle<T>(JoinHandle<Option<T>>);

impl Tasks {
    /// Cancel policy: none but [`Tasks::kill`]; whoever must stop sooner listens to a token of its own. Failure policy: a
    /// panic is logged as a defect, and whoever joins is told.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Handle<T> {
        let killed = self.killed.clone();
        Handle(self.tracker.spawn(async move {
            tokio::select! {
                biased;
                () = killed.cancelled() => None,
                done = AssertUnwindSafe(task).catch_unwind() => {
                    done.inspect_err(|_| tracing::error!(task = name, "a defect: a task panicked")).ok()
                }
            }
        }))
    }

    /// Waits for all of them to end by themselves.
    pub(crate) async fn finish(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Ends all of them where they stand, as the death of the process would: for the simulation.
    pub(crate) fn kill(&self) {
        self.killed.cancel();
    }
}

impl<T> Handle<T> {
    pub(crate) async fn join(self) -> store::Result<T> {
        let gone = || Error::Failed("the work ended before its result was told".into());
        self.0.await.ok().flatten().ok_or_else(gone)
    }
}
