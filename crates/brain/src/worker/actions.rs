//! What a step asks for, done; and what is done, told to the next step.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::FuturesUnordered;
use hands::{Found, Hand, Lost, Outcome};
use serde_json::{Map, Value};
use session::{Action, Flight, Input, Step};
use tools::{is_repeatable, words};
use wire::content::Content;
use wire::{EventId, Timestamp};

use super::{Ended, HandState, Pending, Run};
use crate::collect::collect;
use crate::hands_of::{self, Left, Made};
use crate::retry::MOST_ASKED;

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
        let (brain, live, epoch) = (self.brain.clone(), self.live.clone(), self.epoch);
        match self.address().await {
            Some(address) => {
                self.hand = HandState::Starting;
                let adopt = async move { Ended::Adopted(brain.hands.adopt(live.id, &address, epoch).await) };
                self.under_way.push(adopt.boxed());
            }
            None => {
                // Calls are begun only in a sandbox that the log names.
                self.waiting.iter_mut().for_each(|pending| pending.recover = false);
                self.provision(None, None);
            }
        }
    }

    /// Has a sandbox made, perhaps in place of one that was lost, or of what is left of one that was put away.
    fn provision(&mut self, lost: Option<String>, left: Option<Left>) {
        self.hand = HandState::Starting;
        let (brain, live, epoch) = (self.brain.clone(), self.live.clone(), self.epoch);
        let provision = async move {
            let is_restored = left.is_some();
            Ended::Provisioned { made: brain.hands.provision(&live, epoch, left).await, lost, is_restored }
        };
        self.under_way.push(provision.boxed());
    }

    /// The sandbox that the log names.
    fn address(&self) -> impl Future<Output = Option<Arc<str>>> + Send + use<> {
        let (brain, live) = (self.brain.clone(), self.live.clone());
        async move { brain.sessions.state(&live, |state| state.hand.clone()).await }
    }

    fn start(&mut self, hand: Arc<dyn Hand>, pending: Pending) {
        let Pending { call, name, input, recover } = pending;
        self.started.insert(call, name.clone());
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
        self.started.clear();
        if let HandState::Starting = self.hand {
            // A sandbox that was on its way is not in the log, and is made anew when needed.
            self.hand = HandState::Unknown;
        }
        let hand = match &self.hand {
            HandState::Up(hand) => Some(hand.clone()),
            _ => None,
        };
        let (brain, live, epoch) = (self.brain.clone(), self.live.clone(), self.epoch);
        let address = self.address().await;
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
        let address = self.address().await;
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
            // It has been told of already, when its sandbox was lost.
            Ended::Tool { call, .. } if !self.flight.calls.contains(&call) => return Ok(None),
            Ended::Tool { call, outcome: Ok(outcome), name } => {
                self.flight.calls.remove(&call);
                self.started.remove(&call);
                let (mut content, is_error) = hands_of::content(outcome);
                if name == "bash" && std::mem::take(&mut self.is_restored) {
                    content.push(Content::Text { text: words::RESTORED.into() });
                }
                Input::ToolEnded { call, content, is_error }
            }
            Ended::Tool { call, outcome: Err(Lost::Refused(message)), name } => {
                self.started.remove(&call);
                self.tell(call, name, Outcome::error(message));
                return Ok(None);
            }
            Ended::Tool { outcome: Err(lost), .. } => return self.lose(&lost).await.map(Some),
            Ended::Provisioned { made: Ok(Made { hand, mounts }), lost, is_restored } => {
                let earlier = self.address().await.filter(|_| is_restored);
                self.is_restored |= is_restored;
                // The log names the sandbox before anything runs in it: a later brain must find it.
                let address =
                    serde_json::to_string(hand.address()).map_err(|error| store::Error::Failed(error.to_string()))?;
                let step = self.step(Input::Provisioned { address, lost }, false).await?;
                if let Err(error) = self.brain.hands.catch_up(self.live.id, hand.address(), &mounts).await {
                    tracing::warn!(session = %self.live.id, error, "input files that changed meanwhile were not brought");
                }
                if let Some(earlier) = earlier {
                    self.brain.hands.forget_left(self.live.id, &earlier).await;
                }
                self.ready().await?;
                self.up(hand);
                return Ok(Some(step));
            }
            Ended::Provisioned { made: Err(reason), .. } => {
                self.none_to_be_had(&reason);
                return Ok(None);
            }
            Ended::Adopted(Ok(hand)) => {
                // It may have taken long to be reached, and what waits for it starts now.
                self.hold().await?;
                self.up(hand);
                return Ok(None);
            }
            Ended::Adopted(Err(Lost::Refused(reason))) => {
                self.none_to_be_had(&reason);
                return Ok(None);
            }
            Ended::Adopted(Err(lost)) => return self.replace(lost).await,
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
        for Pending { call, name, recover, .. } in std::mem::take(&mut self.waiting) {
            let words = if recover && !is_repeatable(&name) {
                words::UNKNOWN.to_owned()
            } else {
                format!("No sandbox could be started for this call: {reason}")
            };
            self.tell(call, name, Outcome::error(words));
        }
    }

    /// The sandbox of the log was put away, or is gone. One that is made in its place on this node has its journal, and so knows which calls
    /// were begun in the old one and how they ended.
    async fn replace(&mut self, lost: Lost) -> store::Result<Option<Step>> {
        let address = self.address().await;
        if let (Lost::Gone(_), Some(address)) = (&lost, &address) {
            match self.brain.hands.left(self.live.id, address).await {
                Ok(Some(left)) => {
                    self.provision(None, Some(left));
                    return Ok(None);
                }
                Ok(None) => {}
                Err(reason) => {
                    self.none_to_be_had(&reason);
                    return Ok(None);
                }
            }
        }
        let is_asked = self.waiting.iter().any(|pending| pending.recover);
        if let (Lost::Gone(_), Some(address), true) = (&lost, address, is_asked)
            && self.brain.hands.has_journal(self.live.id, &address).await
        {
            self.provision(Some(lost.to_string()), None);
            return Ok(None);
        }
        self.lose(&lost).await.map(Some)
    }

    /// The sandbox of the log is gone, and with it whatever is known of the calls in it.
    async fn lose(&mut self, lost: &Lost) -> store::Result<Step> {
        if let Lost::Fenced(epoch) = lost {
            let head = self.brain.sessions.store.head(self.live.id).await?;
            if head.epoch != self.epoch {
                return Err(store::Error::Fenced { epoch: *epoch });
            }
            // Its epochs are not those of this log, which must be an older copy: nobody will ever have it again.
        }
        let reason = match lost {
            Lost::Gone(reason) => reason.clone(),
            other => other.to_string(),
        };
        let (recovered, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition::<Vec<_>, _>(|one| one.recover);
        self.waiting = waiting;
        self.started.extend(recovered.into_iter().map(|pending| (pending.call, pending.name)));
        let told =
            std::mem::take(&mut self.started).into_iter().map(|(call, name)| (call, words::lost(&name, &reason)));
        let told: Vec<_> = told.collect();
        for (call, _) in &told {
            self.flight.calls.remove(call);
        }
        self.hand = HandState::Unknown;
        let changes = match self.address().await {
            Some(address) => self.brain.hands.forget(self.live.id, &address),
            None => Vec::new(),
        };
        let step = self.step_with(Input::HandLost { reason, told }, false, changes).await?;
        if !self.waiting.is_empty() && !step.rest {
            self.raise().await;
        }
        Ok(step)
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
        Found::Unknown if is_repeatable(&name) => Ok(Outcome::error(words::RESTARTED)),
        Found::Unknown => Ok(Outcome::error(words::UNKNOWN)),
    }
}
