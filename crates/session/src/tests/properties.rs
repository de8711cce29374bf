//! Whatever happens, in whatever order, the log stays sound.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use wire::EventId;
use wire::event::{ClientEvent, Event, StopReason, Verdict};
use wire::session::Status;

use super::play::Play;
use super::words::{asks, bash, confirmation, custom, custom_result, denied, id, message, text, unknown};
use crate::{Entry, Phase, Said};

/// What happens next.
#[derive(Debug, Clone)]
enum Line {
    /// A client sends these in one request.
    Sends(Vec<Word>),
    Archives,
    Updates,
    Hears,
    Answers(Vec<Block>),
    Refuses(Vec<Block>),
    Fails {
        for_good: bool,
    },
    ToolEnds {
        call: usize,
        is_error: bool,
    },
    Provisions,
    LosesHand,
    Retries,
    Collects,
    Dies,
}

/// What a client says. A call is one of those that are open, or else an earlier one.
#[derive(Debug, Clone, Copy)]
enum Word {
    Says,
    Interrupts,
    Confirms { call: usize, allow: bool },
    Returns { call: usize },
}

/// What a model says.
#[derive(Debug, Clone, Copy)]
enum Block {
    Text,
    Bash,
    Asks,
    Denied,
    Unknown,
    Custom,
}

fn script() -> impl Strategy<Value = Vec<Line>> {
    let word = prop_oneof![
        4 => Just(Word::Says),
        4 => (0..4_usize, any::<bool>()).prop_map(|(call, allow)| Word::Confirms { call, allow }),
        3 => (0..4_usize).prop_map(|call| Word::Returns { call }),
        2 => Just(Word::Interrupts),
    ];
    let all = [Block::Text, Block::Bash, Block::Asks, Block::Denied, Block::Unknown, Block::Custom];
    let blocks = || vec(select(all.to_vec()), 0..4);
    let line = prop_oneof![
        9 => vec(word, 1..4).prop_map(Line::Sends),
        9 => blocks().prop_map(Line::Answers),
        8 => (0..4_usize, any::<bool>()).prop_map(|(call, is_error)| Line::ToolEnds { call, is_error }),
        6 => Just(Line::Hears),
        3 => any::<bool>().prop_map(|for_good| Line::Fails { for_good }),
        3 => Just(Line::Retries),
        3 => Just(Line::Collects),
        2 => blocks().prop_map(Line::Refuses),
        2 => Just(Line::Provisions),
        2 => Just(Line::Dies),
        1 => Just(Line::LosesHand),
        1 => Just(Line::Updates),
        1 => Just(Line::Archives),
    ];
    vec(line, 1..80)
}

/// How many results each call has, in the order of the calls.
fn results(play: &Play) -> Vec<(EventId, usize)> {
    let mut calls = Vec::new();
    let mut counts: BTreeMap<EventId, usize> = BTreeMap::new();
    for row in &play.log {
        let Entry::Event { event, .. } = &row.entry else { continue };
        match &**event {
            Event::AgentToolUse { .. } | Event::AgentCustomToolUse { .. } => calls.push(row.id),
            Event::AgentToolResult { tool_use_id: of, .. }
            | Event::UserCustomToolResult { custom_tool_use_id: of, .. } => *counts.entry(*of).or_default() += 1,
            _ => {}
        }
    }
    calls.into_iter().map(|call| (call, counts.remove(&call).unwrap_or(0))).collect()
}

fn find(play: &Play, call: usize) -> EventId {
    let open = play.thread().calls.iter().map(|call| call.id);
    let earlier = results(play).into_iter().rev().map(|(call, _)| call);
    open.chain(earlier).nth(call).unwrap_or(id("nobody's"))
}

fn event(play: &Play, word: Word) -> ClientEvent {
    match word {
        Word::Says => message("hi"),
        Word::Interrupts => ClientEvent::Interrupt { thread: None },
        Word::Confirms { call, allow } => {
            let verdict = if allow { Verdict::Allow } else { Verdict::Deny };
            confirmation(find(play, call), verdict, None)
        }
        Word::Returns { call } => custom_result(find(play, call)),
    }
}

fn said(play: &Play, blocks: &[Block]) -> Vec<Said> {
    let numbered = blocks.iter().enumerate().map(|(index, block)| {
        // The log grows with every answer that is taken, so that no two calls have one label.
        let label = format!("{}.{index}", play.log.len());
        match block {
            Block::Text => text(&label),
            Block::Bash => bash(&label),
            Block::Asks => asks(&label),
            Block::Denied => denied(&label),
            Block::Unknown => unknown(&label),
            Block::Custom => custom(&label),
        }
    });
    numbered.collect()
}

/// What a client sends may be refused; that is as well.
fn client(play: &mut Play, words: &[Word]) {
    let ended = play.state.status == Status::Terminated;
    let events = words.iter().map(|word| event(play, *word)).collect();
    match play.tries(events) {
        Ok(()) => assert!(!ended, "an archived session takes nothing"),
        Err(refusal) => assert_eq!(refusal.ended, ended, "{refusal}"),
    }
}

/// What only a brain hears is heard by none if none has the lease. What comes too late for it, it hears all the same.
fn brain(play: &mut Play, line: &Line) {
    if !play.leased {
        return;
    }
    match line {
        Line::Answers(blocks) => {
            let said = said(play, blocks);
            play.answers(said)
        }
        Line::Refuses(blocks) => {
            let said = said(play, blocks);
            play.refuses(said)
        }
        Line::Fails { for_good: true } => play.fails_for_good(),
        Line::Fails { for_good: false } => play.fails(),
        Line::ToolEnds { call, is_error } => {
            let ended = play.flight.calls.iter().nth(*call).copied();
            play.tool_ended(ended.unwrap_or(id("nobody's")), *is_error)
        }
        Line::Provisions => play.provisions(),
        Line::LosesHand => play.loses_hand(),
        Line::Retries => play.retries(),
        _ => play.collects(),
    };
}

fn act(play: &mut Play, line: &Line) {
    match line {
        Line::Sends(words) => client(play, words),
        Line::Archives => {
            let at_work = play.state.is_runnable();
            assert_eq!(play.archives().is_err(), at_work, "a session is archived unless it works");
        }
        Line::Updates => {
            play.updates(Some(Some("A title")), None);
        }
        Line::Hears => {
            play.hears();
        }
        Line::Dies => {
            play.dies();
        }
        _ => brain(play, line),
    }
}

fn check(play: &Play) {
    let thread = play.thread();
    let results = results(play);
    assert!(results.iter().all(|(_, count)| *count <= 1), "no call has two results");
    if thread.phase == Phase::Resting {
        assert!(results.iter().all(|(_, count)| *count == 1), "at rest every call has its result");
        assert!(thread.calls.is_empty(), "at rest no call is open");
        assert!(thread.inputs.is_empty() && thread.interrupts.is_empty(), "no input is slept over");
        assert!(!play.state.is_runnable(), "a session at rest does not run");
    }
    let mut before = "";
    let mut span = None;
    let mut asked = false;
    for row in &play.log {
        let Entry::Event { event, .. } = &row.entry else {
            asked |= matches!(&row.entry, Entry::Processed { event, .. } if event.kind() == "user.message");
            before = "";
            continue;
        };
        match &**event {
            Event::SessionStatusIdle { .. } => assert_eq!(before, "session.usage", "usage is told right before idle"),
            Event::SpanModelRequestStart {} => {
                assert_eq!(span, None, "one request at a time");
                assert!(asked, "no turn begins without a message");
                span = Some(row.id);
            }
            Event::ThreadStatusIdle { stop_reason, .. } => {
                asked &= matches!(stop_reason, StopReason::RequiresAction { .. });
            }
            Event::SpanModelRequestEnd { model_request_start_id, .. } => {
                assert_eq!(span, Some(*model_request_start_id), "a request ends once");
                span = None;
            }
            _ => {}
        }
        before = event.kind();
    }
    let asking = match thread.phase {
        Phase::Asking(span) => Some(span),
        _ => None,
    };
    assert_eq!(span, asking, "the open request is the one that the state knows of");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_stays_sound(lines in script()) {
        let mut play = Play::new();
        for line in &lines {
            act(&mut play, line);
            check(&play);
        }
        assert_eq!(play.refolded(), play.state, "the log alone makes the state");
    }
}
