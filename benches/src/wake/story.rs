//! A session's log as the core itself writes it: turns with tool calls, summed up now and then.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use session::{
    Action, Answer, Compaction, Flight, Input, Judged, Limits, Row, Said, Stamp, State, Stop, Stored, Summary, Tokens,
    Use, Window,
};
use store::{Rng, SystemRng};
use wire::content::Content;
use wire::event::{ClientEvent, Evaluation, Permission};
use wire::{EventId, Timestamp};

/// Rows between two compactions: about as many fill a window of 200,000 tokens.
const COMPACTED_EVERY: u64 = 2_000;

/// The first compaction comes sooner, so that a log of whole thousands ends halfway between two.
const FIRST_COMPACTION: u64 = 1_000;

/// Tool calls in one turn, and the rows that each of them and the turn around them bring.
const CALLS: u64 = 20;
const ROWS_OF_CALL: u64 = 5;
const ROWS_AROUND: u64 = 10;

/// What a row says it adds to the conversation: little enough that the server which wakes the session has nothing to
/// make shorter before it asks.
const TOKENS_PER_ROW: u64 = 40;

/// Bytes of a tool's result, and of a summary.
const RESULT: usize = 1_200;
const SUMMARY: usize = 4_000;

const MODEL: &str = "claude-bench";

const ASKED: &str = "The build is red again since the last change to the parser. Find out which of its tests fail and \
                     why, mend them one by one, and tell me what you have changed and what you have left as it was.";

const SAID: &str = "The test expects the old order of the two fields. I will look at where the order is decided before \
                    I change anything, since the same function is used by the printer, and then run both again.";

const COMMAND: &str = "cd /workspace && cargo test --package parser -- --nocapture 2>&1 | tail -40";

pub(crate) struct Story {
    state: State,
    stamp: Moment,
    /// Rows that have not been taken yet.
    rows: Vec<Stored>,
    /// When the conversation is next summed up.
    compacts_at: u64,
    /// Calls that this turn will still make.
    calls: u64,
}

/// All of it happens at once: when the session was created.
struct Moment(Timestamp);

impl Stamp for Moment {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn event_id(&mut self) -> EventId {
        EventId::from_bits(SystemRng.bits())
    }
}

impl Story {
    /// Goes on after the rows of a session that has just been created.
    pub(crate) fn after(stored: &[Stored]) -> Result<Self> {
        let (first, rest) = stored.split_first().context("the session has no rows")?;
        let first = Row::load(first, |_| None)?;
        let mut state = State::begin(&first).context("the log does not begin with the session's creation")?;
        for stored in rest {
            let row = Row::load(stored, |position| state.waiting(position))?;
            state.fold(&row);
        }
        let stamp = Moment(first.at);
        Ok(Self { state, stamp, rows: Vec::new(), compacts_at: FIRST_COMPACTION, calls: 0 })
    }

    pub(crate) fn head(&self) -> u64 {
        self.state.head
    }

    pub(crate) fn summary(&self) -> Summary {
        self.state.summary()
    }

    /// Plays whole turns until the log has so many rows at least, and hardly more. Returns the new ones.
    pub(crate) fn tell(&mut self, head: u64) -> Result<Vec<Stored>> {
        while self.head() < head {
            let room = (head - self.head()).saturating_sub(ROWS_AROUND);
            self.turn(room.div_ceil(ROWS_OF_CALL).min(CALLS))?;
        }
        Ok(std::mem::take(&mut self.rows))
    }

    fn turn(&mut self, calls: u64) -> Result<()> {
        let message = ClientEvent::Message { content: vec![Content::text(ASKED)] };
        let rows = session::admit(&self.state, vec![message], &mut self.stamp)?;
        self.take(rows);
        self.calls = calls;
        let mut next = Some(Input::Taken);
        while let Some(input) = next.take() {
            for action in self.step(input) {
                next = Some(self.outcome(action)?);
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input) -> Vec<Action> {
        let is_full = self.head() >= self.compacts_at;
        let compact_at = if is_full { 0 } else { u64::MAX };
        let window = Some(Window { compact_at, clear_at: None, keep_results: 8 });
        let limits = Limits { rounds: 200, attempts: 6, compactions: 3, window, is_priced: false };
        let step = session::step(&self.state, input, &Flight::default(), limits, &mut self.stamp);
        self.take(step.rows);
        step.actions
    }

    fn outcome(&mut self, action: Action) -> Result<Input> {
        Ok(match action {
            Action::Ask { .. } => Input::Answered(self.answer()),
            Action::Compact { .. } => {
                self.compacts_at += COMPACTED_EVERY;
                let (summary, model) = (prose(SUMMARY), MODEL.to_owned());
                Input::Compacted(Compaction { summary, model, tokens: self.tokens(), cost: None })
            }
            Action::Run { call, .. } => {
                Input::ToolEnded { call, content: vec![Content::text(prose(RESULT))], is_error: false }
            }
            other => bail!("the story has no {other:?}"),
        })
    }

    /// Says something and calls a tool, or ends the turn when it has made its calls.
    fn answer(&mut self) -> Answer {
        let mut said = vec![Said::Text { id: self.stamp.event_id(), text: SAID.to_owned() }];
        if let Some(left) = self.calls.checked_sub(1) {
            self.calls = left;
            let id = self.stamp.event_id();
            let input = Map::from_iter([("command".to_owned(), Value::from(COMMAND))]);
            let judged = Judged { permission: Permission::Allow, evaluation: Some(Evaluation::AlwaysAllow) };
            said.push(Said::Use(Use {
                id,
                provider_id: format!("toolu_{:032x}", id.bits()),
                name: "bash".to_owned(),
                input,
                judged: Some(judged),
                refusal: None,
            }));
        }
        let tokens = self.tokens();
        Answer { said, stop: Stop::EndTurn, tokens, cost: None, model: MODEL.to_owned(), spent: Vec::new() }
    }

    /// As if the provider had most of the conversation in its cache.
    fn tokens(&self) -> Tokens {
        let view_from = self.state.threads.get(&self.state.primary).map_or(0, |thread| thread.view_from);
        let cache_read = self.head().saturating_sub(view_from) * TOKENS_PER_ROW;
        Tokens { input: 3, output: 120, cache_read, cache_write_5m: 400, cache_write_1h: 0 }
    }

    fn take(&mut self, rows: Vec<Row>) {
        for row in rows {
            self.state.fold(&row);
            self.rows.push(row.store());
        }
    }
}

/// Lines that look like the output of a command.
fn prose(bytes: usize) -> String {
    const LINE: &str = "test parser::tables::keeps_the_order_of_fields_when_a_default_is_left_out ... ok\n";
    LINE.repeat(bytes.div_ceil(LINE.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::Visibility;
    use wire::ThreadId;

    struct Zero;

    impl Stamp for Zero {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }

        fn event_id(&mut self) -> EventId {
            EventId::from_bits(1)
        }
    }

    fn created() -> Vec<Stored> {
        let (_, rows) = session::create("Agent", ThreadId::from_bits(1), None, Vec::new(), &mut Zero).unwrap();
        rows.iter().map(Row::store).collect()
    }

    #[test]
    fn a_short_story_has_a_call_in_it() {
        let mut story = Story::after(&created()).unwrap();
        let rows = story.tell(20).unwrap();
        assert_eq!(story.head(), 21);
        assert!(rows.iter().any(|row| row.kind == "agent.tool_result"));
    }

    #[test]
    fn a_long_story_is_summed_up_as_often_as_it_fills_a_window() {
        let mut story = Story::after(&created()).unwrap();
        let rows = story.tell(10_000).unwrap();
        let compactions = rows.iter().filter(|row| row.kind == "agent.thread_context_compacted").count();
        assert_eq!(compactions, 5, "at 1,000 rows and every 2,000 after that");
        assert!(!story.state.is_runnable(), "the session rests");
        assert!((10_000..10_020).contains(&story.head()), "there are {} rows", story.head());
        let waiting = rows.iter().filter(|row| row.visibility == Visibility::Waiting).count();
        let processed = rows.iter().filter(|row| matches!(row.visibility, Visibility::Processes(_))).count();
        assert_eq!(waiting, processed, "no input is left");
    }
}
