//! Sandboxes that outlive brains: calls run in world time, whoever asked for them, and are remembered in a journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use hands::{Address, Execute, Found, Kept, Lost, Outcome};
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
}

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
        Self { boxes: Arc::default(), makers: Arc::default(), audit, dice }
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
        let inside = Inside { is_dead: true, epoch: 0, journal };
        boxes.insert(site.clone(), Arc::new(SimBox::new(None, inside)));
    }

    /// Brings the sandbox to life that was begun here.
    pub(crate) fn finish(&self, site: &Site) -> Address {
        let mut boxes = self.boxes.lock();
        let journal = boxes.get(site).map(|begun| begun.bequeath()).unwrap_or_default();
        let incarnation = format!("{:016x}", self.dice.next());
        let inside = Inside { journal, ..Inside::default() };
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
    }

    /// The sandbox at this address, if it lives.
    pub(crate) fn find(&self, address: &Address) -> Result<Arc<SimBox>, Lost> {
        let home = address.home.clone().unwrap_or_default();
        let site = (home, address.directory.display().to_string());
        let found = self.boxes.lock().get(&site).cloned();
        found
            .filter(|found| found.incarnation.as_ref() == Some(&address.incarnation) && !found.inside.lock().is_dead)
            .ok_or_else(|| Lost::Gone("it is not there".into()))
    }

    /// All that have not been removed, live or dead, with their homes.
    pub(crate) fn kept(&self) -> Vec<(String, Kept)> {
        let boxes = self.boxes.lock();
        let kept = boxes.iter().map(|((home, name), there)| {
            (home.clone(), Kept { name: name.clone(), incarnation: there.incarnation.clone() })
        });
        kept.collect()
    }
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
        let (this, id) = (self.clone(), call.call.clone());
        let millis = if boxes.dice.in_thousand(50) { 60_000 } else { boxes.dice.between(1, 3_000) };
        spawn(async move {
            pass(millis).await;
            this.end(&id, Outcome::text("done"));
        });
    }

    /// Tells a running call to stop. One that does not run needs no telling.
    pub(crate) fn cancel(&self, call: &str) {
        self.end(call, Outcome::error("cancelled"));
    }

    /// What died or was cancelled meanwhile has no outcome of its own.
    fn end(&self, call: &str, outcome: Outcome) {
        let mut inside = self.inside.lock();
        if !inside.is_dead && matches!(inside.journal.get(call), Some(Noted::Running)) {
            inside.journal.insert(call.to_owned(), Noted::Finished(outcome));
        }
        drop(inside);
        self.changed.notify_waiters();
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
        boxes.finish(&site(home))
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
