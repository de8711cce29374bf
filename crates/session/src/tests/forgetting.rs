//! Old tool results are forgotten before a conversation has to be summed up. A request holds 21 tokens unless it says
//! otherwise.

use super::compaction::{holds, position};
use super::play::{LIMITS, Play};
use super::words::{bash, custom, text};
use crate::{Entry, Limits, Note, Window};

/// A session whose first message the model has just been asked about. That much counts as told.
fn asking(clear_at: u64, keep_results: usize) -> Play {
    let window = Window { compact_at: 100, clear_at: Some(clear_at), keep_results };
    let mut play = Play::within(Limits { rounds: 1_000, window: Some(window), ..LIMITS });
    play.says("hi").hears().skips();
    play
}

/// A session whose calls `a` and `b` have results, of which the model has just been told. What it answers will hold 60
/// tokens.
fn called(clear_at: u64, keep_results: usize) -> Play {
    let mut play = asking(clear_at, keep_results);
    play.answers([bash("a"), bash("b")]).tool_ends("a").tool_ends("b").does(&["ask"]);
    holds(&mut play, 60);
    play
}

/// A session whose calls `a` and `b` have results, and whose model has seen them and calls `c`. It holds 60 tokens.
fn calling(clear_at: u64, keep_results: usize) -> Play {
    let mut play = called(clear_at, keep_results);
    play.answers([bash("c")]).skips();
    play
}

fn forgotten(play: &Play) -> Option<u64> {
    play.log.iter().rev().find_map(|row| match row.entry {
        Entry::Note(Note::Cleared { before }) => Some(before),
        _ => None,
    })
}

#[test]
fn old_tool_results_are_forgotten_before_the_next_request() {
    let mut play = calling(60, 1);
    play.tool_ends("c").does(&["ask"]).wrote(&["agent.tool_result c", "context.cleared", "span.model_request_start"]);
    let kept = position(&play, "agent.tool_result");
    assert_eq!(forgotten(&play), Some(kept), "all before the one that is kept");
    assert_eq!(play.thread().results, [kept]);
    assert_eq!(play.thread().context_tokens, 0, "how much is left is not known before the next answer");
}

#[test]
fn tool_results_are_kept_while_there_is_room_or_they_are_few() {
    for (clear_at, keep_results) in [(61, 0), (60, 2), (60, 3), (60, 4)] {
        let mut play = calling(clear_at, keep_results);
        play.tool_ends("c").does(&["ask"]).wrote(&["agent.tool_result c", "span.model_request_start"]);
        assert_eq!((play.thread().results.len(), forgotten(&play)), (3, None));
    }
}

#[test]
fn a_result_that_the_model_has_not_seen_is_never_forgotten() {
    for keep_results in [0, 1] {
        let mut play = calling(60, keep_results);
        play.tool_ends("c").does(&["ask"]).skips();
        assert_eq!(play.thread().results, [position(&play, "agent.tool_result")]);
    }
    let mut play = called(60, 1);
    play.answers([bash("c"), bash("d"), bash("e")]).tool_ends("c").tool_ends("d").skips();
    play.tool_ends("e").does(&["ask"]).wrote(&["agent.tool_result e", "context.cleared", "span.model_request_start"]);
    assert_eq!(play.thread().results.len(), 3, "c, d and e are new");
}

#[test]
fn what_is_forgotten_once_is_not_forgotten_again() {
    let mut play = calling(60, 1);
    play.tool_ends("c").does(&["ask"]).skips();
    play.fails().retries().does(&["ask"]).wrote(&[
        "span.model_request_end error",
        "session.error retrying",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "model.retry_at",
        "session.status_running",
        "session.thread_status_running",
        "span.model_request_start",
    ]);
}

#[test]
fn results_of_custom_tools_are_forgotten_too() {
    let mut play = asking(60, 0);
    play.answers([custom("w"), custom("v")]).returns("w").returns("v").hears().does(&["ask"]);
    holds(&mut play, 60).says("and?").answers([text("sunny")]).does(&["ask"]);
    assert_eq!(forgotten(&play), Some(play.thread().seen_to + 1));
    assert!(play.thread().results.is_empty());
}

#[test]
fn a_summary_comes_before_forgetting() {
    let mut play = calling(60, 0);
    play.tool_ends("c").does(&["ask"]);
    holds(&mut play, 100).answers([bash("d")]).skips();
    play.tool_ends("d").does(&["compact"]).wrote(&[
        "agent.tool_result d",
        "span.model_request_start",
        "context.compacting",
    ]);
    play.compacts().does(&["ask"]);
    assert_eq!(play.thread().results, [position(&play, "agent.tool_result")], "d is new, and c was summed up");
}

#[test]
fn over_a_long_run_of_calls_results_are_forgotten_many_at_once() {
    const CALLS: usize = 200;
    for keep_results in [0, 1, 8, 20] {
        let mut play = asking(60, keep_results);
        holds(&mut play, 60);
        for call in 0..CALLS {
            let label = call.to_string();
            play.answers([bash(&label)]).tool_ends(&label).does(&["ask"]);
        }
        let cleared = play.log.iter().filter(|row| matches!(row.entry, Entry::Note(Note::Cleared { .. }))).count();
        let most = CALLS / keep_results.max(2);
        assert!((most - 2..=most).contains(&cleared), "{cleared} times with {keep_results} kept");
    }
}
