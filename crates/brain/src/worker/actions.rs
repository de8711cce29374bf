//! What a step asks for, done; and what is done, told to the next step.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::FuturesUnordered;
use hands::{Found, Hand, Lost, Outcome};
use serde_json::{Map, Value};
use session::{Action, Flight, Input, Step};
use tools::is_repeatable;
use wire::{EventId, Timestamp};

use super::{Ended, HandState, Pending, Run};
use crate::collect::collect;
use crate::hands_of;
use crate::retry::MOST_ASKED;

/// What the model is told when nobody can know whether its call ran.
const UNKNOWN: &str = "The sandbox was lost while this call ran, so its outcome is unknown: it may have run wholly, in part, or not \
at all. Check before you repeat it.";

impl Run {
    pub(super) async fn act(&mut self, action: Action) -> store::Result<()> {
        match action {
            Action::Ask { thread } => self.ask(thread).await?,
            Action::Compact { thread } => self.compact(thread).await?,
            Action::Run { call, name, input, .. } => self.run(Pending { call, name, input, recover: false }).await,
            Action::Recover { call, name, input, .. } => self.run(Pending { call, name, input, recover: true }).await,
            Action::Abort { calls, .. } => self.abort(calls).await,
            Action::Wait { until, .. } => self.wait(until),
            Action::Collect { .. } => self.collect().await,
        }
        Ok(())
    }

    async fn run(&mut self, pending: Pending) {
        self.flight.calls.insert(pending.call);
        match &self.hand {
            HandState::Up(hand) => self.start(hand.clone(), pending),
            HandState::Starting => self.waiting.push(pending),
            HandState::Unknown => {
                self.waiting.push(pending);
                self.raise().await;
            }
        }
    }

    /// Reaches the sandbox that the log names, or makes one.
    async fn raise(&mut self) {
        self.hand = HandState::Starting;
        let (brain, live, epoch) = (self.brain.clone(), self.live.clone(), self.epoch);
        let address = brain.sessions.state(&live, |state| state.hand.clone()).await;
        self.under_way.push(match address {
            Some(address) => async move { Ended::Adopted(brain.hands.adopt(live.id, &address, epoch).await) }.boxed(),
            None => async move { Ended::Provisioned(brain.hands.provision(&live, epoch).await) }.boxed(),
        });
    }

    fn start(&mut self, hand: Arc<dyn Hand>, pending: Pending) {
        let Pending { call, name, input, recover } = pending;
        self.under_way.push(
            async move {
                let outcome = if recover {
                    recover_call(hand, call, name.clone(), input).await
                } else {
                    hands_of::execute(hand, call, name.clone(), input).await
                };
                Ended::Tool { call, outcome, name }
            }
            .boxed(),
        );
    }

    /// Drops whatever is under way. Calls inside the sandbox are ended by the sandbox; nobody waits for that.
    async fn abort(&mut self, calls: Vec<EventId>) {
        self.under_way = FuturesUnordered::new();
        self.flight = Flight::default();
        self.waiting.clear();
        if let HandState::Starting = self.hand {
            // A sandbox that was on its way is not in the log, and is made anew when needed.
            self.hand = HandState::Unknown;
        }
        let hand = match &self.hand {
            HandState::Up(hand) => Some(hand.clone()),
            _ => None,
        };
        let (brain, live, epoch) = (self.brain.clone(), self.live.clone(), self.epoch);
        let address = brain.sessions.state(&live, |state| state.hand.clone()).await;
        self.under_way.push(
            async move {
                let hand = match (hand, address) {
                    (Some(hand), _) => Some(hand),
                    (None, Some(address)) if !calls.is_empty() => {
                        brain.hands.adopt(live.id, &address, epoch).await.ok()
                    }
                    (None, _) => None,
                };
                // A hand that is gone has no calls to cancel.
                if let Some(hand) = hand {
                    for call in calls {
                        let _ = hand.cancel(&call.to_string()).await;
                    }
                }
                Ended::Nothing
            }
            .boxed(),
        );
    }

    fn wait(&mut self, until: Timestamp) {
        self.flight.backing = true;
        // By the clock of whoever failed, which may be wrong: no wait is longer than the longest that there is.
        let delay = Duration::from_millis(until.since(self.brain.sessions.clock.now())).min(MOST_ASKED);
        self.under_way.push(
            async move {
                tokio::time::sleep(delay).await;
                Ended::RetryDue
            }
            .boxed(),
        );
    }

    async fn collect(&mut self) {
        self.flight.collecting = true;
        let (brain, live, epoch) = (self.brain.clone(), self.live.clone(), self.epoch);
        let hand = match &self.hand {
            HandState::Up(hand) => Some(hand.clone()),
            _ => None,
        };
        let address = brain.sessions.state(&live, |state| state.hand.clone()).await;
        self.under_way.push(
            async move {
                let hand = match (hand, address) {
                    (Some(hand), _) => Ok(hand),
                    (None, Some(address)) => brain.hands.adopt(live.id, &address, epoch).await,
                    (None, None) => return Ended::Collected,
                };
                let collected = match hand {
                    Ok(hand) => collect(&brain.sessions, &live, hand).await,
                    Err(error) => Err(error.to_string()),
                };
                // The turn ends all the same: its files are still in the sandbox, and the next turn's end tries again.
                if let Err(error) = collected {
                    tracing::warn!(session = %live.id, error, "the session's outputs could not be collected");
                }
                Ended::Collected
            }
            .boxed(),
        );
    }

    /// Takes in what has ended. `None` if no step follows from it.
    pub(super) async fn ended(&mut self, ended: Ended) -> store::Result<Option<Step>> {
        let input = match ended {
            Ended::Nothing => return Ok(None),
            Ended::Asked(input) => {
                self.flight.asking = false;
                input
            }
            Ended::RetryDue => {
                self.flight.backing = false;
                Input::RetryDue
            }
            Ended::Collected => {
                self.flight.collecting = false;
                Input::Collected
            }
            Ended::Tool { call, outcome: Ok(outcome), .. } => {
                self.flight.calls.remove(&call);
                let (content, is_error) = hands_of::content(outcome);
                Input::ToolEnded { call, content, is_error }
            }
            Ended::Tool { call, outcome: Err(lost), name } => return self.call_lost(call, lost, name).await,
            Ended::Provisioned(Ok(hand)) => {
                // The log names the sandbox before anything runs in it: a later brain must find it.
                let address =
                    serde_json::to_string(hand.address()).map_err(|error| store::Error::Failed(error.to_string()))?;
                let step = self.step(Input::Provisioned { address }, false).await?;
                self.ready().await?;
                self.up(hand);
                return Ok(Some(step));
            }
            Ended::Provisioned(Err(reason)) => {
                self.none_to_be_had(&reason);
                return Ok(None);
            }
            Ended::Adopted(Ok(hand)) => {
                // It may have taken long to be reached, and what waits for it starts now.
                self.ready().await?;
                self.up(hand);
                return Ok(None);
            }
            Ended::Adopted(Err(Lost::Fenced(epoch))) => return Err(store::Error::Fenced { epoch }),
            Ended::Adopted(Err(Lost::Refused(reason))) => {
                self.none_to_be_had(&reason);
                return Ok(None);
            }
            Ended::Adopted(Err(lost)) => return self.replace(&lost).await.map(Some),
        };
        self.step(input, false).await.map(Some)
    }

    fn up(&mut self, hand: Arc<dyn Hand>) {
        self.hand = HandState::Up(hand.clone());
        for pending in std::mem::take(&mut self.waiting) {
            self.start(hand.clone(), pending);
        }
    }

    /// No sandbox: every call that waits for one fails, and the model is told why.
    fn none_to_be_had(&mut self, reason: &str) {
        tracing::error!(session = %self.live.id, reason, "no sandbox could be made");
        self.hand = HandState::Unknown;
        for Pending { call, name, .. } in std::mem::take(&mut self.waiting) {
            let outcome = Outcome::error(format!("No sandbox could be started for this call: {reason}"));
            self.tell(call, name, outcome);
        }
    }

    /// The sandbox of the log is gone. The next one has its journal, and so knows which calls were begun in the old one.
    async fn replace(&mut self, lost: &Lost) -> store::Result<Step> {
        let step = self.step(Input::HandLost { reason: lost.to_string() }, false).await?;
        self.hand = HandState::Unknown;
        if !self.waiting.is_empty() && !step.rest {
            self.raise().await;
        }
        Ok(step)
    }

    async fn call_lost(&mut self, call: EventId, lost: Lost, name: String) -> store::Result<Option<Step>> {
        match lost {
            Lost::Fenced(epoch) => Err(store::Error::Fenced { epoch }),
            Lost::Refused(message) => {
                self.tell(call, name, Outcome::error(message));
                Ok(None)
            }
            Lost::Gone(reason) => {
                let repeatable = is_repeatable(&name);
                let told = if repeatable {
                    format!("The sandbox was lost ({reason}). Please retry.")
                } else {
                    UNKNOWN.to_owned()
                };
                self.tell(call, name, Outcome::error(told));
                if !matches!(self.hand, HandState::Up(_)) {
                    return Ok(None);
                }
                self.hand = HandState::Unknown;
                self.step(Input::HandLost { reason }, false).await.map(Some)
            }
        }
    }

    /// An outcome that needs no hand.
    fn tell(&mut self, call: EventId, name: String, outcome: Outcome) {
        self.under_way.push(std::future::ready(Ended::Tool { call, outcome: Ok(outcome), name }).boxed());
    }
}

/// Finishes what another brain may have begun, without beginning anything twice.
async fn recover_call(
    hand: Arc<dyn Hand>,
    call: EventId,
    name: String,
    input: Arc<Map<String, Value>>,
) -> Result<Outcome, Lost> {
    match hands_of::found(&*hand, call).await? {
        Found::Finished { outcome } => Ok(outcome),
        // A call that runs is waited for: the hand does not run an id twice.
        Found::NeverReceived | Found::Running => hands_of::execute(hand, call, name, input).await,
        Found::Unknown if is_repeatable(&name) => {
            Ok(Outcome::error("The sandbox was restarted during this call. Please retry."))
        }
        Found::Unknown => Ok(Outcome::error(UNKNOWN)),
    }
}
