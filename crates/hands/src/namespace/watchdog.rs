//! Keeps the processes of each sandbox within its memory.
//!
//! Where control groups bound it, this ends the largest process before the kernel has to, for their limit has room for the
//! files of the writable layer as well. Where there are none, this is the only bound: something that allocates quickly can
//! be over it for one round.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval},
};

use super::{groups, memory, process::Process};

const ROUND: Duration = Duration::from_millis(250);

/// A sandbox to look after.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) daemon: Process,
    /// Bytes.
    pub(super) limit: u64,
    pub(super) groups: Vec<PathBuf>,
    /// Processes of it that were ended so far.
    pub(super) ended: Arc<AtomicU64>,
}

/// Its task is named `watchdog`, is aborted when this is dropped, and outlives any failure: a round that fails is followed by
/// another. It runs from the first sandbox on.
#[derive(Default)]
pub(super) struct Watchdog {
    watched: Arc<Mutex<HashMap<String, Watched>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Watchdog {
    /// Must be called on a runtime. Of a sandbox that is looked after already, the count goes on.
    pub(super) fn watch(&self, name: &str, mut watched: Watched) {
        {
            let mut all = self.watched.lock();
            if let Some(known) = all.get(name).filter(|known| known.daemon == watched.daemon) {
                watched.ended = Arc::clone(&known.ended);
            }
            all.insert(name.to_owned(), watched);
        }
        self.task.lock().get_or_insert_with(|| spawn(rounds(Arc::clone(&self.watched))));
    }

    /// How many processes of this sandbox were ended, which goes on counting.
    pub(super) fn ended(&self, name: &str) -> Arc<AtomicU64> {
        self.watched.lock().get(name).map(|watched| Arc::clone(&watched.ended)).unwrap_or_default()
    }

    pub(super) fn forget(&self, name: &str) {
        self.watched.lock().remove(name);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "named here: the watchdog's rounds, owned and aborted by it")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

async fn rounds(watched: Arc<Mutex<HashMap<String, Watched>>>) {
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let now: Vec<_> = watched.lock().iter().map(|(name, watched)| (name.clone(), watched.clone())).collect();
        if now.is_empty() {
            continue;
        }
        // Files below /proc answer at once, but there can be many.
        let dead =
            spawn_blocking(move || now.into_iter().filter(|(name, one)| !look_after(name, one)).collect::<Vec<_>>());
        for (name, gone) in dead.await.unwrap_or_default() {
            let mut watched = watched.lock();
            // Another sandbox may have taken the name meanwhile.
            if watched.get(&name).is_some_and(|one| one.daemon == gone.daemon) {
                watched.remove(&name);
            }
        }
    }
}

/// Whether the sandbox lives.
fn look_after(name: &str, watched: &Watched) -> bool {
    if !watched.daemon.is_alive() {
        return false;
    }
    // A sum that the kernel keeps is cheap, and mostly all there is to do.
    if groups::resident(&watched.groups).is_some_and(|resident| resident <= watched.limit) {
        return true;
    }
    let usage = memory::usage(&inside(watched));
    let used = memory::sum(&usage);
    if used > watched.limit
        && let Some(pid) = memory::largest(&usage, &watched.daemon)
        && let Ok(process) = Process::find(pid)
        // Asked again once it is held: it may have ended, and its pid be somebody else's.
        && inside(watched).contains(&pid)
    {
        // Counted before: whoever waits for that process hears of its end at once.
        watched.ended.fetch_add(1, Ordering::Relaxed);
        if process.kill().is_ok() {
            let limit = watched.limit;
            tracing::warn!(sandbox = name, used, limit, pid, "over its memory: its largest process was ended");
        }
    }
    true
}

fn inside(watched: &Watched) -> Vec<i32> {
    let listed = groups::processes(&watched.groups);
    if listed.is_empty() { memory::tree(watched.daemon.pid()) } else { listed }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn what_is_over_its_limit_is_ended_and_what_is_dead_is_forgotten() {
        // Its own first process, so that there is nobody larger below it.
        let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let daemon = Process::find(i32::try_from(child.id()).unwrap()).unwrap();
        let watchdog = Watchdog::default();
        watchdog.watch("one", Watched { daemon, limit: 0, groups: Vec::new(), ended: Arc::default() });
        let count = watchdog.ended("one");
        let ended = spawn_blocking(move || child.wait()).await.unwrap().unwrap();
        assert!(!ended.success());
        assert_eq!(count.load(Ordering::Relaxed), 1);
        while !watchdog.watched.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn the_count_of_a_sandbox_goes_on_and_that_of_its_successor_begins_anew() {
        let [mut child, mut other] = [(); 2].map(|()| Command::new("/bin/sleep").arg("60").spawn().unwrap());
        let watchdog = Watchdog::default();
        let watch = |child: &std::process::Child| {
            let daemon = Process::find(i32::try_from(child.id()).unwrap()).unwrap();
            let watched = Watched { daemon, limit: u64::MAX, groups: Vec::new(), ended: Arc::default() };
            watchdog.watch("one", watched);
            watchdog.ended("one")
        };
        watch(&child).fetch_add(2, Ordering::Relaxed);
        assert_eq!(watch(&child).load(Ordering::Relaxed), 2);
        assert_eq!(watch(&other).load(Ordering::Relaxed), 0);
        for child in [&mut child, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
