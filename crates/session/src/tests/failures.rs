//! Models that do not answer.

use super::play::Play;
use super::words::{bash, text};
use crate::Phase;

#[test]
fn the_model_is_asked_again_after_a_while() {
    let mut play = Play::asking();
    play.fails().does(&["wait"]).wrote(&[
        "span.model_request_end error",
        "session.error retrying",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "model.retry_at",
    ]);
    assert!(matches!(play.thread().phase, Phase::Backing(_)));
    play.hears().wrote(&[]).does(&[]);
    play.retries().does(&["ask"]).wrote(&[
        "session.status_running",
        "session.thread_status_running",
        "span.model_request_start",
    ]);
    play.answers([text("hello")]).rests();
}

#[test]
fn the_turn_is_given_up_after_too_many_failures() {
    let mut play = Play::asking();
    play.fails().retries().fails().retries().does(&["ask"]);
    play.fails().does(&[]).rests().wrote(&[
        "span.model_request_end error",
        "session.error retrying",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "model.retry_at",
        "session.status_running",
        "session.thread_status_running",
        "span.model_request_start",
        "span.model_request_end error",
        "session.error retrying",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "model.retry_at",
        "session.status_running",
        "session.thread_status_running",
        "span.model_request_start",
        "span.model_request_end error",
        "session.error exhausted",
        "session.thread_status_idle retries_exhausted",
        "session.usage",
        "session.status_idle retries_exhausted",
    ]);
}

#[test]
fn after_a_turn_was_given_up_the_next_message_starts_anew() {
    let mut play = Play::asking();
    play.fails_for_good().rests();
    play.says("again").hears().does(&["ask"]);
    play.fails().does(&["wait"]).retries().fails().does(&["wait"]).retries().fails().does(&[]).rests();
}

#[test]
fn an_answer_forgets_the_failures_before_it() {
    let mut play = Play::asking();
    play.fails().retries().fails().retries().answers([bash("a")]).tool_ends("a").does(&["ask"]);
    play.fails().does(&["wait"]).retries().fails().does(&["wait"]);
}

#[test]
fn a_failure_that_asking_again_cannot_mend_ends_the_turn_at_once() {
    let mut play = Play::asking();
    play.fails_for_good()
        .wrote(&[
            "span.model_request_end error",
            "session.error exhausted",
            "session.thread_status_idle retries_exhausted",
            "session.usage",
            "session.status_idle retries_exhausted",
        ])
        .does(&[])
        .rests();
}

#[test]
fn what_is_queued_goes_with_the_turn_that_is_given_up() {
    let mut play = Play::asking();
    play.says("one").says("two").hears().fails_for_good().rests().wrote(&[
        "user.message waits",
        "user.message waits",
        "span.model_request_end error",
        "session.error exhausted",
        "user.message processed",
        "user.message processed",
        "session.thread_status_idle retries_exhausted",
        "session.usage",
        "session.status_idle retries_exhausted",
    ]);
    assert!(play.thread().inputs.is_empty());
}

#[test]
fn what_comes_while_the_brain_waits_is_asked_with_the_rest() {
    let mut play = Play::asking();
    play.fails().wrote(&[
        "span.model_request_end error",
        "session.error retrying",
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "model.retry_at",
    ]);
    play.says("are you there?").hears().wrote(&["user.message waits"]).does(&[]);
    play.retries().does(&["ask"]).wrote(&[
        "session.status_running",
        "session.thread_status_running",
        "user.message processed",
        "span.model_request_start",
    ]);
}

#[test]
fn a_failure_of_a_request_that_is_over_changes_nothing() {
    let mut play = Play::asking();
    play.answers([bash("a")]).wrote(&["agent.tool_use a", "span.model_request_end"]);
    play.fails().fails_for_good().retries().wrote(&[]).does(&[]);
    play.tool_ends("a").does(&["ask"]);
}
