//! What was asked for lately, and what is ready for the next who ask.

use std::{cmp::Reverse, collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::Options;
use crate::{Ground, Hand, Limits, Network, Reach, Spec};

/// Making one is the dear part: it stays for so long, even if other kinds are in demand meanwhile.
pub(super) const LEAST: Duration = Duration::from_secs(60);

/// What has to be known of a sandbox when it is made. The rest of a spec can come later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    ground: Ground,
    limits: Limits,
    /// Whether there is a way to a gateway. What it leads to is the gateway's affair.
    has_network: bool,
}

impl Kind {
    /// None of a sandbox that no other can be like: one that begins with files of an earlier one's, or that is to become
    /// a layer.
    pub(super) fn of(spec: &Spec) -> Option<Self> {
        let Spec { name: _, uploads: _, limits, ground, network, restore, keep } = spec;
        let is_alone = restore.is_some() || keep.is_some();
        (!is_alone).then(|| Self { ground: ground.clone(), limits: *limits, has_network: network.is_some() })
    }

    pub(super) fn spec(&self, name: String) -> Spec {
        let nothing = Reach::Limited { hosts: Vec::new(), packages: false };
        let network = self.has_network.then_some(Network { reach: nothing, egress: Some(0) });
        Spec { name, limits: self.limits, ground: self.ground.clone(), network, ..Spec::default() }
    }
}

/// A sandbox that waits for somebody. The connection to it keeps it from ending itself.
pub(super) struct Ready {
    pub(super) name: String,
    pub(super) hand: Box<dyn Hand>,
    pub(super) since: Instant,
}

struct Shelf {
    kind: Kind,
    /// When one was asked for, the latest last. No more of them than could be kept ready.
    asked: VecDeque<Instant>,
    ready: VecDeque<Ready>,
}

#[derive(Default)]
pub(super) struct Demand(Vec<Shelf>);

impl Demand {
    /// Remembers that one of this kind was asked for.
    pub(super) fn ask(&mut self, kind: &Kind, now: Instant, most: usize) {
        let asked = &mut self.shelf(kind).asked;
        asked.push_back(now);
        asked.drain(..asked.len().saturating_sub(most));
    }

    /// The one that has waited longest.
    pub(super) fn take(&mut self, kind: &Kind) -> Option<Ready> {
        self.0.iter_mut().find(|shelf| shelf.kind == *kind)?.ready.pop_front()
    }

    pub(super) fn put(&mut self, kind: Kind, ready: Ready) {
        self.shelf(&kind).ready.push_back(ready);
    }

    /// The kind of which one should be made next.
    pub(super) fn missing(&mut self, now: Instant, options: Options) -> Option<Kind> {
        let ready: usize = self.0.iter().map(|shelf| shelf.ready.len()).sum();
        let wanted = self.wanted(now, options);
        let is_short = |(shelf, wanted): &(&Shelf, usize)| shelf.ready.len() < *wanted;
        let (shelf, _) = self.0.iter().zip(wanted).find(is_short).filter(|_| ready < options.most)?;
        Some(shelf.kind.clone())
    }

    /// Takes out those that nobody is expected to ask for.
    pub(super) fn surplus(&mut self, now: Instant, options: Options) -> Vec<Ready> {
        let wanted = self.wanted(now, options);
        let mut surplus = Vec::new();
        for (shelf, wanted) in self.0.iter_mut().zip(wanted) {
            let is_old = |ready: &Ready| now.saturating_duration_since(ready.since) >= LEAST;
            while shelf.ready.len() > wanted && shelf.ready.front().is_some_and(is_old) {
                surplus.extend(shelf.ready.pop_front());
            }
        }
        self.0.retain(|shelf| !shelf.asked.is_empty() || !shelf.ready.is_empty());
        surplus
    }

    pub(super) fn clear(&mut self) -> Vec<Ready> {
        self.0.drain(..).flat_map(|shelf| shelf.ready).collect()
    }

    /// How many of each kind should be ready: as many as were asked for lately, as far as there is room; the kind that was
    /// asked for last comes first.
    fn wanted(&mut self, now: Instant, options: Options) -> Vec<usize> {
        let is_past = |asked: &Instant| now.saturating_duration_since(*asked) >= options.remember;
        for shelf in &mut self.0 {
            while shelf.asked.front().is_some_and(is_past) {
                shelf.asked.pop_front();
            }
        }
        self.0.sort_by_key(|shelf| Reverse(shelf.asked.back().copied()));
        let mut room = options.most;
        let mut share = |shelf: &Shelf| {
            let wanted = shelf.asked.len().min(room);
            room -= wanted;
            wanted
        };
        self.0.iter().map(&mut share).collect()
    }

    fn shelf(&mut self, kind: &Kind) -> &mut Shelf {
        let place = self.0.iter().position(|shelf| shelf.kind == *kind).unwrap_or_else(|| {
            self.0.push(Shelf { kind: kind.clone(), asked: VecDeque::new(), ready: VecDeque::new() });
            self.0.len() - 1
        });
        &mut self.0[place]
    }
}
