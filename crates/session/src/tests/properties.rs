//! Whatever happens, in whatever order, the log stays sound.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use wire::EventId;
use wire::event::{ClientEvent, Event, Verdict};
use wire::session::Status;

use super::play::Play;
use super::words::{asks, bash, confirmation, custom, custom_result, denied, id, message, text, unknown};
use crate::{Entry, Phase, Said};

/// What happens next. Calls are counted back from the latest.
#[derive(Debug, Clone)]
enum Line {
    Says,
    Interrupts,
    Confirms { call: usize, allow: bool },
    Returns { call: usize },
    Archives,
    Updates,
    Hears,
    Answers(Vec<Block>),
    Refuses,
    Fails { for_good: bool },
    ToolEnds { call: usize, is_error: bool },
    Provisions,
    LosesHand,
    Retries,
    Collects,
    Dies,
}

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
    let blocks = vec![Block::Text, Block::Bash, Block::Asks, Block::Denied, Block::Unknown, Block::Custom];
    let line = prop_oneof![
        6 => Just(Line::Says),
        6 => Just(Line::Hears),
        9 => vec(select(blocks), 0..4).prop_map(Line::Answers),
        8 => (0..4_usize, any::<bool>()).prop_map(|(call, is_error)| Line::ToolEnds { call, is_error }),
        4 => (0..4_usize, any::<bool>()).prop_map(|(call, allow)| Line::Confirms { call, allow }),
        4 => (0..4_usize).prop_map(|call| Line::Returns { call }),
        3 => Just(Line::Interrupts),
        3 => any::<bool>().prop_map(|for_good| Line::Fails { for_good }),
        3 => Just(Line::Retries),
        3 => Just(Line::Collects),
        2 => Just(Line::Refuses),
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

fn call(play: &Play, back: usize) -> EventId {
    let calls = results(play);
    calls.iter().rev().nth(back).map_or(id("nobody's"), |(call, _)| *call)
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
fn client(play: &mut Play, event: ClientEvent) {
    let ended = play.state.status == Status::Terminated;
    match play.tries(vec![event]) {
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
        // Words only: the calls of a refusal are a case of their own.
        Line::Refuses => play.refuses([text("I will not")]),
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
        Line::Says => client(play, message("hi")),
        Line::Interrupts => client(play, ClientEvent::Interrupt { thread: None }),
        Line::Confirms { call: back, allow } => {
            let verdict = if *allow { Verdict::Allow } else { Verdict::Deny };
            let event = confirmation(call(play, *back), verdict, None);
            client(play, event);
        }
        Line::Returns { call: back } => {
            let event = custom_result(call(play, *back));
            client(play, event);
        }
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
    for row in &play.log {
        let Entry::Event { event, .. } = &row.entry else {
            before = "";
            continue;
        };
        match &**event {
            Event::SessionStatusIdle { .. } => assert_eq!(before, "session.usage", "usage is told right before idle"),
            Event::SpanModelRequestStart {} => {
                assert_eq!(span, None, "one request at a time");
                span = Some(row.id);
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
