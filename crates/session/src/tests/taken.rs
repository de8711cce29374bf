//! A brain has died, and another takes the lease: in every phase of a turn.

use super::play::Play;
use super::reading::describe;
use super::words::{asks, bash, custom, text};

#[test]
fn a_request_that_was_lost_is_made_again() {
    let mut play = Play::asking();
    play.dies().hears().does(&["ask"]).wrote(&[
        "span.model_request_end error",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "session.status_running",
        "session.thread_status_running",
        "span.model_request_start",
    ]);
    play.answers([text("hello")]).rests();
}

#[test]
fn what_came_while_nobody_listened_goes_with_the_new_request() {
    let mut play = Play::asking();
    play.dies().says("are you there?").hears().does(&["ask"]).wrote(&[
        "user.message waits",
        "span.model_request_end error",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn a_turn_whose_brains_keep_dying_is_given_up() {
    let mut play = Play::asking();
    // The limit of failures is for the model's; that of deaths is near it.
    let deaths = (1..=4).find(|_| !play.dies().hears().leased);
    assert!(deaths.is_some_and(|deaths| deaths >= 3), "given up after {deaths:?}");
    let rows: Vec<String> = play.log.iter().rev().take(4).map(describe).collect();
    assert_eq!(
        rows,
        [
            "session.status_idle retries_exhausted",
            "session.usage",
            "session.thread_status_idle retries_exhausted",
            "session.error exhausted",
        ]
    );
    play.says("again").hears().does(&["ask"]);
}

#[test]
fn a_turn_that_was_about_to_ask_asks() {
    let mut play = Play::new();
    play.says("hi").dies().hears().does(&["ask"]).wrote(&[
        "user.message waits",
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn calls_without_a_result_are_looked_up() {
    let mut play = Play::asking();
    play.answers([bash("a"), bash("b"), asks("c"), custom("w")]).tool_ends("a").wrote(&[
        "agent.tool_use a",
        "agent.tool_use b",
        "agent.tool_use c",
        "agent.custom_tool_use w",
        "span.model_request_end",
        "agent.tool_result a",
    ]);
    play.dies().hears().wrote(&[]).does(&["recover b"]);
    // What is confirmed from now on is known not to have started.
    play.allows("c").hears().wrote(&["user.tool_confirmation c"]).does(&["run c"]);
    play.tool_ends("b").tool_ends("c").wrote(&[
        "agent.tool_result b",
        "agent.tool_result c",
        "session.thread_status_idle requires_action w",
        "session.usage",
        "session.status_idle requires_action w",
    ]);
}

#[test]
fn calls_that_were_answered_while_nobody_listened_are_settled() {
    let mut play = Play::asking();
    play.answers([bash("a"), asks("b"), custom("w")]).wrote(&[
        "agent.tool_use a",
        "agent.tool_use b",
        "agent.custom_tool_use w",
        "span.model_request_end",
    ]);
    play.dies().denies("b", None).returns("w").hears().does(&["recover a"]).wrote(&[
        "user.tool_confirmation b",
        "user.custom_tool_result w",
        "agent.tool_result b error",
    ]);
    play.tool_ends("a").wrote(&["agent.tool_result a", "span.model_request_start"]).does(&["ask"]);
}

#[test]
fn a_wait_goes_on() {
    let mut play = Play::asking();
    play.fails().dies().hears().does(&["wait"]).wrote(&[
        "span.model_request_end error",
        "session.error retrying",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "model.retry_at",
    ]);
    play.retries().does(&["ask"]);
}

#[test]
fn files_are_collected_again() {
    let mut play = Play::asking();
    play.provisions().answers([text("done")]).does(&["collect"]).wrote(&[
        "hand.provisioned",
        "agent.message",
        "span.model_request_end",
        "turn.ending",
    ]);
    play.dies().hears().wrote(&[]).does(&["collect"]);
    play.collects().rests().wrote(&[
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
}

#[test]
fn a_session_with_nothing_to_do_is_left_alone() {
    Play::new().hears().wrote(&[]).does(&[]).rests();
    let mut play = Play::asking();
    play.answers([asks("a")]).rests().wrote(&[
        "agent.tool_use a",
        "span.model_request_end",
        "session.thread_status_idle requires_action a",
        "session.usage",
        "session.status_idle requires_action a",
    ]);
    play.hears().wrote(&[]).does(&[]).rests();
}

#[test]
fn an_interrupt_that_came_while_nobody_listened_ends_the_turn() {
    let mut play = Play::asking();
    play.answers([bash("a")]).dies().interrupts().hears().rests().wrote(&[
        "agent.tool_use a",
        "span.model_request_end",
        "user.interrupt waits",
        "agent.tool_result a error",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
}

#[test]
fn an_interrupt_that_came_while_nobody_listened_stops_what_runs_on() {
    let mut play = Play::asking();
    play.answers([bash("a")]).dies().interrupts().hears().does(&["abort"]).rests();
}
