//! Turns of words alone.

use wire::event::Event;
use wire::session::{Status, Usage};

use super::play::Play;
use super::words::{text, thought};
use crate::{Entry, Phase, Said};

#[test]
fn a_message_is_answered() {
    let mut play = Play::new();
    play.says("hi").wrote(&["user.message waits", "session.status_running", "session.thread_status_running"]);
    play.hears().wrote(&["user.message processed", "span.model_request_start"]).does(&["ask"]);
    play.answers([text("hello")])
        .wrote(&[
            "agent.message",
            "span.model_request_end",
            "session.thread_status_idle end_turn",
            "session.usage",
            "session.status_idle end_turn",
        ])
        .does(&[])
        .rests();
    assert_eq!(play.thread().phase, Phase::Resting);
    assert_eq!((play.state.status, play.thread().status), (Status::Idle, Status::Idle));
}

#[test]
fn thinking_is_told_before_the_words() {
    let mut play = Play::asking();
    play.answers([thought(), text("hello")]).wrote(&[
        "agent.thinking",
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
}

#[test]
fn an_answer_without_words_ends_the_turn() {
    let nothing: [Said; 0] = [];
    Play::asking()
        .answers(nothing)
        .wrote(&[
            "span.model_request_end",
            "session.thread_status_idle end_turn",
            "session.usage",
            "session.status_idle end_turn",
        ])
        .rests();
}

#[test]
fn messages_that_come_before_the_request_are_answered_together() {
    let mut play = Play::new();
    play.says("one").says("two").wrote(&[
        "user.message waits",
        "session.status_running",
        "session.thread_status_running",
        "user.message waits",
    ]);
    play.hears()
        .wrote(&["user.message processed", "user.message processed", "span.model_request_start"])
        .does(&["ask"]);
}

#[test]
fn a_message_that_comes_while_the_model_answers_prolongs_the_turn() {
    let mut play = Play::asking();
    play.says("and another thing").hears().wrote(&["user.message waits"]).does(&[]);
    play.answers([text("hello")])
        .wrote(&["agent.message", "span.model_request_end", "user.message processed", "span.model_request_start"])
        .does(&["ask"]);
    play.answers([text("that too")])
        .wrote(&[
            "agent.message",
            "span.model_request_end",
            "session.thread_status_idle end_turn",
            "session.usage",
            "session.status_idle end_turn",
        ])
        .rests();
}

#[test]
fn a_second_turn_is_like_the_first() {
    let mut play = Play::asking();
    play.answers([text("hello")]).wrote(&[
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
    play.says("again").hears().answers([text("hello again")]).wrote(&[
        "user.message waits",
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
}

/// What the last `session.usage` says.
fn usage(play: &Play) -> Usage {
    let told = play.log.iter().rev().find_map(|row| match &row.entry {
        Entry::Event { event, .. } => match &**event {
            Event::SessionUsage { usage, .. } => Some(usage.clone()),
            _ => None,
        },
        _ => None,
    });
    told.unwrap()
}

#[test]
fn the_usage_counts_the_requests_that_were_answered() {
    let mut play = Play::asking();
    play.fails().retries().answers([text("hello")]).says("again").hears().answers([text("hello again")]);
    let usage = usage(&play);
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens), (20, 10, 6));
    assert_eq!(usage.cache_creation.ephemeral_5m_input_tokens, 4);
    assert_eq!(usage.cache_creation.ephemeral_1h_input_tokens, 2);
    assert_eq!(usage.list_cost.unwrap().amount, "4", "cents");
    assert_eq!(play.state.totals.requests, 2);
}

#[test]
fn a_session_is_active_only_while_it_runs() {
    let mut play = Play::new();
    let later = |play: &Play| play.now().plus_millis(5_000);
    assert_eq!(play.state.active_ms(later(&play)), 0, "it has never run");
    play.says("hi").hears();
    let (now, soon) = (play.state.active_ms(play.now()), play.state.active_ms(later(&play)));
    assert_eq!(soon, now + 5_000, "it runs");
    play.answers([text("hello")]);
    let rested = play.state.active_ms(play.now());
    assert!(rested > now, "it ran until the answer");
    assert_eq!(play.state.active_ms(later(&play)), rested, "it rests");
}
