//! Sessions whose built-in calls are run by workers.

use wire::WorkId;
use wire::event::{ClientEvent, Permission, Verdict};

use super::audit::Audit;
use super::play::{Play, WORK};
use super::words::{
    asks, bash, confirmation, custom, custom_result, denied, id, judged, message, system, text, unknown, worker_result,
};
use crate::{CallState, State, end_work, queue_work};

#[test]
fn a_call_waits_for_a_workers_result_and_no_sandbox_is_asked() {
    let mut play = Play::self_hosted();
    play.answers([text("let me look"), bash("a")])
        .wrote(&[
            "agent.message",
            "agent.tool_use a",
            "span.model_request_end",
            "session.thread_status_idle requires_action a",
            "session.usage",
            "session.status_idle requires_action a",
        ])
        .does(&[])
        .rests();
    play.works("a").wrote(&["user.tool_result a", "session.status_running", "session.thread_status_running"]);
    play.hears().wrote(&["span.model_request_start"]).does(&["ask"]);
    play.answers([text("there it is")]).rests().wrote(&[
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
}

#[test]
fn results_come_one_by_one_and_the_rest_is_named_again() {
    let mut play = Play::self_hosted();
    play.answers([bash("a"), custom("w"), bash("b")]).skips();
    play.works("b").wrote(&[
        "user.tool_result b",
        "session.thread_status_idle requires_action a w",
        "session.usage",
        "session.status_idle requires_action a w",
    ]);
    play.sends(vec![worker_result(id("a")), custom_result(id("w"))]).wrote(&[
        "user.tool_result a",
        "user.custom_tool_result w",
        "session.status_running",
        "session.thread_status_running",
    ]);
}

#[test]
fn a_call_that_is_allowed_still_waits_for_its_result() {
    let mut play = Play::self_hosted();
    play.answers([asks("a")]).skips();
    assert_eq!(play.thread().calls[0].state, CallState::Asked);
    play.allows("a").wrote(&[
        "user.tool_confirmation a",
        "session.thread_status_idle requires_action a",
        "session.usage",
        "session.status_idle requires_action a",
    ]);
    assert_eq!(play.thread().calls[0].state, CallState::Elsewhere);
    play.works("a").hears().does(&["ask"]);
}

#[test]
fn a_call_that_is_denied_has_its_result_from_here() {
    let mut play = Play::self_hosted();
    play.answers([asks("a"), bash("b")]).denies("a", None).works("b").skips();
    play.hears().wrote(&["agent.tool_result a error", "span.model_request_start"]).does(&["ask"]);
}

#[test]
fn only_calls_that_may_run_take_a_workers_result_and_only_one() {
    let mut play = Play::self_hosted();
    play.answers([asks("a"), bash("b"), custom("w"), bash("c")]).works("c");
    for call in ["a", "w", "c", "nobody's"] {
        let refusal = play.tries(vec![worker_result(id(call))]).unwrap_err();
        assert_eq!(refusal.path, "events.0.tool_use_id", "{call}");
    }
    let not_an_id = ClientEvent::ToolResult { tool_use_id: "toolu_1".into(), content: Vec::new(), is_error: false };
    assert_eq!(play.tries(vec![not_an_id]).unwrap_err().path, "events.0.tool_use_id");
    let allowed = play.tries(vec![confirmation(id("b"), Verdict::Allow, None)]).unwrap_err();
    assert_eq!(allowed.path, "events.0.tool_use_id", "a call that runs is not confirmed");
    let custom = play.tries(vec![custom_result(id("b"))]).unwrap_err();
    assert_eq!(custom.path, "events.0.custom_tool_use_id");
}

/// What a worker reads of the calls that it may run.
fn allowed(play: &Play) -> usize {
    let is_allowed = |body: &str| body.contains(r#""evaluated_permission":"allow""#);
    play.log.iter().filter(|row| is_allowed(&row.store().body)).count()
}

#[test]
fn a_worker_never_reads_that_a_call_may_run_which_must_not() {
    let mut play = Play::self_hosted();
    play.answers([unknown("a"), denied("b"), judged("c", Permission::Deny)]);
    assert_eq!(allowed(&play), 0);
    play.does(&["ask"]);

    let mut play = Play::self_hosted();
    play.refuses([text("no"), bash("a")]).rests();
    assert_eq!(allowed(&play), 0, "of a refused answer no call is run");
}

#[test]
fn an_interrupt_closes_calls_as_their_worker_would() {
    let mut play = Play::self_hosted();
    play.answers([bash("a"), asks("b"), custom("w")]).skips();
    play.interrupts().wrote(&[
        "user.interrupt",
        "user.tool_result a error",
        "user.tool_result b error",
        "user.custom_tool_result w error",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
    for late in [worker_result(id("a")), custom_result(id("w"))] {
        play.tries(vec![late]).unwrap_err();
    }
}

#[test]
fn a_message_waits_until_the_worker_has_answered() {
    let mut play = Play::self_hosted();
    play.answers([bash("a")]).skips();
    play.says("well?").wrote(&["user.message waits"]).hears().rests();
    play.works("a").hears().does(&["ask"]);
}

#[test]
fn a_system_message_may_follow_a_workers_result() {
    let mut play = Play::self_hosted();
    play.answers([bash("a")]).skips();
    play.tries(vec![message("hi"), system("be brief")]).unwrap_err();
    play.sends(vec![worker_result(id("a")), system("be brief")]).hears().does(&["ask"]);
}

fn queued(work: WorkId) -> impl FnOnce(&State, &mut dyn crate::Stamp) -> Vec<crate::Row> {
    move |state, stamp| queue_work(state, work, stamp).unwrap_or_default()
}

fn ended(work: WorkId) -> impl FnOnce(&State, &mut dyn crate::Stamp) -> Vec<crate::Row> {
    move |state, stamp| end_work(state, work, stamp)
}

#[test]
fn a_session_has_one_work_item_at_a_time() {
    let other = WorkId::from_bits(9);
    let mut play = Play::self_hosted();
    assert_eq!(play.state.work, Some(WORK), "it is made with one");
    play.work(queued(other)).work(ended(other)).wrote(&[]);
    play.work(ended(WORK)).wrote(&["work.ended"]);
    assert_eq!(play.state.work, None);
    play.work(ended(WORK)).wrote(&[]);
    play.work(queued(other)).wrote(&["work.queued"]);
    assert_eq!(play.state.work, Some(other));
    assert_eq!(play.refolded(), play.state);
    let mut audit = Audit::default();
    audit.reads(&play.log);
    audit.ends(&play);
}

#[test]
fn a_session_in_a_sandbox_of_ours_takes_no_work_item() {
    let mut play = Play::asking();
    play.work(queued(WORK)).wrote(&[]);
    assert!(!play.state.needs_worker());
}

#[test]
fn a_session_needs_a_worker_until_its_turn_is_over() {
    let mut play = Play::self_hosted();
    assert!(play.state.needs_worker(), "the model may want something done");
    play.answers([bash("a")]);
    assert!(play.state.needs_worker());
    play.works("a").hears().answers([text("done")]);
    assert!(!play.state.needs_worker());
    play.archives().unwrap();
    play.skips().work(ended(WORK)).wrote(&[]);
}
