//! Turns with calls that need no client.

use wire::event::Permission;

use super::play::{LIMITS, Play};
use super::words::{bash, denied, judged, text, unknown};
use crate::{CallState, Cost, Limits, Spent, Tokens};

#[test]
fn a_call_is_run_and_its_result_goes_to_the_model() {
    let mut play = Play::asking();
    play.answers([text("let me look"), bash("a")])
        .wrote(&["agent.message", "agent.tool_use a", "span.model_request_end"])
        .does(&["run a"]);
    play.tool_ends("a").wrote(&["agent.tool_result a", "span.model_request_start"]).does(&["ask"]);
    play.answers([text("there it is")])
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
fn calls_of_one_answer_run_together_and_end_in_any_order() {
    let mut play = Play::asking();
    play.answers([bash("a"), bash("b"), bash("c")])
        .wrote(&["agent.tool_use a", "agent.tool_use b", "agent.tool_use c", "span.model_request_end"])
        .does(&["run a", "run b", "run c"]);
    play.tool_ends("c").wrote(&["agent.tool_result c"]).does(&[]);
    play.tool_ends("a").wrote(&["agent.tool_result a"]).does(&[]);
    play.tool_ends("b").wrote(&["agent.tool_result b", "span.model_request_start"]).does(&["ask"]);
}

#[test]
fn a_call_that_fails_is_told_to_the_model_like_any_other() {
    let mut play = Play::asking();
    play.answers([bash("a")]).tool_fails("a").does(&["ask"]).wrote(&[
        "agent.tool_use a",
        "span.model_request_end",
        "agent.tool_result a error",
        "span.model_request_start",
    ]);
}

#[test]
fn calls_in_a_sandbox_that_is_lost_have_their_results_with_its_loss() {
    let mut play = Play::asking();
    play.provisions().answers([bash("a"), bash("b"), bash("c")]).tool_ends("a");
    play.loses_hand_with(&["a", "b"]).does(&[]).wrote(&[
        "hand.provisioned",
        "agent.tool_use a",
        "agent.tool_use b",
        "agent.tool_use c",
        "span.model_request_end",
        "agent.tool_result a",
        "hand.lost",
        "agent.tool_result b error",
    ]);
    play.tool_ends("c").wrote(&["agent.tool_result c", "span.model_request_start"]).does(&["ask"]);
}

#[test]
fn a_call_that_must_not_run_has_its_result_at_once() {
    let mut play = Play::asking();
    play.answers([unknown("a"), denied("b")])
        .wrote(&[
            "agent.tool_use a",
            "agent.tool_use b",
            "span.model_request_end",
            "agent.tool_result a error",
            "agent.tool_result b error",
            "span.model_request_start",
        ])
        .does(&["ask"]);
}

#[test]
fn a_call_that_must_not_run_keeps_no_other_from_running() {
    let mut play = Play::asking();
    play.answers([bash("a"), unknown("b")])
        .wrote(&["agent.tool_use a", "agent.tool_use b", "span.model_request_end", "agent.tool_result b error"])
        .does(&["run a"]);
    play.tool_ends("a").wrote(&["agent.tool_result a", "span.model_request_start"]).does(&["ask"]);
}

#[test]
fn what_a_judge_says_of_a_call_is_done() {
    let mut play = Play::asking();
    play.answers([judged("a", Permission::Allow), judged("b", Permission::Ask), judged("c", Permission::Deny)]);
    let told = "Permission to use bash has been denied.";
    let states: Vec<_> = play.thread().calls.iter().map(|call| call.state.clone()).collect();
    assert_eq!(states, [CallState::Ready, CallState::Asked, CallState::Settled]);
    play.does(&["run a"]).wrote(&[
        "agent.tool_use a",
        "agent.tool_use b",
        "agent.tool_use c",
        "span.model_request_end",
        "agent.tool_result c error",
    ]);
    assert!(play.log.last().unwrap().store().body.contains(told), "the model is told of the denial");
}

#[test]
fn what_a_judge_costs_is_the_sessions() {
    let mut play = Play::asking();
    let tokens = Tokens { input: 7, output: 1, ..Tokens::default() };
    let one = |model: &str| Spent { model: model.into(), tokens, cost: Cost::of_cents(1) };
    play.spent = vec![one("judge-1"), one("judge-2")];
    play.answers([judged("a", Permission::Allow)]).does(&["run a"]).wrote(&[
        "model.spent",
        "model.spent",
        "agent.tool_use a",
        "span.model_request_end",
    ]);
    let totals = play.state.totals;
    assert_eq!((totals.tokens.input, totals.cost.money().amount, totals.requests), (24, "4".into(), 3));
    assert_eq!(play.thread().context_tokens, 21, "a judge's request is no part of the conversation");
}

#[test]
fn what_a_judge_without_a_price_costs_is_not_known() {
    let mut play = Play::asking();
    play.spent = vec![Spent { model: "judge".into(), tokens: Tokens::default(), cost: None }];
    play.answers([judged("a", Permission::Allow)]);
    assert!(play.state.totals.unpriced);
}

#[test]
fn a_result_is_taken_once() {
    let mut play = Play::asking();
    play.answers([bash("a"), bash("b")]).tool_ends("a");
    play.wrote(&["agent.tool_use a", "agent.tool_use b", "span.model_request_end", "agent.tool_result a"]);
    play.tool_ends("a").tool_ends("nobody's").wrote(&[]).does(&[]);
}

#[test]
fn messages_that_come_while_a_tool_runs_go_with_its_result() {
    let mut play = Play::asking();
    play.answers([bash("a")]).wrote(&["agent.tool_use a", "span.model_request_end"]);
    play.says("hurry").says("please").hears().wrote(&["user.message waits", "user.message waits"]).does(&[]);
    play.tool_ends("a")
        .wrote(&["agent.tool_result a", "user.message processed", "user.message processed", "span.model_request_start"])
        .does(&["ask"]);
}

#[test]
fn too_many_rounds_end_the_turn_and_the_next_message_starts_anew() {
    let mut play = Play::within(Limits { rounds: 2, ..LIMITS });
    play.says("go").hears().answers([bash("a")]).tool_ends("a").answers([bash("b")]).says("are you done?").hears();
    play.wrote(&[
        "user.message waits",
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
        "agent.tool_use a",
        "span.model_request_end",
        "agent.tool_result a",
        "span.model_request_start",
        "agent.tool_use b",
        "span.model_request_end",
        "user.message waits",
    ]);
    play.tool_ends("b")
        .wrote(&[
            "agent.tool_result b",
            "session.error exhausted",
            "user.message processed",
            "session.thread_status_idle retries_exhausted",
            "session.usage",
            "session.status_idle retries_exhausted",
        ])
        .does(&[])
        .rests();
    play.says("go on").hears().answers([bash("c")]).tool_ends("c").does(&["ask"]).wrote(&[
        "user.message waits",
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
        "agent.tool_use c",
        "span.model_request_end",
        "agent.tool_result c",
        "span.model_request_start",
    ]);
}

#[test]
fn rounds_without_calls_are_not_counted() {
    let mut play = Play::within(Limits { rounds: 1, ..LIMITS });
    play.says("one").hears();
    for _ in 0..3 {
        play.says("another").hears().answers([text("go on")]).does(&["ask"]);
    }
    play.answers([bash("a")]).does(&["run a"]);
}
