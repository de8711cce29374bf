//! Sandboxes that outlive brains: calls run in world time, whoever asked for them, and are remembered in a journal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use hands::{Address, Checkpoint, Execute, Found, Kept, Lost, Outcome};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard};

use crate::check::Audit;
use crate::dice::Dice;
use crate::time::{pass, spawn};

/// A home, and the name of a sandbox there. At one site there is one sandbox at a time.
pub(crate) type Site = (String, String);

/// All sandboxes of the world. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Boxes {
    boxes: Arc<Mutex<BTreeMap<Site, Arc<SimBox>>>>,
    /// What sandboxes were put away as, by their sites and incarnations.
    rested: Arc<Mutex<BTreeMap<(Site, String), Files>>>,
    makers: Arc<Mutex<BTreeMap<Site, Arc<AsyncMutex<()>>>>>,
    audit: Arc<Audit>,
    pub(crate) dice: Dice,
}

pub(crate) struct SimBox {
    /// None of one that was never finished.
    incarnation: Option<String>,
    inside: Mutex<Inside>,
    /// A call has ended, or all of it.
    pub(crate) changed: Notify,
}

#[derive(Default)]
struct Inside {
    is_dead: bool,
    epoch: u64,
    journal: Journal,
    files: Files,
}

/// What is in a sandbox: each call that ends well leaves a file of its name.
pub(crate) type Files = BTreeSet<String>;

type Journal = BTreeMap<String, Noted>;

/// A call in the journal.
#[derive(Clone)]
enum Noted {
    Running,
    Finished(Outcome),
    /// Started in an earlier sandbox of this site, which did not live to see its end.
    Unknown,
}

impl Boxes {
    pub(crate) fn new(audit: Arc<Audit>, dice: Dice) -> Self {
        Self { boxes: Arc::default(), rested: Arc::default(), makers: Arc::default(), audit, dice }
    }

    /// One of them dies, if there is any.
    pub(crate) fn kill_one(&self) {
        let boxes = self.boxes.lock();
        let chosen = self.dice.below(boxes.len() as u64) as usize;
        if let Some(chosen) = boxes.values().nth(chosen) {
            chosen.die();
        }
    }

    /// The disk of a home is gone, and with it all sandboxes and what they remember.
    pub(crate) fn wipe(&self, home: &str) {
        self.boxes.lock().retain(|(place, _), lost| {
            let stays = place != home;
            if !stays {
                lost.die();
            }
            stays
        });
        self.rested.lock().retain(|((place, _), _), _| place != home);
    }

    /// Waits until nobody else makes or removes the sandbox of this site.
    pub(crate) async fn alone(&self, site: &Site) -> OwnedMutexGuard<()> {
        let maker = self.makers.lock().entry(site.clone()).or_default().clone();
        maker.lock_owned().await
    }

    /// Ends the sandbox of this site, if there is one, and begins another, which has its journal.
    pub(crate) fn begin(&self, site: &Site) {
        let mut boxes = self.boxes.lock();
        let journal = boxes.get(site).map(|earlier| earlier.bequeath()).unwrap_or_default();
        let inside = Inside { is_dead: true, journal, ..Inside::default() };
        boxes.insert(site.clone(), Arc::new(SimBox::new(None, inside)));
    }

    /// Brings the sandbox to life that was begun here, with the files of the one that it restores.
    pub(crate) fn finish(&self, site: &Site, restore: Option<&Path>) -> Address {
        let restored = restore.and_then(|path| {
            let incarnation = path.to_str()?.to_owned();
            self.rested.lock().get(&(site.clone(), incarnation)).cloned()
        });
        let files = restored.unwrap_or_default();
        let mut boxes = self.boxes.lock();
        let journal = boxes.get(site).map(|begun| begun.bequeath()).unwrap_or_default();
        let incarnation = format!("{:016x}", self.dice.next());
        self.audit.born(&incarnation, &files);
        let inside = Inside { journal, files, ..Inside::default() };
        boxes.insert(site.clone(), Arc::new(SimBox::new(Some(incarnation.clone()), inside)));
        let (home, name) = site.clone();
        Address { backend: "sim".into(), directory: name.into(), incarnation, home: Some(home) }
    }

    /// Removes the sandbox of this site: this incarnation, or whatever is there.
    pub(crate) fn remove(&self, site: &Site, incarnation: Option<&str>) {
        let mut boxes = self.boxes.lock();
        let is_meant = |there: &SimBox| incarnation.is_none() || incarnation == there.incarnation.as_deref();
        if boxes.get(site).is_some_and(|there| is_meant(there))
            && let Some(gone) = boxes.remove(site)
        {
            gone.die();
        }
        self.rested.lock().retain(|(place, rested), _| place != site || incarnation.is_some_and(|one| one != rested));
    }

    /// Puts the sandbox at this address away. Its journal stays where it was, for the next.
    pub(crate) fn rest(&self, address: &Address, epoch: u64) -> Result<Checkpoint, Lost> {
        let found = self.find(address)?;
        found.enter(epoch)?;
        found.die();
        let files = found.inside.lock().files.clone();
        let bytes = files.len() as u64;
        self.audit.rested();
        self.rested.lock().insert((site(address), address.incarnation.clone()), files);
        Ok(Checkpoint { path: address.incarnation.clone().into(), bytes, at: 0 })
    }

    /// What the sandbox at this address was put away as.
    pub(crate) fn checkpoint(&self, address: &Address) -> Option<Checkpoint> {
        let bytes = self.rested.lock().get(&(site(address), address.incarnation.clone()))?.len() as u64;
        Some(Checkpoint { path: address.incarnation.clone().into(), bytes, at: 0 })
    }

    pub(crate) fn forget(&self, address: &Address) {
        self.rested.lock().remove(&(site(address), address.incarnation.clone()));
    }

    /// The sandbox at this address, if it lives.
    pub(crate) fn find(&self, address: &Address) -> Result<Arc<SimBox>, Lost> {
        let found = self.boxes.lock().get(&site(address)).cloned();
        found
            .filter(|found| found.incarnation.as_ref() == Some(&address.incarnation) && !found.inside.lock().is_dead)
            .ok_or_else(|| Lost::Gone("it is not there".into()))
    }

    /// All that have not been removed, live, dead or put away, with their homes.
    pub(crate) fn kept(&self) -> Vec<(String, Kept)> {
        let kept = |name: &str, incarnation, checkpoint| {
            let layers = Vec::new();
            Kept { name: name.to_owned(), incarnation, checkpoint, layers }
        };
        let rested = self.rested.lock();
        let away = rested.iter().map(|(((home, name), incarnation), files)| {
            let checkpoint = Checkpoint { path: incarnation.into(), bytes: files.len() as u64, at: 0 };
            (home.clone(), kept(name, Some(incarnation.clone()), Some(checkpoint)))
        });
        let boxes = self.boxes.lock();
        let is_away = |site: &Site, there: &SimBox| {
            there.incarnation.as_ref().is_some_and(|one| rested.contains_key(&(site.clone(), one.clone())))
        };
        let here = boxes.iter().filter(|(site, there)| !is_away(site, there));
        let here = here.map(|((home, name), there)| (home.clone(), kept(name, there.incarnation.clone(), None)));
        here.chain(away).collect()
    }
}

fn site(address: &Address) -> Site {
    (address.home.clone().unwrap_or_default(), address.directory.display().to_string())
}

impl SimBox {
    fn new(incarnation: Option<String>, inside: Inside) -> Self {
        Self { incarnation, inside: Mutex::new(inside), changed: Notify::new() }
    }

    fn die(&self) {
        self.inside.lock().is_dead = true;
        self.changed.notify_waiters();
    }

    /// Dies, and leaves its journal to the next.
    fn bequeath(&self) -> Journal {
        self.die();
        let noted = |noted: &Noted| match noted {
            Noted::Finished(outcome) => Noted::Finished(outcome.clone()),
            Noted::Running | Noted::Unknown => Noted::Unknown,
        };
        self.inside.lock().journal.iter().map(|(call, was)| (call.clone(), noted(was))).collect()
    }

    /// Lets a brain of this epoch in, and no earlier one from now on.
    pub(crate) fn enter(&self, epoch: u64) -> Result<(), Lost> {
        let mut inside = self.inside.lock();
        if inside.is_dead {
            return Err(Lost::Gone("it has died".into()));
        }
        if epoch < inside.epoch {
            return Err(Lost::Fenced(inside.epoch));
        }
        inside.epoch = epoch;
        Ok(())
    }

    /// Begins the call, unless the journal knows it.
    pub(crate) fn begin(self: &Arc<Self>, call: &Execute, boxes: &Boxes) {
        let mut inside = self.inside.lock();
        if inside.journal.contains_key(&call.call) {
            return;
        }
        inside.journal.insert(call.call.clone(), Noted::Running);
        boxes.audit.started(&call.call, &call.tool);
        let (this, id, audit) = (self.clone(), call.call.clone(), boxes.audit.clone());
        let millis = if boxes.dice.in_thousand(50) { 60_000 } else { boxes.dice.between(1, 3_000) };
        spawn(async move {
            pass(millis).await;
            if this.end(&id, Outcome::text("done"))
                && let Some(incarnation) = &this.incarnation
            {
                this.inside.lock().files.insert(id.clone());
                audit.left(incarnation, &id);
            }
        });
    }

    /// Tells a running call to stop. One that does not run needs no telling.
    pub(crate) fn cancel(&self, call: &str) {
        self.end(call, Outcome::error("cancelled"));
    }

    /// What died or was cancelled meanwhile has no outcome of its own. True if this is its outcome.
    fn end(&self, call: &str, outcome: Outcome) -> bool {
        let mut inside = self.inside.lock();
        let is_running = !inside.is_dead && matches!(inside.journal.get(call), Some(Noted::Running));
        if is_running {
            inside.journal.insert(call.to_owned(), Noted::Finished(outcome));
        }
        drop(inside);
        self.changed.notify_waiters();
        is_running
    }

    /// What whoever waits for the call is told; `None` while it runs.
    pub(crate) fn outcome(&self, call: &str) -> Result<Option<Outcome>, Lost> {
        let inside = self.inside.lock();
        match inside.journal.get(call) {
            Some(Noted::Finished(outcome)) => Ok(Some(outcome.clone())),
            Some(Noted::Unknown) => Err(Lost::Refused("the call was started earlier, and its end is not known".into())),
            Some(Noted::Running) | None if inside.is_dead => Err(Lost::Gone("it has died".into())),
            Some(Noted::Running) | None => Ok(None),
        }
    }

    pub(crate) fn found(&self, call: &str) -> Found {
        match self.inside.lock().journal.get(call) {
            None => Found::NeverReceived,
            Some(Noted::Running) => Found::Running,
            Some(Noted::Finished(outcome)) => Found::Finished { outcome: outcome.clone() },
            Some(Noted::Unknown) => Found::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes() -> Boxes {
        Boxes::new(Arc::default(), Dice::new(1))
    }

    fn site(home: &str) -> Site {
        (home.to_owned(), "session".to_owned())
    }

    fn make(boxes: &Boxes, home: &str) -> Address {
        boxes.begin(&site(home));
        boxes.finish(&site(home), None)
    }

    fn begin(boxes: &Boxes, address: &Address) {
        let call = Execute { call: "one".into(), tool: "bash".into(), input: serde_json::Map::new() };
        boxes.find(address).unwrap().begin(&call, boxes);
    }

    fn found(boxes: &Boxes, address: &Address) -> Found {
        boxes.find(address).unwrap().found("one")
    }

    #[tokio::test(start_paused = true)]
    async fn a_journal_goes_to_the_next_sandbox_of_its_own_home_alone() {
        let boxes = boxes();
        let first = make(&boxes, "here");
        begin(&boxes, &first);
        let elsewhere = make(&boxes, "there");
        assert_eq!(found(&boxes, &elsewhere), Found::NeverReceived);
        assert_eq!(found(&boxes, &first), Found::Running, "a sandbox of another home does not end it");
        let next = make(&boxes, "here");
        assert_eq!(found(&boxes, &next), Found::Unknown);
        assert!(matches!(boxes.find(&first), Err(Lost::Gone(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_home_that_is_wiped_remembers_nothing() {
        let boxes = boxes();
        let (lost, spared) = (make(&boxes, "here"), make(&boxes, "there"));
        begin(&boxes, &lost);
        boxes.wipe("here");
        assert!(matches!(boxes.find(&lost), Err(Lost::Gone(_))));
        assert!(boxes.find(&spared).is_ok());
        let next = make(&boxes, "here");
        assert_eq!(found(&boxes, &next), Found::NeverReceived);
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_in_the_sandbox_that_restores_them_and_in_no_other() {
        let boxes = boxes();
        let first = make(&boxes, "here");
        begin(&boxes, &first);
        pass(100_000).await;
        let checkpoint = boxes.rest(&first, 1).unwrap();
        assert_eq!((checkpoint.bytes, boxes.kept().len()), (1, 1));
        assert!(matches!(boxes.find(&first), Err(Lost::Gone(_))));
        let second = make(&boxes, "here");
        assert_eq!(boxes.find(&second).unwrap().inside.lock().files.len(), 0);
        boxes.begin(&site("here"));
        let third = boxes.finish(&site("here"), Some(&checkpoint.path));
        assert_eq!(boxes.find(&third).unwrap().inside.lock().files.len(), 1);
        boxes.remove(&site("here"), Some(&third.incarnation));
        assert_eq!(boxes.checkpoint(&first), Some(checkpoint));
        boxes.forget(&first);
        assert_eq!((boxes.checkpoint(&first), boxes.kept().len()), (None, 0));
    }

    #[test]
    fn a_removal_leaves_a_later_incarnation_alone() {
        let boxes = boxes();
        let (first, second) = (make(&boxes, "here"), make(&boxes, "here"));
        boxes.remove(&site("here"), Some(&first.incarnation));
        assert!(boxes.find(&second).is_ok());
        boxes.remove(&site("here"), Some(&second.incarnation));
        assert!(boxes.kept().is_empty());
    }
}
