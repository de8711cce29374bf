//! A play: one session, its clients, its brain and the model, acted out line by line.
//!
//! Every row that is written goes through its stored form and is folded, so that each test also tests that. After
//! every step of the brain it holds that the brain rests exactly when there is nothing to do, and else has something
//! under way.

use wire::content::Content;
use wire::event::{ClientEvent, FailureKind, StopDetails, Verdict};
use wire::read::Metadata;
use wire::{EventId, ThreadId, Timestamp, WorkId};

use super::reading::{describe, describe_action};
use super::words::{confirmation, custom_result, id, message, worker_result};
use crate::{
    Action, Answer, Change, Compaction, Cost, Failed, Flight, Input, Limits, Phase, Refusal, Row, Said, Spent, Stamp,
    State, Step, Stop, Thread, Tokens, admit, archive, create, create_self_hosted, step, update,
};

pub(super) const THREAD: ThreadId = ThreadId::from_bits(1);

pub(super) const WORK: WorkId = WorkId::from_bits(2);

pub(super) const LIMITS: Limits = Limits { rounds: 3, attempts: 3, compactions: 2, window: None, is_priced: true };

/// What one request of a play costs: two cents.
const COST: Cost = Cost(20_000_000_000);
/// What one request of a play holds: 21 tokens.
pub(super) const TOKENS: Tokens = Tokens { input: 10, output: 5, cache_read: 3, cache_write_5m: 2, cache_write_1h: 1 };

/// A millisecond passes with every id that is made.
pub(super) struct Ticks(pub(super) u64);

impl Stamp for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0).plus_millis(self.0)
    }

    fn event_id(&mut self) -> EventId {
        self.0 += 1;
        EventId::from_bits(u128::from(self.0))
    }
}

pub(super) struct Play {
    pub(super) state: State,
    pub(super) flight: Flight,
    /// Every row since the creation.
    pub(super) log: Vec<Row>,
    /// Whether a brain has the lease.
    pub(super) leased: bool,
    pub(super) limits: Limits,
    /// Of the next request that is answered.
    pub(super) tokens: Tokens,
    /// Of the next request that is answered; none if the model has no price.
    pub(super) cost: Option<Cost>,
    /// Beside the next request that is answered; or by the next one that fails, one of them.
    pub(super) spent: Vec<Spent>,
    /// Of the brain's last step.
    actions: Vec<Action>,
    /// How many rows [`Play::wrote`] has looked at.
    told: usize,
    stamp: Ticks,
}

impl Play {
    /// A session that rests. Its creation counts as told.
    pub(super) fn new() -> Self {
        Self::within(LIMITS)
    }

    pub(super) fn within(limits: Limits) -> Self {
        let mut play = Self::begins(Vec::new(), limits);
        play.skips();
        play
    }

    /// A session that rests and may cost this much at most, where a request costs two cents.
    pub(super) fn budgeted(cents: u64) -> Self {
        let mut play = Self::created(Cost::of_cents(cents), Vec::new(), LIMITS);
        play.skips();
        play
    }

    pub(super) fn begins(events: Vec<ClientEvent>, limits: Limits) -> Self {
        Self::created(None, events, limits)
    }

    pub(super) fn created(budget: Option<Cost>, events: Vec<ClientEvent>, limits: Limits) -> Self {
        let mut stamp = Ticks(0);
        let (state, log) = create("Agent", THREAD, budget, events, &mut stamp).unwrap();
        Self {
            state,
            flight: Flight::default(),
            log,
            leased: false,
            limits,
            tokens: TOKENS,
            cost: Some(COST),
            spent: Vec::new(),
            actions: Vec::new(),
            told: 0,
            stamp,
        }
    }

    /// A session whose first message the model has just been asked about. That much counts as told.
    pub(super) fn asking() -> Self {
        let mut play = Self::new();
        play.says("hi").hears().skips();
        play
    }

    /// The same of a session whose built-in calls are run by workers.
    pub(super) fn self_hosted() -> Self {
        let mut stamp = Ticks(0);
        let (state, log) = create_self_hosted("Agent", THREAD, None, WORK, Vec::new(), &mut stamp).unwrap();
        let mut play = Self { state, log, stamp, ..Self::new() };
        play.says("hi").hears().skips();
        play
    }

    pub(super) fn thread(&self) -> &Thread {
        &self.state.threads[&THREAD]
    }

    pub(super) fn now(&self) -> Timestamp {
        self.stamp.now()
    }

    // === Clients ===

    pub(super) fn tries(&mut self, events: Vec<ClientEvent>) -> Result<(), Refusal> {
        let rows = admit(&self.state, events, &mut self.stamp)?;
        self.take(rows);
        Ok(())
    }

    pub(super) fn sends(&mut self, events: Vec<ClientEvent>) -> &mut Self {
        self.tries(events).unwrap();
        self
    }

    pub(super) fn says(&mut self, text: &str) -> &mut Self {
        self.sends(vec![message(text)])
    }

    pub(super) fn interrupts(&mut self) -> &mut Self {
        self.sends(vec![ClientEvent::Interrupt { thread: None }])
    }

    pub(super) fn allows(&mut self, call: &str) -> &mut Self {
        self.sends(vec![confirmation(id(call), Verdict::Allow, None)])
    }

    pub(super) fn denies(&mut self, call: &str, message: Option<&str>) -> &mut Self {
        self.sends(vec![confirmation(id(call), Verdict::Deny, message)])
    }

    pub(super) fn returns(&mut self, call: &str) -> &mut Self {
        self.sends(vec![custom_result(id(call))])
    }

    /// A worker has run the call.
    pub(super) fn works(&mut self, call: &str) -> &mut Self {
        self.sends(vec![worker_result(id(call))])
    }

    /// Whatever is done to the session's work item.
    pub(super) fn work(&mut self, rows: impl FnOnce(&State, &mut dyn Stamp) -> Vec<Row>) -> &mut Self {
        let rows = rows(&self.state, &mut self.stamp);
        self.take(rows);
        self
    }

    pub(super) fn archives(&mut self) -> Result<(), Refusal> {
        let rows = archive(&self.state, &mut self.stamp)?;
        self.take(rows);
        Ok(())
    }

    pub(super) fn changes(&mut self, change: Change) -> Result<(), Refusal> {
        let rows = update(&self.state, change, &mut self.stamp)?;
        self.take(rows);
        Ok(())
    }

    pub(super) fn updates(&mut self, title: Option<Option<&str>>, metadata: Option<Metadata>) -> &mut Self {
        let title = title.map(|title| title.map(str::to_owned));
        self.changes(Change { title, metadata, ..Change::default() }).unwrap();
        self
    }

    /// The budget is set to so many cents, or removed.
    pub(super) fn allots(&mut self, cents: Option<u64>) -> Result<(), Refusal> {
        let budget = cents.map(|cents| Cost::of_cents(cents).unwrap());
        let is_unpriced = !self.limits.is_priced;
        self.changes(Change { budget: Some(budget), is_unpriced, ..Change::default() })
    }

    // === The brain, and what it hears ===

    /// The brain that has the lease is told of new rows; if none has it, one takes it.
    pub(super) fn hears(&mut self) -> &mut Self {
        if self.leased {
            return self.brain(Input::Arrived);
        }
        self.flight = Flight::default();
        self.brain(Input::Taken)
    }

    /// Whatever the brain had under way is lost with it, or goes on in the sandbox.
    pub(super) fn dies(&mut self) -> &mut Self {
        self.flight = Flight::default();
        self.leased = false;
        self
    }

    pub(super) fn answers(&mut self, said: impl Into<Vec<Said>>) -> &mut Self {
        self.stops(said, Stop::EndTurn)
    }

    pub(super) fn refuses(&mut self, said: impl Into<Vec<Said>>) -> &mut Self {
        let details = StopDetails::Refusal { category: Some("cyber".into()), explanation: None };
        self.stops(said, Stop::Refusal(details))
    }

    fn stops(&mut self, said: impl Into<Vec<Said>>, stop: Stop) -> &mut Self {
        // What comes too late leaves the request alone that is under way by now.
        if !matches!(self.thread().phase, Phase::Compacting(_)) {
            self.flight.asking = false;
        }
        let (tokens, cost, spent) = (self.tokens, self.cost, std::mem::take(&mut self.spent));
        let answer = Answer { said: said.into(), stop, tokens, cost, model: "model-1".into(), spent };
        self.brain(Input::Answered(answer))
    }

    /// The model has summed the conversation up.
    pub(super) fn compacts(&mut self) -> &mut Self {
        if !matches!(self.thread().phase, Phase::Asking(_)) {
            self.flight.asking = false;
        }
        let (tokens, cost) = (self.tokens, self.cost);
        let summary = "what was said so far".into();
        self.brain(Input::Compacted(Compaction { summary, model: "model-1".into(), tokens, cost }))
    }

    /// The model fails, and may be asked again in a second.
    pub(super) fn fails(&mut self) -> &mut Self {
        let retry_at = self.stamp.now().plus_millis(1_000);
        self.fails_until(Some(retry_at), false)
    }

    pub(super) fn fails_for_good(&mut self) -> &mut Self {
        self.fails_until(None, false)
    }

    /// The provider refuses the request for its length.
    pub(super) fn overflows(&mut self) -> &mut Self {
        self.fails_until(None, true)
    }

    fn fails_until(&mut self, retry_at: Option<Timestamp>, too_long: bool) -> &mut Self {
        self.flight.asking = false;
        let (kind, message) = (FailureKind::ModelOverloadedError, "The model is overloaded.".into());
        let spent = self.spent.pop();
        self.brain(Input::Failed(Failed { kind, message, retry_at, too_long, spent }))
    }

    pub(super) fn retries(&mut self) -> &mut Self {
        self.flight.backing = false;
        self.brain(Input::RetryDue)
    }

    pub(super) fn tool_ends(&mut self, call: &str) -> &mut Self {
        self.tool_ended(id(call), false)
    }

    pub(super) fn tool_fails(&mut self, call: &str) -> &mut Self {
        self.tool_ended(id(call), true)
    }

    pub(super) fn tool_ended(&mut self, call: EventId, is_error: bool) -> &mut Self {
        self.flight.calls.remove(&call);
        self.brain(Input::ToolEnded { call, content: vec![Content::text("output")], is_error })
    }

    pub(super) fn provisions(&mut self) -> &mut Self {
        self.brain(Input::Provisioned { address: "here".into(), lost: None })
    }

    pub(super) fn loses_hand(&mut self) -> &mut Self {
        self.loses_hand_with(&[])
    }

    /// Together with the calls in it.
    pub(super) fn loses_hand_with(&mut self, calls: &[&str]) -> &mut Self {
        let told: Vec<_> = calls.iter().map(|call| (id(call), "its outcome is unknown".into())).collect();
        for (call, _) in &told {
            self.flight.calls.remove(call);
        }
        self.brain(Input::HandLost { reason: "it is gone".into(), told })
    }

    pub(super) fn collects(&mut self) -> &mut Self {
        self.flight.collecting = false;
        self.brain(Input::Collected)
    }

    fn brain(&mut self, input: Input) -> &mut Self {
        let Step { rows, actions, rest } = step(&self.state, input, &self.flight, self.limits, &mut self.stamp);
        self.take(rows);
        for action in &actions {
            self.begin(action);
        }
        assert_eq!(rest, !self.state.is_runnable(), "a brain rests if and only if the session is not runnable");
        let Flight { asking, calls, backing, collecting } = &self.flight;
        let busy = *asking || !calls.is_empty() || *backing || *collecting;
        assert_eq!(busy, !rest, "a brain that goes on has something under way, and one that rests has not");
        self.leased = !rest;
        self.actions = actions;
        self
    }

    fn begin(&mut self, action: &Action) {
        let anew = match action {
            Action::Abort { .. } => {
                self.flight = Flight::default();
                true
            }
            Action::Run { call, .. } | Action::Recover { call, .. } => self.flight.calls.insert(*call),
            Action::Ask { .. } | Action::Compact { .. } => !std::mem::replace(&mut self.flight.asking, true),
            Action::Wait { .. } => !std::mem::replace(&mut self.flight.backing, true),
            Action::Collect { .. } => !std::mem::replace(&mut self.flight.collecting, true),
        };
        assert!(anew, "nothing is begun that is under way already: {action:?}");
    }

    fn take(&mut self, rows: Vec<Row>) {
        for row in rows {
            assert_eq!(row.position, self.state.head + 1, "positions are dense");
            let loaded = Row::load(&row.store(), |of| self.state.waiting(of)).unwrap();
            assert_eq!(loaded, row, "a row is read as it was written");
            self.state.fold(&loaded);
            self.log.push(row);
        }
    }

    /// The state, read from the stored log by someone who has seen none of it.
    pub(super) fn refolded(&self) -> State {
        self.folded(self.log.len())
    }

    /// The state, read from a snapshot after so many rows, and from the stored log after that.
    pub(super) fn resumed(&self, rows: usize) -> State {
        let snapshot = serde_json::to_string(&self.folded(rows)).unwrap();
        let mut state = serde_json::from_str(&snapshot).unwrap();
        fold(&mut state, &self.log[rows..]);
        state
    }

    fn folded(&self, rows: usize) -> State {
        let first = Row::load(&self.log[0].store(), |_| None).unwrap();
        let mut state = State::begin(&first).unwrap();
        fold(&mut state, &self.log[1..rows]);
        state
    }

    // === What was to be seen ===

    /// What was written so far counts as told.
    pub(super) fn skips(&mut self) -> &mut Self {
        self.told = self.log.len();
        self
    }

    /// The rows since the last time this was asked.
    #[track_caller]
    pub(super) fn wrote(&mut self, expected: &[&str]) -> &mut Self {
        let rows: Vec<String> = self.log[self.told..].iter().map(describe).collect();
        self.told = self.log.len();
        assert_eq!(rows, expected, "the rows");
        self
    }

    /// The actions of the brain's last step.
    #[track_caller]
    pub(super) fn does(&mut self, expected: &[&str]) -> &mut Self {
        let actions: Vec<String> = self.actions.iter().map(describe_action).collect();
        assert_eq!(actions, expected, "the actions");
        self
    }

    #[track_caller]
    pub(super) fn rests(&mut self) -> &mut Self {
        assert!(!self.leased, "the brain has nothing left to do");
        self
    }
}

fn fold(state: &mut State, rows: &[Row]) {
    for row in rows {
        let row = Row::load(&row.store(), |of| state.waiting(of)).unwrap();
        state.fold(&row);
    }
}
