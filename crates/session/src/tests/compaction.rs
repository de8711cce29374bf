//! Conversations that outgrow the model's window are summed up. A request holds 21 tokens unless it says otherwise.

use super::play::{LIMITS, Play, TOKENS};
use super::words::{asks, bash, custom, message, text, thought};
use crate::{Cost, Entry, Hidden, Limits, Phase, Said, Spent, Tokens, Window};

const WINDOW: Window = Window { compact_at: 100, clear_at: None, keep_results: 1 };
pub(super) const NARROW: Limits = Limits { window: Some(WINDOW), ..LIMITS };

/// A session whose first message the model has just been asked about. That much counts as told.
fn asking(limits: Limits) -> Play {
    let mut play = Play::within(limits);
    play.says("hi").hears().skips();
    play
}

/// The next requests hold this much.
pub(super) fn holds(play: &mut Play, held: u64) -> &mut Play {
    play.tokens = Tokens { input: held - 1, output: 1, ..Tokens::default() };
    play
}

/// A session that has its conversation summed up, because the last request held too much. That much counts as told.
fn compacting() -> Play {
    let mut play = asking(NARROW);
    holds(&mut play, 100).answers([bash("a")]).tool_ends("a").does(&["compact"]).skips();
    play.tokens = TOKENS;
    play
}

/// A session that has its conversation summed up before the first request of its second turn. That much counts as told.
fn beginning() -> Play {
    let mut play = asking(NARROW);
    holds(&mut play, 100).answers([text("hello")]).rests();
    play.says("again").hears().does(&["compact"]).skips();
    play.tokens = TOKENS;
    play
}

/// Of the last row of this kind.
pub(super) fn position(play: &Play, kind: &str) -> u64 {
    play.log.iter().rev().find(|row| row.store().kind == kind).unwrap().position
}

#[test]
fn a_conversation_that_fills_the_window_is_summed_up_before_the_next_request() {
    let mut play = asking(NARROW);
    holds(&mut play, 100).answers([bash("a")]).does(&["run a"]).skips();
    play.tool_ends("a").does(&["compact"]).wrote(&[
        "agent.tool_result a",
        "span.model_request_start",
        "context.compacting",
    ]);
    assert!(matches!(play.thread().phase, Phase::Compacting(_)));
    holds(&mut play, 90).compacts().does(&["ask"]).wrote(&[
        "agent.thread_context_compacted",
        "span.model_request_end",
        "span.model_request_start",
    ]);
    let thread = play.thread();
    assert_eq!((thread.context_tokens, thread.compactions, thread.rounds), (0, 1, 1));
    play.tokens = TOKENS;
    play.answers([text("there it is")]).rests();
    assert_eq!((play.thread().context_tokens, play.thread().compactions), (21, 0));
}

#[test]
fn a_conversation_that_just_fits_is_left_alone() {
    let mut play = asking(NARROW);
    holds(&mut play, 99).answers([bash("a")]).tool_ends("a").does(&["ask"]);
    assert_eq!(play.thread().context_tokens, 99);
}

#[test]
fn everything_that_a_request_held_counts() {
    let each = Tokens { input: 20, output: 20, cache_read: 20, cache_write_5m: 20, cache_write_1h: 20 };
    let mut play = asking(NARROW);
    play.tokens = each;
    play.answers([bash("a")]).tool_ends("a").does(&["compact"]);
}

#[test]
fn the_summary_is_kept_from_clients() {
    let mut play = compacting();
    play.compacts();
    let row = play.log.iter().find(|row| row.store().kind == "agent.thread_context_compacted").unwrap();
    assert_eq!(&*row.store().body, r#"{"type":"agent.thread_context_compacted"}"#);
    let Entry::Event { hidden: Some(Hidden::Compacted { summary, .. }), .. } = &row.entry else { panic!("{row:?}") };
    assert_eq!(summary, "what was said so far");
}

#[test]
fn a_summary_is_paid_for_like_an_answer() {
    let mut play = compacting();
    let before = play.state.totals;
    play.compacts();
    let after = play.state.totals;
    assert_eq!((after.requests, after.tokens.input), (before.requests + 1, before.tokens.input + 10));
    assert_eq!(after.cost, Cost(before.cost.0 + 20_000_000_000));
}

#[test]
fn messages_wait_until_the_conversation_is_summed_up() {
    let mut play = compacting();
    play.says("hurry").hears().wrote(&["user.message waits"]).does(&[]);
    play.compacts().does(&["ask"]).wrote(&[
        "agent.thread_context_compacted",
        "span.model_request_end",
        "user.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn the_next_turn_of_a_full_conversation_begins_with_a_summary() {
    let mut play = asking(NARROW);
    holds(&mut play, 100).answers([text("hello")]).rests().skips();
    play.says("again").hears().does(&["compact"]).wrote(&[
        "user.message waits",
        "session.status_running",
        "session.thread_status_running",
        "span.model_request_start",
        "context.compacting",
    ]);
    play.compacts().does(&["ask"]).skips();
    assert_eq!(play.thread().rounds, 0, "a summary is no answer");
}

#[test]
fn a_conversation_that_the_provider_refuses_for_its_length_is_summed_up() {
    let mut play = Play::asking();
    play.overflows().does(&["compact"]).wrote(&[
        "span.model_request_end error",
        "context.overflowed",
        "span.model_request_start",
        "context.compacting",
    ]);
    assert_eq!((play.thread().context_tokens, play.thread().attempts), (u64::MAX, 0), "it is no failure");
    play.compacts().does(&["ask"]).answers([text("hello")]).rests();
}

#[test]
fn summing_up_in_vain_ends_the_turn_and_the_next_message_starts_anew() {
    let mut play = Play::asking();
    play.overflows().compacts().overflows().compacts().does(&["ask"]).skips();
    play.overflows().does(&[]).rests().wrote(&[
        "span.model_request_end error",
        "context.overflowed",
        "session.error exhausted",
        "session.thread_status_idle retries_exhausted",
        "session.usage",
        "session.status_idle retries_exhausted",
    ]);
    let error = play.log.iter().rev().find(|row| row.store().kind == "session.error").unwrap().store().body;
    assert!(error.contains(r#""type":"compaction_limit_reached_error""#), "{error}");
    play.says("shorter, please").hears().does(&["compact"]);
    play.compacts().does(&["ask"]);
}

#[test]
fn where_nothing_may_be_summed_up_a_refusal_for_length_ends_the_turn() {
    let mut play = asking(Limits { compactions: 0, ..LIMITS });
    play.says("and this?").overflows().does(&[]).rests().wrote(&[
        "user.message waits",
        "span.model_request_end error",
        "context.overflowed",
        "session.error exhausted",
        "user.message processed",
        "session.thread_status_idle retries_exhausted",
        "session.usage",
        "session.status_idle retries_exhausted",
    ]);
}

#[test]
fn only_a_model_that_says_something_makes_earlier_summaries_forgotten() {
    let nothing: [Said; 0] = [];
    let mut play = Play::asking();
    play.overflows().compacts().says("well?").answers(nothing).does(&["ask"]);
    assert_eq!(play.thread().compactions, 1);
    play.says("well?").answers([thought()]).does(&["ask"]);
    assert_eq!(play.thread().compactions, 0);
    play.overflows().compacts().says("well?").answers([custom("w")]);
    assert_eq!(play.thread().compactions, 0);
}

#[test]
fn a_summary_that_fails_is_asked_for_again() {
    let mut play = compacting();
    play.fails().does(&["wait"]).wrote(&[
        "span.model_request_end error",
        "session.error retrying",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "model.retry_at",
    ]);
    play.retries().does(&["compact"]).wrote(&[
        "session.status_running",
        "session.thread_status_running",
        "span.model_request_start",
        "context.compacting",
    ]);
    play.fails().retries().does(&["compact"]).fails().does(&[]).rests();
}

#[test]
fn a_summary_that_cannot_be_had_ends_the_turn() {
    compacting().fails_for_good().does(&[]).rests().wrote(&[
        "span.model_request_end error",
        "session.error exhausted",
        "session.thread_status_idle retries_exhausted",
        "session.usage",
        "session.status_idle retries_exhausted",
    ]);
}

#[test]
fn a_request_for_a_summary_that_is_too_long_is_made_again_with_half_of_it() {
    let mut play = compacting();
    for halvings in 1..4 {
        play.overflows().does(&["compact"]).wrote(&[
            "span.model_request_end error",
            "context.halved",
            "span.model_request_start",
            "context.compacting",
        ]);
        assert_eq!((play.thread().halvings, play.thread().attempts), (halvings, 0), "it is no failure");
    }
    play.dies().hears().does(&["compact"]);
    assert_eq!(play.thread().halvings, 3, "another brain goes on from there");
    play.compacts().does(&["ask"]);
    assert_eq!((play.thread().halvings, play.thread().compactions), (0, 1));
}

#[test]
fn the_next_turn_tries_to_have_all_of_it_summed_up_again() {
    let mut play = compacting();
    play.overflows().fails_for_good().rests();
    assert_eq!(play.thread().halvings, 1);
    play.says("again").hears().does(&["compact"]);
    assert_eq!(play.thread().halvings, 0);
}

#[test]
fn what_a_summary_has_used_is_paid_for_though_there_is_none() {
    let mut play = compacting();
    let before = play.state.totals;
    play.spent = vec![Spent { model: "model-1".into(), tokens: TOKENS, cost: Cost::of_cents(2) }];
    play.fails().does(&["wait"]).wrote(&[
        "model.spent",
        "span.model_request_end error",
        "session.error retrying",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "model.retry_at",
    ]);
    let after = play.state.totals;
    assert_eq!((after.requests, after.tokens.input), (before.requests + 1, before.tokens.input + 10));
    assert_eq!(after.cost, Cost(before.cost.0 + 20_000_000_000));
}

#[test]
fn summaries_that_fail_use_the_budget_up() {
    let mut play = Play::created(Cost::of_cents(4), vec![message("hi")], NARROW);
    play.hears();
    holds(&mut play, 100).answers([bash("a")]).tool_ends("a").does(&["compact"]);
    play.spent = vec![Spent { model: "model-1".into(), tokens: TOKENS, cost: Cost::of_cents(2) }];
    play.fails().retries().does(&[]).rests();
    assert_eq!(play.thread().phase, Phase::Paused);
}

#[test]
fn a_summary_that_died_with_its_brain_is_asked_for_again() {
    let mut play = compacting();
    play.dies().hears().does(&["compact"]).wrote(&[
        "span.model_request_end error",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "session.status_running",
        "session.thread_status_running",
        "span.model_request_start",
        "context.compacting",
    ]);
}

#[test]
fn an_interrupt_ends_the_summing_up() {
    let mut play = compacting();
    play.interrupts().hears().does(&["abort"]).rests().wrote(&[
        "user.interrupt waits",
        "span.model_request_end error",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
    play.compacts().answers([text("too late")]).wrote(&[]).does(&[]).rests();
    play.says("again").hears().does(&["compact"]);
}

#[test]
fn an_interrupt_of_the_summing_up_starts_what_is_queued() {
    let mut play = compacting();
    play.says("rather this").interrupts().hears().does(&["abort", "compact"]).skips();
    play.compacts().does(&["ask"]).wrote(&[
        "agent.thread_context_compacted",
        "span.model_request_end",
        "user.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn an_interrupt_of_the_summing_up_ends_the_turn_that_it_was_for() {
    let mut play = beginning();
    play.says("rather this").interrupts().hears().does(&["abort", "compact"]).wrote(&[
        "user.message waits",
        "user.interrupt waits",
        "span.model_request_end error",
        "user.message processed",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
        "session.status_running",
        "session.thread_status_running",
        "span.model_request_start",
        "context.compacting",
    ]);
    assert_eq!(play.thread().inputs.len(), 1, "what came while it was under way is the next turn's");

    let mut play = beginning();
    play.interrupts().hears().does(&["abort"]).rests();
    assert!(play.thread().inputs.is_empty());
}

#[test]
fn an_interrupt_while_a_summary_is_waited_for_ends_the_turn_that_it_was_for() {
    let mut play = beginning();
    play.fails().does(&["wait"]).skips();
    play.interrupts().hears().does(&["abort"]).rests().wrote(&[
        "user.interrupt waits",
        "user.message processed",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
}

#[test]
fn a_summary_that_nobody_asked_for_changes_nothing() {
    let mut play = asking(NARROW);
    play.compacts().wrote(&[]).does(&[]);
    play.answers([asks("a")]).skips();
    play.compacts().wrote(&[]).does(&[]).rests();

    let mut play = compacting();
    play.answers([text("not asked for")]).wrote(&[]).does(&[]);
}

#[test]
fn a_session_at_its_cap_is_not_summed_up() {
    let mut play = Play::created(Cost::of_cents(2), vec![message("hi")], NARROW);
    play.hears();
    holds(&mut play, 100).answers([bash("a")]).tool_ends("a").does(&[]).rests();
    assert_eq!(play.thread().phase, Phase::Paused);
    play.allots(Some(4)).unwrap();
    play.hears().does(&["compact"]).skips();
    play.compacts().does(&[]).rests().wrote(&[
        "agent.thread_context_compacted",
        "span.model_request_end",
        "session.thread_status_idle budget_reached",
        "session.usage",
        "session.status_idle budget_reached",
    ]);
}

#[test]
fn a_full_conversation_without_a_window_is_left_to_the_provider() {
    let mut play = Play::asking();
    holds(&mut play, 1_000_000_000).answers([bash("a")]).tool_ends("a").does(&["ask"]);
}
