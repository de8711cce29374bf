//! Where the nodes are: their machines, their data directories, and who has the lock of one.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::weather::Weather;

/// All places of the world.
pub(crate) struct Places(Vec<Arc<Place>>);

/// A data directory on its machine, where one process at a time is a node.
pub(crate) struct Place {
    pub(crate) number: usize,
    /// The data directory's id, which the addresses of its sandboxes name.
    pub(crate) home: String,
    /// Nodes of one machine try each other's locks, and reach the sandboxes that the dead leave behind.
    pub(crate) machine: String,
    pub(crate) weather: Arc<Weather>,
    lock: Arc<AsyncMutex<()>>,
    process: Mutex<Weak<Process>>,
}

/// A server's process, which lives until this is dropped, and has its data directory's lock as long.
pub(crate) struct Process {
    _lock: OwnedMutexGuard<()>,
}

impl Places {
    /// One place for each weather, all on one machine or each on its own.
    pub(crate) fn new(weathers: Vec<Arc<Weather>>, is_one_machine: bool) -> Self {
        let place = |(number, weather)| {
            let machine = if is_one_machine { 0 } else { number };
            Arc::new(Place {
                number,
                home: format!("directory-{number}"),
                machine: format!("machine-{machine}"),
                weather,
                lock: Arc::default(),
                process: Mutex::default(),
            })
        };
        Self(weathers.into_iter().enumerate().map(place).collect())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Place>> {
        self.0.iter()
    }

    pub(crate) fn of(&self, home: &str) -> Option<&Arc<Place>> {
        self.all().find(|place| place.home == home)
    }
}

impl Place {
    /// A new process, once the one before is dead and nobody keeps the proof of that any more.
    pub(crate) async fn begin(&self) -> Arc<Process> {
        let process = Arc::new(Process { _lock: self.lock.clone().lock_owned().await });
        *self.process.lock() = Arc::downgrade(&process);
        process
    }

    /// The lock, if no process has it. While it is kept, none begins.
    pub(crate) fn prove_dead(&self) -> Option<OwnedMutexGuard<()>> {
        self.lock.clone().try_lock_owned().ok()
    }

    /// Whether there is a process that answers to whoever reaches it.
    pub(crate) fn answers(&self) -> bool {
        self.process.lock().strong_count() > 0 && !self.weather.is_frozen()
    }

    /// Whether nothing that is said here is heard there.
    pub(crate) fn is_cut_off_from(&self, there: &Self) -> bool {
        self.weather.is_cut_off() || there.weather.is_cut_off()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::dice::Dice;

    #[test]
    fn no_process_begins_while_the_proof_of_death_is_kept() {
        let weather = Arc::new(Weather::new(Dice::new(1), Arc::default()));
        let places = Places::new(vec![weather], true);
        let place = places.of("directory-0").unwrap();
        let process = place.begin().now_or_never().unwrap();
        assert!(place.prove_dead().is_none());
        assert!(place.answers());
        drop(process);
        let proof = place.prove_dead().unwrap();
        assert!(!place.answers());
        assert!(place.begin().now_or_never().is_none());
        drop(proof);
        assert!(place.begin().now_or_never().is_some());
    }
}
