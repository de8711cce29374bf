//! Calls that wait for a client: confirmations, and results of custom tools.

use wire::event::Verdict;

use super::play::Play;
use super::words::{asks, bash, confirmation, custom, custom_result, id, message, text};
use crate::{CallState, Phase};

#[test]
fn the_session_waits_until_the_last_call_is_confirmed() {
    let mut play = Play::asking();
    play.answers([asks("a"), asks("b")])
        .wrote(&[
            "agent.tool_use a",
            "agent.tool_use b",
            "span.model_request_end",
            "session.thread_status_idle requires_action a b",
            "session.usage",
            "session.status_idle requires_action a b",
        ])
        .does(&[])
        .rests();
    assert_eq!(play.thread().phase, Phase::Acting);
    play.allows("b").wrote(&[
        "user.tool_confirmation b",
        "session.thread_status_idle requires_action a",
        "session.usage",
        "session.status_idle requires_action a",
    ]);
    play.allows("a").wrote(&["user.tool_confirmation a", "session.status_running", "session.thread_status_running"]);
    // Whoever takes the lease does not know that no brain has started them.
    play.hears().wrote(&[]).does(&["recover a", "recover b"]);
    play.tool_ends("a").tool_ends("b").does(&["ask"]).wrote(&[
        "agent.tool_result a",
        "agent.tool_result b",
        "span.model_request_start",
    ]);
}

#[test]
fn answers_in_one_request_are_weighed_together() {
    let mut play = Play::asking();
    play.answers([asks("a"), custom("w"), asks("b")]).wrote(&[
        "agent.tool_use a",
        "agent.custom_tool_use w",
        "agent.tool_use b",
        "span.model_request_end",
        "session.thread_status_idle requires_action a w b",
        "session.usage",
        "session.status_idle requires_action a w b",
    ]);
    play.sends(vec![custom_result(id("w")), confirmation(id("a"), Verdict::Allow, None)]).wrote(&[
        "user.custom_tool_result w",
        "user.tool_confirmation a",
        "session.thread_status_idle requires_action b",
        "session.usage",
        "session.status_idle requires_action b",
    ]);
    play.sends(vec![confirmation(id("b"), Verdict::Allow, None), message("and hurry")]).wrote(&[
        "user.tool_confirmation b",
        "user.message waits",
        "session.status_running",
        "session.thread_status_running",
    ]);
    play.hears().wrote(&[]).does(&["recover a", "recover b"]);
}

#[test]
fn a_call_that_is_denied_is_told_to_the_model_with_the_reason() {
    for (message, told) in [
        (Some("not on a Friday"), "The user rejected this call to bash, saying: not on a Friday"),
        (Some(""), "The user rejected this call to bash."),
        (None, "The user rejected this call to bash."),
    ] {
        let mut play = Play::asking();
        play.answers([asks("a")]).denies("a", message);
        assert_eq!(play.thread().calls[0].state, CallState::Refused(told.to_owned()));
        play.wrote(&[
            "agent.tool_use a",
            "span.model_request_end",
            "session.thread_status_idle requires_action a",
            "session.usage",
            "session.status_idle requires_action a",
            "user.tool_confirmation a",
            "session.status_running",
            "session.thread_status_running",
        ]);
        play.hears().wrote(&["agent.tool_result a error", "span.model_request_start"]).does(&["ask"]);
        let result = play.log.iter().rev().find(|row| row.store().kind == "agent.tool_result").unwrap();
        assert!(result.store().body.contains(told), "the model is told: {}", result.store().body);
    }
}

#[test]
fn a_call_that_is_confirmed_while_another_runs_starts_at_once() {
    let mut play = Play::asking();
    play.answers([asks("a"), bash("b")])
        .wrote(&["agent.tool_use a", "agent.tool_use b", "span.model_request_end"])
        .does(&["run b"]);
    play.allows("a").hears().wrote(&["user.tool_confirmation a"]).does(&["run a"]);
    play.tool_ends("a").tool_ends("b").does(&["ask"]);
}

#[test]
fn a_call_that_is_denied_while_another_runs_has_its_result_at_once() {
    let mut play = Play::asking();
    play.answers([asks("a"), bash("b")]).wrote(&["agent.tool_use a", "agent.tool_use b", "span.model_request_end"]);
    play.denies("a", None).hears().wrote(&["user.tool_confirmation a", "agent.tool_result a error"]).does(&[]);
    play.tool_ends("b").wrote(&["agent.tool_result b", "span.model_request_start"]).does(&["ask"]);
}

#[test]
fn the_session_waits_only_when_nothing_runs_any_more() {
    let mut play = Play::asking();
    play.answers([asks("a"), bash("b"), bash("c")]).does(&["run b", "run c"]).wrote(&[
        "agent.tool_use a",
        "agent.tool_use b",
        "agent.tool_use c",
        "span.model_request_end",
    ]);
    play.tool_ends("b").wrote(&["agent.tool_result b"]).does(&[]);
    play.tool_ends("c")
        .wrote(&[
            "agent.tool_result c",
            "session.thread_status_idle requires_action a",
            "session.usage",
            "session.status_idle requires_action a",
        ])
        .rests();
}

#[test]
fn a_custom_result_may_come_while_another_call_runs() {
    let mut play = Play::asking();
    play.answers([custom("w"), bash("b")])
        .wrote(&["agent.custom_tool_use w", "agent.tool_use b", "span.model_request_end"])
        .does(&["run b"]);
    play.returns("w").hears().wrote(&["user.custom_tool_result w"]).does(&[]);
    play.tool_ends("b").wrote(&["agent.tool_result b", "span.model_request_start"]).does(&["ask"]);
}

#[test]
fn a_custom_result_that_comes_late_sets_the_session_going() {
    let mut play = Play::asking();
    play.answers([custom("w"), bash("b")]).tool_ends("b").rests().wrote(&[
        "agent.custom_tool_use w",
        "agent.tool_use b",
        "span.model_request_end",
        "agent.tool_result b",
        "session.thread_status_idle requires_action w",
        "session.usage",
        "session.status_idle requires_action w",
    ]);
    play.returns("w").wrote(&["user.custom_tool_result w", "session.status_running", "session.thread_status_running"]);
    play.hears().wrote(&["span.model_request_start"]).does(&["ask"]);
    play.answers([text("sunny")]).rests();
}

#[test]
fn a_custom_result_and_a_confirmation_are_both_waited_for() {
    let mut play = Play::asking();
    play.answers([custom("w"), asks("a")]).wrote(&[
        "agent.custom_tool_use w",
        "agent.tool_use a",
        "span.model_request_end",
        "session.thread_status_idle requires_action w a",
        "session.usage",
        "session.status_idle requires_action w a",
    ]);
    play.returns("w").wrote(&[
        "user.custom_tool_result w",
        "session.thread_status_idle requires_action a",
        "session.usage",
        "session.status_idle requires_action a",
    ]);
    play.allows("a").hears().does(&["recover a"]);
}

#[test]
fn a_message_to_a_session_that_waits_is_queued() {
    let mut play = Play::asking();
    play.answers([asks("a")]).wrote(&[
        "agent.tool_use a",
        "span.model_request_end",
        "session.thread_status_idle requires_action a",
        "session.usage",
        "session.status_idle requires_action a",
    ]);
    play.says("well?").wrote(&["user.message waits"]);
    play.hears().wrote(&[]).does(&[]).rests();
    play.allows("a").hears().tool_ends("a").does(&["ask"]).wrote(&[
        "user.tool_confirmation a",
        "session.status_running",
        "session.thread_status_running",
        "agent.tool_result a",
        "user.message processed",
        "span.model_request_start",
    ]);
}
