//! How turns end: refusals, and what a sandbox leaves behind.

use super::play::Play;
use super::words::{bash, custom, text};

#[test]
fn a_refusal_ends_the_turn() {
    let mut play = Play::asking();
    play.refuses([text("I will not")])
        .wrote(&[
            "agent.message",
            "span.model_request_end",
            "turn.ending",
            "session.thread_status_idle refusal",
            "session.usage",
            "session.status_idle refusal",
        ])
        .does(&[])
        .rests();
    let idle = play.log.last().unwrap().store().body;
    assert!(idle.contains(r#""stop_details":{"type":"refusal","category":"cyber","explanation":null}"#), "{idle}");
    play.says("please?").hears().does(&["ask"]).answers([text("still not")]).rests();
}

#[test]
fn after_a_refusal_the_next_turn_starts_with_what_is_queued() {
    let mut play = Play::asking();
    play.says("or this?").refuses([text("I will not")]).does(&["ask"]).wrote(&[
        "user.message waits",
        "agent.message",
        "span.model_request_end",
        "turn.ending",
        "session.thread_status_idle refusal",
        "session.usage",
        "session.status_idle refusal",
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn a_refusal_closes_the_calls_of_its_answer() {
    let mut play = Play::asking();
    play.refuses([bash("a"), custom("w")]).rests();
    assert!(play.thread().calls.is_empty(), "{:?}", play.thread().calls);
    play.says("please?").hears().answers([text("no")]).does(&[]).rests();
}

#[test]
fn what_the_sandbox_leaves_is_collected_before_the_session_rests() {
    let mut play = Play::asking();
    play.provisions().wrote(&["hand.provisioned"]).does(&[]);
    play.answers([text("done")]).wrote(&["agent.message", "span.model_request_end", "turn.ending"]).does(&["collect"]);
    play.hears().wrote(&[]).does(&[]);
    play.collects()
        .wrote(&["session.thread_status_idle end_turn", "session.usage", "session.status_idle end_turn"])
        .does(&[])
        .rests();
}

#[test]
fn what_the_sandbox_leaves_is_collected_after_a_refusal_too() {
    let mut play = Play::asking();
    play.provisions().refuses([text("I will not")]).does(&["collect"]).collects().rests().wrote(&[
        "hand.provisioned",
        "agent.message",
        "span.model_request_end",
        "turn.ending",
        "session.thread_status_idle refusal",
        "session.usage",
        "session.status_idle refusal",
    ]);
}

#[test]
fn a_message_that_comes_while_files_are_collected_starts_the_next_turn() {
    let mut play = Play::asking();
    play.provisions().answers([text("done")]).wrote(&[
        "hand.provisioned",
        "agent.message",
        "span.model_request_end",
        "turn.ending",
    ]);
    play.says("one more thing").hears().wrote(&["user.message waits"]).does(&[]);
    play.collects().does(&["ask"]).wrote(&[
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
fn nothing_is_collected_while_the_turn_goes_on() {
    let mut play = Play::asking();
    play.provisions().says("and then?").answers([text("done")]).does(&["ask"]).wrote(&[
        "hand.provisioned",
        "user.message waits",
        "agent.message",
        "span.model_request_end",
        "user.message processed",
        "span.model_request_start",
    ]);
    play.answers([custom("w")]).does(&[]).rests().wrote(&[
        "agent.custom_tool_use w",
        "span.model_request_end",
        "session.thread_status_idle requires_action w",
        "session.usage",
        "session.status_idle requires_action w",
    ]);
}

#[test]
fn nothing_is_collected_from_a_sandbox_that_is_gone() {
    let mut play = Play::asking();
    play.provisions().loses_hand().answers([text("done")]).does(&[]).rests().wrote(&[
        "hand.provisioned",
        "hand.lost",
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
    assert_eq!(play.state.hand, None);
}

#[test]
fn a_sandbox_that_goes_while_files_are_collected_does_not_hold_the_session() {
    let mut play = Play::asking();
    play.provisions().answers([text("done")]).loses_hand().does(&[]).wrote(&[
        "hand.provisioned",
        "agent.message",
        "span.model_request_end",
        "turn.ending",
        "hand.lost",
    ]);
    play.collects().rests().wrote(&[
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
}

#[test]
fn the_sandbox_outlives_the_turn() {
    let mut play = Play::asking();
    play.provisions().answers([bash("a")]).tool_ends("a").answers([text("done")]).collects().rests();
    assert_eq!(play.state.hand.as_deref(), Some("here"));
    play.says("again").hears().answers([text("done")]).does(&["collect"]);
}
