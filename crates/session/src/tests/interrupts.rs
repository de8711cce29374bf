//! Interrupts, in every phase of a turn.

use wire::event::{ClientEvent, Verdict};

use super::play::{LIMITS, Play};
use super::words::{asks, bash, confirmation, custom, id, message, text};
use crate::{Cost, Limits, Phase};

#[test]
fn while_the_model_answers() {
    let mut play = Play::asking();
    play.interrupts().wrote(&["user.interrupt waits"]);
    play.hears()
        .wrote(&[
            "span.model_request_end error",
            "user.interrupt processed",
            "session.thread_status_idle end_turn",
            "session.usage",
            "session.status_idle end_turn",
        ])
        .does(&["abort"])
        .rests();
    play.answers([text("too late"), bash("a")]).wrote(&[]).does(&[]).rests();
}

#[test]
fn while_the_model_answers_with_a_message_queued() {
    let mut play = Play::asking();
    play.says("rather this").interrupts().hears().does(&["abort", "ask"]).wrote(&[
        "user.message waits",
        "user.interrupt waits",
        "span.model_request_end error",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
    ]);
    play.answers([text("as you wish")]).rests();
}

#[test]
fn in_the_same_request_as_the_message_that_is_to_be_answered() {
    let mut play = Play::asking();
    play.sends(vec![ClientEvent::Interrupt { thread: None }, message("rather this")]).hears();
    play.does(&["abort", "ask"]).wrote(&[
        "user.interrupt waits",
        "user.message waits",
        "span.model_request_end error",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn while_tools_run() {
    let mut play = Play::asking();
    play.answers([bash("a"), bash("b")]).tool_ends("a").wrote(&[
        "agent.tool_use a",
        "agent.tool_use b",
        "span.model_request_end",
        "agent.tool_result a",
    ]);
    play.interrupts()
        .hears()
        .wrote(&[
            "user.interrupt waits",
            "agent.tool_result b error",
            "user.interrupt processed",
            "session.thread_status_idle end_turn",
            "session.usage",
            "session.status_idle end_turn",
        ])
        .does(&["abort"])
        .rests();
    play.tool_ends("b").wrote(&[]).does(&[]).rests();
}

#[test]
fn while_tools_run_with_a_message_queued() {
    let mut play = Play::asking();
    play.answers([bash("a"), asks("b")]).wrote(&["agent.tool_use a", "agent.tool_use b", "span.model_request_end"]);
    play.says("rather this").interrupts().hears().does(&["abort", "ask"]).wrote(&[
        "user.message waits",
        "user.interrupt waits",
        "agent.tool_result a error",
        "agent.tool_result b error",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
    ]);
    play.tool_ends("a").wrote(&[]).does(&[]);
    play.answers([text("as you wish")]).rests();
}

#[test]
fn before_the_brain_has_begun() {
    let mut play = Play::new();
    play.says("hi").interrupts().hears().does(&[]).rests().wrote(&[
        "user.message waits",
        "session.status_running",
        "session.thread_status_running",
        "user.interrupt waits",
        "user.message processed",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
}

#[test]
fn before_the_brain_has_begun_with_a_message_queued() {
    let mut play = Play::new();
    play.sends(vec![message("hi"), ClientEvent::Interrupt { thread: None }, message("rather this")]).skips();
    play.hears().does(&["ask"]).wrote(&[
        "user.message processed",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn before_the_brain_goes_on_with_a_turn_that_the_budget_held_back() {
    let limits = Limits { is_priced: false, ..LIMITS };
    let mut play = Play::created(Cost::of_cents(100), vec![message("hi")], limits);
    play.hears().rests().skips();
    assert_eq!(play.thread().phase, Phase::Paused);
    play.interrupts().wrote(&[]);
    play.allots(None).unwrap();
    play.interrupts().skips();
    play.hears().does(&[]).rests().wrote(&[
        "user.message processed",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
}

#[test]
fn that_meet_the_answer_close_its_calls_before_they_start() {
    let mut play = Play::asking();
    play.interrupts().interrupts().answers([text("let me look"), bash("a")]).does(&[]).rests().wrote(&[
        "user.interrupt waits",
        "user.interrupt waits",
        "agent.message",
        "agent.tool_use a",
        "span.model_request_end",
        "agent.tool_result a error",
        "user.interrupt processed",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
}

#[test]
fn while_the_brain_waits_to_ask_again() {
    let mut play = Play::asking();
    play.fails().does(&["wait"]).wrote(&[
        "span.model_request_end error",
        "session.error retrying",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "model.retry_at",
    ]);
    play.interrupts()
        .hears()
        .wrote(&[
            "user.interrupt waits",
            "user.interrupt processed",
            "session.thread_status_idle end_turn",
            "session.usage",
            "session.status_idle end_turn",
        ])
        .does(&["abort"])
        .rests();
    play.retries().wrote(&[]).does(&[]).rests();
}

#[test]
fn while_the_brain_waits_to_ask_again_with_a_message_queued() {
    let mut play = Play::asking();
    play.fails().wrote(&[
        "span.model_request_end error",
        "session.error retrying",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "model.retry_at",
    ]);
    play.says("rather this").interrupts().hears().does(&["abort", "ask"]).wrote(&[
        "user.message waits",
        "user.interrupt waits",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn of_a_session_at_rest_change_nothing() {
    let mut play = Play::new();
    play.interrupts().wrote(&["user.interrupt"]);
    assert_eq!(play.thread().phase, Phase::Resting);
    play.hears().wrote(&[]).does(&[]).rests();
    play.says("hi").hears().does(&["ask"]);
}

#[test]
fn of_a_session_that_waits_close_its_calls() {
    let mut play = Play::asking();
    play.answers([asks("a"), custom("w")]).wrote(&[
        "agent.tool_use a",
        "agent.custom_tool_use w",
        "span.model_request_end",
        "session.thread_status_idle requires_action a w",
        "session.usage",
        "session.status_idle requires_action a w",
    ]);
    play.interrupts().wrote(&[
        "user.interrupt",
        "agent.tool_result a error",
        "user.custom_tool_result w error",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
    play.hears().wrote(&[]).does(&[]).rests();
}

#[test]
fn in_the_same_request_as_the_last_answer() {
    for verdict in [Verdict::Allow, Verdict::Deny] {
        let mut play = Play::asking();
        play.answers([asks("a")]).wrote(&[
            "agent.tool_use a",
            "span.model_request_end",
            "session.thread_status_idle requires_action a",
            "session.usage",
            "session.status_idle requires_action a",
        ]);
        play.sends(vec![confirmation(id("a"), verdict, None), ClientEvent::Interrupt { thread: None }]).wrote(&[
            "user.tool_confirmation a",
            "user.interrupt",
            "agent.tool_result a error",
            "session.thread_status_idle end_turn",
            "session.usage",
            "session.status_idle end_turn",
        ]);
        play.hears().wrote(&[]).does(&[]).rests();
    }
}

#[test]
fn of_a_session_that_waits_start_what_is_queued() {
    let mut play = Play::asking();
    play.answers([asks("a")]).says("rather this").wrote(&[
        "agent.tool_use a",
        "span.model_request_end",
        "session.thread_status_idle requires_action a",
        "session.usage",
        "session.status_idle requires_action a",
        "user.message waits",
    ]);
    play.interrupts().wrote(&[
        "user.interrupt",
        "agent.tool_result a error",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
        "session.status_running",
        "session.thread_status_running",
    ]);
    play.hears().wrote(&["user.message processed", "span.model_request_start"]).does(&["ask"]);
}

#[test]
fn while_the_sandbox_is_searched_for_files() {
    let mut play = Play::asking();
    play.provisions().answers([text("done")]).does(&["collect"]).wrote(&[
        "hand.provisioned",
        "agent.message",
        "span.model_request_end",
        "turn.ending",
    ]);
    play.interrupts()
        .hears()
        .wrote(&[
            "user.interrupt waits",
            "user.interrupt processed",
            "session.thread_status_idle end_turn",
            "session.usage",
            "session.status_idle end_turn",
        ])
        .does(&["abort"])
        .rests();
    play.collects().wrote(&[]).does(&[]).rests();
}
