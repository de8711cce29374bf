//! One session's loop: claim, step, append, act, listen, until there is nothing left to do.

mod actions;
mod asks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use hands::Hand;
use serde_json::{Map, Value};
use session::{Action, Flight, Input, Limits, Step, step};
use store::{Change, Error, Lease};
use tokio::sync::Notify;
use tokio::time::Instant;
use wire::{EventId, SessionId};

use crate::brain::Inner;
use crate::hands_of::Made;
use crate::live::{Live, Write, WriteError};
use crate::tenure::{Over, Tenure};

/// Works on the session until it rests, the lease is lost, or the node stops. Says whether it ended in an error of ours, and
/// must be taken up again.
pub(crate) async fn work(brain: &Arc<Inner>, session: SessionId, bell: &Notify) -> bool {
    let Some(tenure) = brain.tenure() else { return false };
    let start = brain.starts.acquire().await;
    let live = match open(brain, session).await {
        Ok(live) => live,
        // Deleted between the ring and now.
        Err(Error::NotFound) => return false,
        Err(error) => {
            tracing::error!(%session, %error, "the session could not be read");
            return true;
        }
    };
    let mut run = Run {
        brain: brain.clone(),
        live,
        tenure: tenure.clone(),
        epoch: 0,
        flight: Flight::default(),
        under_way: FuturesUnordered::new(),
        hand: HandState::Unknown,
        waiting: Vec::new(),
        started: BTreeMap::new(),
        is_restored: false,
        drained_by: None,
    };
    let worked = tokio::select! {
        biased;
        // What is under way ends with the run: nothing of it could be written down.
        () = tenure.over() => return false,
        worked = run.until_rest(bell, start) => worked,
    };
    match worked {
        Ok(()) => false,
        Err(error) => run.gives_up(error).await,
    }
}

async fn open(brain: &Inner, session: SessionId) -> store::Result<Arc<Live>> {
    let live = brain.sessions.open(session).await?;
    // What is known here may be old, and say that there is nothing to do.
    brain.sessions.fresh(&live).await?;
    Ok(live)
}

/// How long a session that rests waits for its last calls to be ended.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) struct Run {
    brain: Arc<Inner>,
    live: Arc<Live>,
    tenure: Arc<Tenure>,
    epoch: u64,
    flight: Flight,
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    hand: HandState,
    /// Calls that wait for the sandbox to be up.
    waiting: Vec<Pending>,
    /// Calls that are under way in it, with their tools.
    started: BTreeMap<EventId, String>,
    /// The sandbox was brought back, and the model has not been told what that means.
    is_restored: bool,
    /// When a request that is under way is given up, once the node stops.
    drained_by: Option<Instant>,
}

enum HandState {
    /// Not needed so far.
    Unknown,
    Starting,
    Up(Arc<dyn Hand>),
}

struct Pending {
    call: EventId,
    name: String,
    input: Arc<Map<String, Value>>,
    /// Another brain may have started it.
    recover: bool,
}

/// What ends of what is under way.
enum Ended {
    Asked(Input),
    Tool {
        call: EventId,
        outcome: Result<hands::Outcome, hands::Lost>,
        name: String,
    },
    Provisioned {
        made: Result<Made, String>,
        /// Why there is no more the one that it stands in for.
        lost: Option<String>,
        /// Whether it has the files of one that was put away.
        is_restored: bool,
    },
    Adopted(Result<Arc<dyn Hand>, hands::Lost>),
    RetryDue,
    Collected,
    /// Nobody waits for it.
    Nothing,
}

impl Run {
    /// `start` is held until the session has been taken up.
    async fn until_rest(&mut self, bell: &Notify, start: impl Send) -> store::Result<()> {
        let mut next = self.step(Input::Taken, true).await?;
        drop(start);
        loop {
            if next.rest {
                for action in next.actions {
                    self.act(action).await?;
                }
                // Only calls that an interrupt ends can be left, and ending them is quick.
                let settled = async { while self.under_way.next().await.is_some() {} };
                let _ = tokio::time::timeout(SETTLE, settled).await;
                return Ok(());
            }
            for action in next.actions {
                // What an interrupt ends must end all the same: its outcome is nobody's.
                if self.brain.stop.is_cancelled() && !matches!(action, Action::Abort { .. }) {
                    continue;
                }
                self.ready().await?;
                self.act(action).await?;
            }
            next = match self.listen(bell).await? {
                Some(step) => step,
                // Whoever takes the lease next finds the session between two steps.
                None => return self.release().await,
            };
        }
    }

    /// Waits while the node cannot be sure of its lease.
    async fn ready(&mut self) -> store::Result<()> {
        self.tenure.ready().await.map_err(|Over| Error::Fenced { epoch: self.epoch })
    }

    /// Decides and appends. The first step of a run claims the lease with its rows.
    async fn step(&mut self, input: Input, claims: bool) -> store::Result<Step> {
        self.step_with(input, claims, Vec::new()).await
    }

    /// The same, with changes that become durable with the step's rows.
    async fn step_with(&mut self, input: Input, claims: bool, changes: Vec<Change>) -> store::Result<Step> {
        self.ready().await?;
        let (flight, limits, epoch) = (&self.flight, self.limits(), self.epoch);
        let node = &self.tenure.id;
        let decide = |state: &session::State, stamp: &mut dyn session::Stamp| {
            // A claim without work would only have to be released again.
            if claims && !state.is_runnable() {
                let value = Step { rows: Vec::new(), actions: Vec::new(), rest: true };
                return Ok::<_, std::convert::Infallible>(Write {
                    rows: Vec::new(),
                    lease: Lease::None,
                    changes: Vec::new(),
                    value,
                });
            }
            let mut decided = step(state, input.clone(), flight, limits, stamp);
            let rows = std::mem::take(&mut decided.rows);
            let lease = match (claims, decided.rest) {
                (true, _) => Lease::Claim { owner: node.clone() },
                (false, true) => Lease::Release { epoch },
                // What is begun is begun under a lease that the store knows of.
                (false, false) if rows.is_empty() && decided.actions.is_empty() => Lease::None,
                (false, false) => Lease::Hold { epoch },
            };
            Ok(Write { rows, lease, changes: changes.clone(), value: decided })
        };
        let (decided, appended) = self.brain.sessions.write(&self.live, decide).await.map_err(of_store)?;
        if claims {
            self.epoch = appended.epoch;
            if decided.rest && appended.epoch > 0 {
                self.release().await?;
            }
        }
        Ok(decided)
    }

    /// The bounds of this session's turns, which depend on its model.
    fn limits(&self) -> Limits {
        let route = self.brain.routes.find(&self.live.record().agent.definition.model.id);
        let turn = self.brain.options.turn;
        Limits {
            rounds: turn.rounds,
            attempts: turn.attempts,
            compactions: turn.compactions,
            window: route.and_then(|route| route.policy.window()),
            is_priced: route.is_some_and(|route| route.price.is_some()),
        }
    }

    /// The work has stopped half way. Says whether it must be taken up again here: while the lease is ours, nobody else comes.
    async fn gives_up(&mut self, error: Error) -> bool {
        let session = self.live.id;
        let is_fenced = matches!(error, Error::Fenced { .. } | Error::NotFound);
        if !is_fenced {
            tracing::error!(%session, %error, "the session's work stopped");
        }
        if self.epoch == 0 {
            // A claim whose answer was lost may have succeeded.
            return !is_fenced;
        }
        !matches!(self.release().await, Err(Error::Fenced { .. } | Error::NotFound))
    }

    async fn release(&mut self) -> store::Result<()> {
        self.touch(Lease::Release { epoch: self.epoch }).await
    }

    /// Makes sure that the lease is still ours, by the store's word.
    async fn hold(&mut self) -> store::Result<()> {
        self.ready().await?;
        self.touch(Lease::Hold { epoch: self.epoch }).await
    }

    async fn touch(&mut self, lease: Lease) -> store::Result<()> {
        let decide = |_: &session::State, _: &mut dyn session::Stamp| {
            let (rows, changes, lease) = (Vec::new(), Vec::new(), lease.clone());
            Ok::<_, std::convert::Infallible>(Write { rows, lease, changes, value: () })
        };
        self.brain.sessions.write(&self.live, decide).await.map(|_| ()).map_err(of_store)
    }

    /// The next step, once something has ended or someone has rung. `None` when the node stops: a request that is under way
    /// may still end, as its answer would be lost, but tool calls go on without a brain.
    async fn listen(&mut self, bell: &Notify) -> store::Result<Option<Step>> {
        loop {
            let stops = self.brain.stop.is_cancelled();
            if stops && !self.flight.asking {
                return Ok(None);
            }
            let drain = self.brain.options.drain;
            let drained_by = stops.then(|| *self.drained_by.get_or_insert_with(|| Instant::now() + drain));
            let ended = tokio::select! {
                biased;
                () = self.brain.stop.cancelled(), if !stops => continue,
                () = until(drained_by) => return Ok(None),
                Some(ended) = self.under_way.next() => ended,
                () = bell.notified() => return self.step(Input::Arrived, false).await.map(Some),
            };
            if let Some(step) = self.ended(ended).await? {
                return Ok(Some(step));
            }
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn of_store(error: WriteError<std::convert::Infallible>) -> Error {
    match error {
        WriteError::Store(error) => error,
        WriteError::Refused(never) => match never {},
    }
}
