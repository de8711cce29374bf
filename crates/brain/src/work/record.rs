//! A work item's document, and what becomes of it: pure, so that what each request does can be told by a table.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{Change, Document, Error, Item, Kind};
use wire::read::Metadata;
use wire::work::{Data, Heartbeat, LeaseState, State, Work, WorkType};
use wire::{EnvironmentId, KeyId, Problem, SessionId, Timestamp, WorkId, WorkspaceId};

/// How long a lease lasts if its worker asks for nothing else, in seconds.
const TTL: u64 = 300;

/// A worker that is asked to end hears of it with its next heartbeat, half a minute later at most. Beyond that it is
/// taken for gone, in seconds.
const ENDING: u64 = 60;

/// A worker that has had an item for this long has not failed at once, in milliseconds.
const STEADY: u64 = 60_000;

/// The longest that an item waits because those before it have failed, in milliseconds.
const LONGEST_PAUSE: u64 = 60_000;

/// What is due at once is due this long ago: the store's clock may be behind this node's. In milliseconds.
const SKEW: i64 = 60_000;

/// The longest that a worker may ask for: nobody else has the item before that is over.
const LONGEST: u64 = 3_600;

/// What a first heartbeat expects.
const NONE: &str = "NO_HEARTBEAT";

/// What is kept of a work item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub work: Work,
    /// The taking of its queue item that it was handed out by: zero before the first.
    pub attempt: u32,
    pub polled_at: Option<Timestamp>,
    /// The digest of the token that the last poll was given.
    pub token: Option<String>,
    /// The environment key of that poll: the token is good for as long as the key is.
    #[serde(default)]
    pub key: Option<KeyId>,
    pub ttl_seconds: u64,
    /// The latest heartbeat of any of its workers: no two have the same time, so that none is taken for another.
    pub beaten_at: Option<Timestamp>,
    /// How many items in a row before it have ended at once, with their session's work undone.
    pub failures: u32,
    /// The operator has asked it to end: nothing takes its place before something new comes.
    pub is_held: bool,
}

/// Who asks an item to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Operator,
    /// Whoever serves it: what it leaves undone is for another worker.
    Worker,
}

/// Where an item stands in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// For the next poll.
    Waiting,
    /// A poll was given it, and nobody has acknowledged it.
    Polled,
    /// A worker has it, or it has ended.
    Taken,
}

/// What a heartbeat does.
#[derive(Debug, PartialEq, Eq)]
pub enum Beat {
    Extends(Box<Record>),
    /// The item has ended: the worker is told to end, too.
    Over,
}

impl Record {
    pub fn new(id: WorkId, environment: EnvironmentId, session: SessionId, failures: u32, now: Timestamp) -> Self {
        let work = Work {
            id,
            r#type: WorkType::Work,
            environment_id: environment,
            data: Data::Session { id: session },
            state: State::Queued,
            metadata: Metadata::new(),
            secret: None,
            created_at: now,
            acknowledged_at: None,
            started_at: None,
            latest_heartbeat_at: None,
            stop_requested_at: None,
            stopped_at: None,
        };
        Self {
            work,
            attempt: 0,
            polled_at: None,
            token: None,
            key: None,
            ttl_seconds: TTL,
            beaten_at: None,
            failures,
            is_held: false,
        }
    }

    pub fn session(&self) -> SessionId {
        let Data::Session { id } = self.work.data;
        id
    }

    /// The queue of the environment's items.
    pub fn queue(environment: EnvironmentId) -> String {
        format!("work/{environment}")
    }

    fn body(&self) -> store::Result<String> {
        serde_json::to_string(self).map_err(|error| Error::Failed(error.to_string()))
    }

    /// What makes a new item known: its document, and its place in the queue.
    pub fn begins(&self, workspace: WorkspaceId) -> store::Result<[Change; 2]> {
        let Work { id, environment_id, created_at, .. } = self.work;
        let document = Document {
            parent: Some(environment_id.to_string()),
            refers: Some(self.session().to_string()),
            ..Document::new(workspace, Kind::Work, id, created_at, self.body()?)
        };
        let due_at = match self.pause() {
            0 => Timestamp::from_millis(created_at.millis().saturating_sub(SKEW)),
            pause => created_at.plus_millis(pause),
        };
        let item = Item { queue: Self::queue(environment_id), id: id.to_string(), due_at, body: String::new() };
        Ok([Change::Insert(document), Change::Enqueue(item)])
    }

    /// What the item's document, as it was read, becomes.
    pub fn over(&self, document: &Document, now: Timestamp) -> store::Result<Document> {
        let (version, archived_at) = (document.version + 1, self.work.stopped_at);
        Ok(Document { version, updated_at: now, archived_at, body: self.body()?, ..document.clone() })
    }

    /// How long it waits before anybody gets it, in milliseconds: workers that fail at once are not driven round and
    /// round.
    fn pause(&self) -> u64 {
        match self.failures {
            0 | 1 => 0,
            failures => 1_000_u64.saturating_mul(1 << (failures - 2).min(10)).min(LONGEST_PAUSE),
        }
    }

    /// The failures of the item that takes its place.
    pub(super) fn failures_after(&self, now: Timestamp) -> u32 {
        let was_steady = self.work.acknowledged_at.is_some_and(|at| now.since(at) >= STEADY);
        if was_steady { 0 } else { self.failures.saturating_add(1) }
    }

    /// How long nobody else is given it from now on, unless its worker says that it lives.
    pub fn lease(&self) -> Duration {
        let seconds = if self.work.state == State::Stopping { self.ttl_seconds.min(ENDING) } else { self.ttl_seconds };
        Duration::from_secs(seconds)
    }

    /// An item whose lease has run out is for the next poll. That it has, the queue alone knows for sure.
    pub fn place(&self, now: Timestamp) -> Place {
        let Work { acknowledged_at, latest_heartbeat_at, .. } = self.work;
        let seen = acknowledged_at.max(latest_heartbeat_at);
        let has_lapsed = || seen.is_some_and(|at| now.since(at) > self.ttl_seconds.saturating_mul(1_000));
        match self.work.state {
            State::Queued if self.polled_at.is_none() => Place::Waiting,
            State::Queued => Place::Polled,
            State::Starting | State::Active if has_lapsed() => Place::Waiting,
            State::Starting | State::Active | State::Stopping | State::Stopped => Place::Taken,
        }
    }

    /// Handed out by a poll. Whatever worker had it before has lost it.
    pub fn claimed(&self, attempt: u32, (token, key): (String, Option<KeyId>), now: Timestamp) -> Self {
        let work = Work {
            state: State::Queued,
            acknowledged_at: None,
            started_at: None,
            latest_heartbeat_at: None,
            ..self.work.clone()
        };
        Self { work, attempt, polled_at: Some(now), token: Some(token), key, ttl_seconds: TTL, ..self.clone() }
    }

    /// Somebody will work on it. `None` if somebody does already, or it has ended; twice is as good as once.
    pub fn acknowledged(&self, now: Timestamp) -> Option<Self> {
        match self.work.state {
            State::Queued => {
                let work = Work { state: State::Starting, acknowledged_at: Some(now), ..self.work.clone() };
                Some(Self { work, ..self.clone() })
            }
            State::Starting => Some(self.clone()),
            State::Active | State::Stopping | State::Stopped => None,
        }
    }

    /// A worker lives. What it expects is not compared once the item is to end.
    pub fn beat(&self, expected: Option<&str>, ttl: Option<u64>, now: Timestamp) -> Result<Beat, Problem> {
        let state = match self.work.state {
            State::Stopped => return Ok(Beat::Over),
            State::Stopping => State::Stopping,
            State::Queued | State::Starting | State::Active => {
                let last = self.last_heartbeat();
                let stands = expected.is_none_or(|expected| expected == last.as_deref().unwrap_or(NONE));
                if !stands {
                    return Err(self.lost());
                }
                if self.work.state == State::Queued {
                    return Err(Problem::conflict("The work item is not acknowledged yet"));
                }
                State::Active
            }
        };
        let at = self.beaten_at.map_or(now, |before| now.max(before.plus_millis(1)));
        let work = Work {
            state,
            started_at: self.work.started_at.or(Some(now)),
            latest_heartbeat_at: Some(at),
            ..self.work.clone()
        };
        let ttl_seconds = ttl.map_or(self.ttl_seconds, |ttl| ttl.clamp(1, LONGEST));
        Ok(Beat::Extends(Box::new(Self { work, ttl_seconds, beaten_at: Some(at), ..self.clone() })))
    }

    /// The item is to end: at once, or when its worker has heard of it. `None` if it has ended already.
    pub fn stopped(&self, force: bool, by: By, now: Timestamp) -> Option<Self> {
        let requested = self.work.stop_requested_at.or(Some(now));
        let ends = match self.work.state {
            State::Stopped => return None,
            // There is no worker that could hear of it.
            State::Queued => true,
            // Who gives up what it has not begun has nothing to end.
            State::Starting => force || by == By::Worker,
            State::Active | State::Stopping => force,
        };
        let (state, stopped_at) = if ends { (State::Stopped, Some(now)) } else { (State::Stopping, None) };
        let is_held = self.is_held || by == By::Operator;
        let work = Work { state, stop_requested_at: requested, stopped_at, ..self.work.clone() };
        Some(Self { work, is_held, ..self.clone() })
    }

    fn last_heartbeat(&self) -> Option<String> {
        self.work.latest_heartbeat_at.map(|at| at.to_string())
    }

    pub fn heartbeat(&self, lease_extended: bool) -> Heartbeat {
        let last_heartbeat = self.last_heartbeat().unwrap_or_default();
        let (state, ttl_seconds) = (self.work.state, self.ttl_seconds);
        Heartbeat { r#type: "work_heartbeat", last_heartbeat, lease_extended, state, ttl_seconds }
    }

    /// Why a heartbeat is refused whose worker does not have the item any more.
    pub fn lost(&self) -> Problem {
        let lease = LeaseState {
            last_heartbeat: self.last_heartbeat(),
            lease_extended: false,
            state: self.work.state,
            ttl_seconds: self.ttl_seconds,
        };
        let message = "expected_last_heartbeat is not the last heartbeat: another worker may have the work item";
        let problem = Problem::invalid(message).with_code("heartbeat_precondition_failed");
        Problem { lease: Some(lease), ..problem }
    }
}

#[cfg(test)]
mod tests;
