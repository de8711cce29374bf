//! System messages: what a client tells the model beside what it says. They go with the input before them.

use wire::event::ClientEvent;

use super::play::Play;
use super::words::{asks, bash, custom, custom_result, id, message, system, text};
use crate::Entry;

/// A session that waits for the results of `w` and `v`. That much counts as told.
fn waiting() -> Play {
    let mut play = Play::asking();
    play.answers([custom("w"), custom("v")]).rests().skips();
    play
}

#[test]
fn one_that_follows_a_message_is_taken_up_with_it() {
    let mut play = Play::new();
    play.sends(vec![message("hi"), system("be brief")]).wrote(&[
        "user.message waits",
        "session.status_running",
        "session.thread_status_running",
        "system.message waits",
    ]);
    play.hears().does(&["ask"]).wrote(&[
        "user.message processed",
        "system.message processed",
        "span.model_request_start",
    ]);
    play.answers([text("hello")]).rests();
}

#[test]
fn inputs_are_taken_up_in_the_order_in_which_they_came() {
    let mut play = Play::asking();
    play.sends(vec![message("one"), system("in English")]).sends(vec![message("two"), system("in French")]).skips();
    play.answers([text("hello")]).does(&["ask"]).skips();
    let mut arrived = Vec::new();
    let mut taken_up = Vec::new();
    for row in &play.log {
        match row.entry {
            Entry::Arrival { .. } => arrived.push(row.position),
            Entry::Processed { of, .. } => taken_up.push(of),
            _ => {}
        }
    }
    assert_eq!((arrived.len(), &arrived), (5, &taken_up));
}

#[test]
fn one_that_comes_while_a_tool_runs_goes_with_its_result() {
    let mut play = Play::asking();
    play.answers([bash("a")]).sends(vec![message("hurry"), system("be brief")]).hears().does(&[]).skips();
    play.tool_ends("a").does(&["ask"]).wrote(&[
        "agent.tool_result a",
        "user.message processed",
        "system.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn one_that_follows_the_last_result_goes_with_it() {
    let mut play = waiting();
    play.returns("w").skips();
    play.sends(vec![custom_result(id("v")), system("be brief")]).wrote(&[
        "user.custom_tool_result v",
        "system.message waits",
        "session.status_running",
        "session.thread_status_running",
    ]);
    play.hears().does(&["ask"]).wrote(&["system.message processed", "span.model_request_start"]);
}

#[test]
fn one_that_follows_another_result_waits_for_the_last() {
    let mut play = waiting();
    play.sends(vec![custom_result(id("w")), system("be brief")]).wrote(&[
        "user.custom_tool_result w",
        "system.message waits",
        "session.thread_status_idle requires_action v",
        "session.usage",
        "session.status_idle requires_action v",
    ]);
    play.hears().wrote(&[]).does(&[]).rests();
    play.returns("v").hears().does(&["ask"]).wrote(&[
        "user.custom_tool_result v",
        "session.status_running",
        "session.thread_status_running",
        "system.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn while_an_action_is_required_only_one_that_follows_a_result_is_taken() {
    for said in [asks("a"), custom("a")] {
        let mut play = Play::asking();
        play.answers([said, custom("w")]);
        for (events, path) in [
            (vec![message("well?"), system("be brief")], "events.1"),
            (vec![custom_result(id("w")), message("well?"), system("be brief")], "events.2"),
        ] {
            let head = play.state.head;
            let refusal = play.tries(events).unwrap_err();
            assert_eq!((refusal.path.as_str(), play.state.head), (path, head), "{refusal}");
        }
        play.sends(vec![custom_result(id("w")), system("be brief")]);
    }
}

#[test]
fn an_interrupt_in_the_same_request_leaves_no_action_required() {
    let mut play = waiting();
    play.sends(vec![ClientEvent::Interrupt { thread: None }, message("rather this"), system("be brief")]);
    play.hears().does(&["ask"]).answers([text("as you wish")]).rests();
}

#[test]
fn one_whose_turn_was_interrupted_goes_with_the_next_message() {
    let mut play = waiting();
    play.sends(vec![custom_result(id("w")), system("be brief")]).skips();
    play.interrupts().wrote(&[
        "user.interrupt",
        "user.custom_tool_result v error",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
    play.hears().wrote(&[]).does(&[]).rests();
    play.says("go on").hears().does(&["ask"]).wrote(&[
        "user.message waits",
        "session.status_running",
        "session.thread_status_running",
        "system.message processed",
        "user.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn one_goes_with_the_turn_that_is_given_up() {
    let mut play = Play::asking();
    play.sends(vec![message("and this?"), system("be brief")]).skips();
    play.fails_for_good().rests().wrote(&[
        "span.model_request_end error",
        "session.error exhausted",
        "user.message processed",
        "system.message processed",
        "session.thread_status_idle retries_exhausted",
        "session.usage",
        "session.status_idle retries_exhausted",
    ]);
}

#[test]
fn none_is_taken_at_the_cap() {
    let mut play = Play::budgeted(2);
    play.says("hi").hears().answers([custom("w")]).rests();
    let refusal = play.tries(vec![custom_result(id("w")), system("be brief")]).unwrap_err();
    assert_eq!(refusal.path, "events.1.type");
}
