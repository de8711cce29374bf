//! Doorbells between the nodes: late, lost, or twice.

use std::sync::Arc;

use bus::{Bell, Bells, Heard, Preview, Previews};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use wire::SessionId;

use crate::dice::Dice;
use crate::time::{pass, spawn};

/// A node's number, and the way to it.
type Ear = (usize, mpsc::Sender<Heard>);

/// The ears of the nodes that live.
#[derive(Clone, Default)]
pub(crate) struct Ears(Arc<Mutex<Vec<Ear>>>);

impl Ears {
    pub(crate) fn open(&self, node: usize) -> mpsc::Receiver<Heard> {
        let (ear, heard) = mpsc::channel(1_000);
        let mut ears = self.0.lock();
        ears.retain(|(other, _)| *other != node);
        ears.push((node, ear));
        heard
    }
}

pub(crate) struct SimRelay {
    pub(crate) node: usize,
    pub(crate) ears: Ears,
    pub(crate) dice: Dice,
}

impl Bells for SimRelay {
    fn ring(&self, bell: Bell) {
        for (_, ear) in self.ears.0.lock().iter().filter(|(node, _)| *node != self.node) {
            let times = match self.dice.below(10) {
                0 | 1 => 0,
                2 => 2,
                _ => 1,
            };
            for _ in 0..times {
                let (ear, millis) = (ear.clone(), self.dice.below(200));
                spawn(async move {
                    pass(millis).await;
                    // Nobody may be there any more.
                    let _ = ear.try_send(Heard::Bell(bell));
                });
            }
        }
    }
}

/// Previews are never promised: here they are always lost.
impl Previews for SimRelay {
    fn is_wanted(&self, _: SessionId) -> bool {
        false
    }

    fn send(&self, _: SessionId, _: &Preview) {}

    fn want(&self, _: SessionId, _: bool) {}
}
