//! The run itself: case after case, and at the end all that were not held.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, timeout},
};

use super::{Machine, Supports, bench::Bench};
use crate::Kept;

/// No case takes as long.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) struct Suite<F> {
    make: F,
    /// The one that the case at hand works on.
    machine: Option<Arc<dyn Machine>>,
    broken: Vec<String>,
}

impl<M: Machine + 'static, F: AsyncFn() -> M> Suite<F> {
    pub(super) fn new(make: F) -> Self {
        Self { make, machine: None, broken: Vec::new() }
    }

    pub(super) async fn supports(&self) -> Supports {
        (self.make)().await.supports()
    }

    /// Says what is left out, by its name among what can be supported.
    pub(super) fn may(&self, what: &str, is_supported: bool) -> bool {
        if !is_supported {
            eprintln!("conformance: left out, for it is not supported here: {what}");
        }
        is_supported
    }

    pub(super) async fn bench(&mut self) -> Bench {
        let machine: Arc<dyn Machine> = Arc::new((self.make)().await);
        self.machine = Some(Arc::clone(&machine));
        Bench::on(machine).await
    }

    /// Runs a case to its end, as a task of its own: the next ones are run also if it panics or hangs.
    pub(super) async fn hold(&mut self, law: &str, case: impl Future<Output = ()> + Send + 'static) {
        let began = Instant::now();
        let mut task = JoinSet::new();
        task.spawn(case);
        let ended = timeout(PATIENCE, task.join_next()).await;
        let why = match ended {
            Ok(Some(Ok(())) | None) => None,
            Ok(Some(Err(error))) => Some(words(error)),
            Err(_) => Some(format!("it has not ended within {} seconds", PATIENCE.as_secs())),
        };
        task.shutdown().await;
        let word = if why.is_some() { "BROKEN" } else { "held" };
        eprintln!("conformance: {law}: {word} in {} ms", began.elapsed().as_millis());
        if let Some(why) = why {
            self.broken.push(format!("{law}: {why}"));
            self.clear().await;
        }
        self.machine = None;
    }

    /// Takes away what a case has left that was not held.
    async fn clear(&self) {
        let Some(machine) = &self.machine else { return };
        let sandbox = machine.open(None).await;
        for Kept { name, .. } in sandbox.kept().await {
            if let Err(error) = sandbox.destroy(&name, None).await {
                eprintln!("conformance: {name} cannot be destroyed: {error}");
            }
        }
    }

    pub(super) fn finish(self) {
        let Self { broken, .. } = self;
        assert!(broken.is_empty(), "{} laws are not kept:\n{}", broken.len(), broken.join("\n"));
    }
}

fn words(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "it was ended".to_owned() };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "it panicked".to_owned())
}
