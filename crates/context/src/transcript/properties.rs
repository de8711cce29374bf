//! Whatever the log holds, what the model is shown of it is a conversation that providers take.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Block, Message, Role};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use session::{Entry, Note, Row};
use wire::event::Event;

use super::CLEARED;
use crate::testing::{bash, compacted_but, instruction, note, result, says, transcript, user};

/// What happens next, if it can happen then.
#[derive(Debug, Clone)]
enum Line {
    Says,
    Instructs,
    Answers { speaks: bool, calls: usize },
    Returns { call: usize },
    LosesHand,
    Clears { back: u64 },
    Compacts { keeps: bool },
}

fn script() -> impl Strategy<Value = Vec<Line>> {
    let line = prop_oneof![
        4 => Just(Line::Says),
        2 => Just(Line::Instructs),
        8 => (any::<bool>(), 0..4_usize).prop_map(|(speaks, calls)| Line::Answers { speaks, calls }),
        8 => (0..4_usize).prop_map(|call| Line::Returns { call }),
        1 => Just(Line::LosesHand),
        2 => (0..12_u64).prop_map(|back| Line::Clears { back }),
        2 => any::<bool>().prop_map(|keeps| Line::Compacts { keeps }),
    ];
    vec(line, 1..80)
}

#[derive(Default)]
struct Log {
    rows: Vec<Row>,
    /// The calls without a result.
    open: Vec<u64>,
    /// Whether there is something to answer.
    heard: bool,
    /// Where the newest answer begins, if it came after the last compaction.
    answer: Option<u64>,
    /// The system messages, with their positions.
    instructed: Vec<(u64, String)>,
    /// Where the model's view begins.
    view_from: u64,
}

impl Log {
    /// The log of these lines, ended so that the model is to be asked next.
    fn of(lines: &[Line]) -> Self {
        let mut log = Self::default();
        lines.iter().for_each(|line| log.play(line));
        while !log.open.is_empty() {
            log.play(&Line::Returns { call: 0 });
        }
        log.play(&Line::Says);
        log
    }

    fn at(&self) -> u64 {
        self.rows.len() as u64 + 1
    }

    fn play(&mut self, line: &Line) {
        let at = self.at();
        let is_due = self.heard && self.open.is_empty();
        match line {
            Line::Says => {
                self.rows.push(user(at, &format!("said {at}")));
                self.heard = true;
            }
            Line::Instructs => {
                let text = format!("instructed {at}");
                self.rows.push(instruction(at, &text));
                self.instructed.push((at, text));
            }
            Line::Answers { speaks, calls } if is_due => self.answer(*speaks || *calls == 0, *calls),
            Line::Returns { call } if !self.open.is_empty() => {
                let of = self.open.remove(call % self.open.len());
                self.rows.push(result(at, of, &format!("returned {at}")));
                self.heard = true;
            }
            Line::LosesHand => self.rows.push(note(at, Note::HandLost { reason: "gone".into() })),
            Line::Clears { back } => {
                self.rows.push(note(at, Note::Cleared { before: at.saturating_sub(*back) }));
            }
            Line::Compacts { keeps } if is_due => {
                let kept = self.answer.take().filter(|_| *keeps);
                self.compact(kept);
            }
            Line::Answers { .. } | Line::Returns { .. } | Line::Compacts { .. } => {}
        }
    }

    /// Keeps what came since the answer that begins there, and its calls.
    fn compact(&mut self, kept: Option<u64>) {
        let at = self.at();
        let before = kept.unwrap_or(at);
        let system = self.instructed.iter().filter(|(at, _)| *at < before).map(|(_, text)| text.clone());
        let system: Vec<_> = system.collect();
        self.rows.push(compacted_but(at, &format!("summed up {at}"), &system, kept.is_some()));
        self.view_from = before;
    }

    fn answer(&mut self, speaks: bool, calls: usize) {
        self.answer = Some(self.at());
        if speaks {
            self.rows.push(says(self.at(), "so"));
        }
        for _ in 0..calls {
            let at = self.at();
            self.rows.push(bash(at, &format!("toolu_{at}")));
            self.open.push(at);
        }
        self.heard = false;
    }

    /// The rows since the last compaction, with it and with what it has kept.
    fn recent(&self) -> &[Row] {
        let first = self.rows.partition_point(|row| row.position < self.view_from);
        &self.rows[first..]
    }
}

fn shown(rows: &[Row]) -> Vec<String> {
    transcript(rows).messages().iter().map(|message| format!("{message:?}")).collect()
}

/// The id of the use whose result this is.
fn answered(block: &Block) -> Option<&str> {
    match block {
        Block::ToolResult { tool_use_id, .. } => Some(tool_use_id.as_str()),
        _ => None,
    }
}

/// What no provider may find otherwise.
fn check(messages: &[Arc<Message>]) {
    let mut before = None;
    let mut called: BTreeSet<&str> = BTreeSet::new();
    for message in messages {
        assert!(!message.content.is_empty(), "no message is empty");
        let follows = match message.role {
            Role::User => matches!(before, None | Some(Role::Assistant)),
            Role::System => before == Some(Role::User),
            Role::Assistant => matches!(before, Some(Role::User | Role::System)),
        };
        assert!(follows, "{:?} after {before:?}", message.role);
        before = Some(message.role);
        let first: Vec<&str> = message.content.iter().map_while(answered).collect();
        assert_eq!(first.len(), message.content.iter().filter_map(answered).count(), "results stand first");
        if message.role != Role::System {
            assert_eq!(first.len(), called.len(), "every use has one result, in the next message");
            assert!(first.iter().all(|id| called.remove(id)), "every result has a use in the message before");
        }
        called.extend(message.content.iter().filter_map(|block| match block {
            Block::ToolUse(call) => Some(call.id.as_str()),
            _ => None,
        }));
    }
    assert_eq!(before.map(|role| role == Role::Assistant), Some(false), "there is something to answer");
}

/// The texts of the results that are shown whole, and how many are not.
fn results(messages: &[Arc<Message>]) -> (Vec<String>, usize) {
    let blocks = messages.iter().flat_map(|message| &message.content);
    let returned = blocks.filter_map(|block| match block {
        Block::ToolResult { content, .. } => content.iter().find_map(|block| match block {
            Block::Text(text) => Some(text.clone()),
            _ => None,
        }),
        _ => None,
    });
    let (cleared, whole): (Vec<_>, Vec<_>) = returned.partition(|text| text == CLEARED);
    (whole, cleared.len())
}

/// The texts of the system messages, in order.
fn instructions(messages: &[Arc<Message>]) -> Vec<String> {
    let system = messages.iter().filter(|message| message.role == Role::System);
    let texts = system.flat_map(|message| &message.content).filter_map(|block| match block {
        Block::Text(text) => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_since_the_last_compaction_show_the_same_as_all(lines in script()) {
        let log = Log::of(&lines);
        assert_eq!(shown(log.recent()), shown(&log.rows));
    }

    #[test]
    fn providers_take_what_is_shown(lines in script()) {
        check(&transcript(&Log::of(&lines).rows).messages());
    }

    #[test]
    fn system_messages_hold_for_ever(lines in script()) {
        let log = Log::of(&lines);
        let instructed: Vec<_> = log.instructed.iter().map(|(_, text)| text.clone()).collect();
        assert_eq!(instructions(&transcript(&log.rows).messages()), instructed);
    }

    #[test]
    fn a_compaction_that_keeps_parts_the_conversation_in_two(lines in script()) {
        let mut log = Log::of(&lines);
        let before = transcript(&log.rows);
        if let Some(answer) = log.answer {
            log.compact(Some(answer));
            let after = transcript(&log.rows).messages();
            check(&after);
            let (gone, whole) = (before.answered(), before.messages());
            assert!(gone.iter().zip(&whole).all(|(one, other)| Arc::ptr_eq(one, other)), "what goes is the beginning");
            assert_eq!(results(&after), results(&whole[gone.len()..]), "no result of the rest is lost");
        }
    }

    #[test]
    fn the_results_below_the_highest_mark_are_cleared_and_no_others(lines in script()) {
        let log = Log::of(&lines);
        let marks = log.recent().iter().filter_map(|row| match row.entry {
            Entry::Note(Note::Cleared { before }) => Some(before),
            _ => None,
        });
        let mark = marks.max().unwrap_or(0);
        let returned = log.recent().iter().filter(|row| match &row.entry {
            Entry::Event { event, .. } => matches!(**event, Event::AgentToolResult { .. }),
            _ => false,
        });
        let (cleared, whole): (Vec<u64>, Vec<u64>) = returned.map(|row| row.position).partition(|at| *at < mark);
        let texts: Vec<_> = whole.iter().map(|at| format!("returned {at}")).collect();
        assert_eq!(results(&transcript(&log.rows).messages()), (texts, cleared.len()));
    }
}
