//! One session's loop: claim, step, append, act, listen, until there is nothing left to do.

mod actions;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use hands::Hand;
use serde_json::{Map, Value};
use session::{Flight, Input, Step, step};
use store::{Error, Lease};
use tokio::sync::Notify;
use wire::{EventId, SessionId};

use crate::brain::Inner;
use crate::live::{Live, Write, WriteError};

/// Works on the session until it rests, the lease is lost, or the node stops. Says whether it ended in an error of ours, and
/// must be taken up again.
pub(crate) async fn work(brain: &Arc<Inner>, session: SessionId, bell: &Notify) -> bool {
    let live = match brain.sessions.open(session).await {
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
        epoch: 0,
        flight: Flight::default(),
        under_way: FuturesUnordered::new(),
        hand: HandState::Unknown,
        waiting: Vec::new(),
    };
    match run.until_rest(bell).await {
        Ok(()) | Err(Error::Fenced { .. } | Error::NotFound) => false,
        // The lease stays ours, so nobody else will come.
        Err(error) => {
            tracing::error!(%session, %error, "the session's work stopped");
            true
        }
    }
}

/// How long a session that rests waits for its last calls to be ended.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) struct Run {
    brain: Arc<Inner>,
    live: Arc<Live>,
    epoch: u64,
    flight: Flight,
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    hand: HandState,
    /// Calls that wait for the sandbox to be up.
    waiting: Vec<Pending>,
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
    Provisioned(Result<Arc<dyn Hand>, String>),
    Adopted(Result<Arc<dyn Hand>, hands::Lost>),
    RetryDue,
    Collected,
    /// Nobody waits for it.
    Nothing,
}

impl Run {
    async fn until_rest(&mut self, bell: &Notify) -> store::Result<()> {
        let mut next = self.step(Input::Taken, true).await?;
        loop {
            for action in next.actions {
                self.act(action).await;
            }
            if next.rest {
                // Only calls that an interrupt ends can be left, and ending them is quick.
                let settled = async { while self.under_way.next().await.is_some() {} };
                let _ = tokio::time::timeout(SETTLE, settled).await;
                return Ok(());
            }
            next = match self.listen(bell).await? {
                Some(step) => step,
                None => return Ok(()),
            };
        }
    }

    /// Decides and appends. The first step of a run claims the lease with its rows.
    async fn step(&mut self, input: Input, claims: bool) -> store::Result<Step> {
        let (flight, limits, epoch) = (&self.flight, self.brain.options.turn, self.epoch);
        let node = &self.brain.options.node;
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
                (false, false) if rows.is_empty() => Lease::None,
                (false, false) => Lease::Hold { epoch },
            };
            Ok(Write { rows, lease, changes: Vec::new(), value: decided })
        };
        let (decided, appended) = self.brain.sessions.write(&self.live, decide).await.map_err(|error| match error {
            WriteError::Store(error) => error,
            WriteError::Refused(never) => match never {},
        })?;
        if claims {
            self.epoch = appended.epoch;
            if decided.rest && appended.epoch > 0 {
                self.release().await?;
            }
        }
        Ok(decided)
    }

    async fn release(&mut self) -> store::Result<()> {
        let epoch = self.epoch;
        let decide = |_: &session::State, _: &mut dyn session::Stamp| {
            Ok::<_, std::convert::Infallible>(Write {
                rows: Vec::new(),
                lease: Lease::Release { epoch },
                changes: Vec::new(),
                value: (),
            })
        };
        match self.brain.sessions.write(&self.live, decide).await {
            Ok(_) => Ok(()),
            Err(WriteError::Store(error)) => Err(error),
            Err(WriteError::Refused(never)) => match never {},
        }
    }

    /// The next step, once something has ended or someone has rung. `None` when the node stops.
    async fn listen(&mut self, bell: &Notify) -> store::Result<Option<Step>> {
        loop {
            let ended = tokio::select! {
                biased;
                () = self.brain.stop.cancelled() => return Ok(None),
                Some(ended) = self.under_way.next() => ended,
                () = bell.notified() => return self.step(Input::Arrived, false).await.map(Some),
            };
            if let Some(step) = self.ended(ended).await? {
                return Ok(Some(step));
            }
        }
    }
}
