//! The API's own changes: creation, update, archiving.

use wire::read::Metadata;
use wire::session::Status;

use super::play::{LIMITS, Play, THREAD, Ticks};
use super::words::{asks, custom_result, id, message, text};
use crate::create;

#[test]
fn a_session_is_created_at_rest() {
    let mut play = Play::begins(Vec::new(), LIMITS);
    play.wrote(&["session.created"]);
    assert_eq!(play.state.status, Status::Idle);
    assert_eq!(play.refolded(), play.state, "what creation returns is what its rows fold to");
}

#[test]
fn a_session_may_be_created_with_messages() {
    let mut play = Play::begins(vec![message("one"), message("two")], LIMITS);
    play.wrote(&[
        "session.created",
        "user.message waits",
        "session.status_running",
        "session.thread_status_running",
        "user.message waits",
    ]);
    assert_eq!(play.refolded(), play.state, "what creation returns is what its rows fold to");
    play.hears().does(&["ask"]);
}

#[test]
fn a_creation_with_an_event_that_may_not_enter_is_refused() {
    let events = vec![message("one"), custom_result(id("w"))];
    let refusal = create("Agent", THREAD, None, events, &mut Ticks(0)).unwrap_err();
    assert_eq!(refusal.path, "initial_events.1.custom_tool_use_id");
}

#[test]
fn an_update_is_told_if_it_changes_something() {
    let tags = || Metadata::from([("team".to_owned(), "blue".to_owned())]);
    let mut play = Play::new();
    play.updates(None, None).wrote(&[]);
    play.updates(Some(Some("A title")), None).wrote(&["session.updated"]);
    play.updates(None, Some(tags())).wrote(&["session.updated"]);
    play.updates(None, Some(Metadata::new())).wrote(&["session.updated"]);
    play.says("hi").hears();
    play.updates(Some(Some("Another")), Some(tags())).hears().does(&[]);
    play.answers([text("hello")]).rests();
}

#[test]
fn a_title_that_was_cleared_stays_cleared_in_the_log() {
    Play::new().updates(Some(None), None).wrote(&["session.updated"]);
}

#[test]
fn a_session_at_rest_is_archived_for_good() {
    let mut play = Play::asking();
    play.answers([text("hello")]).wrote(&[
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
    play.archives().unwrap();
    play.wrote(&["session.thread_status_terminated", "session.status_terminated"]);
    assert_eq!((play.state.status, play.thread().status), (Status::Terminated, Status::Terminated));
    play.archives().unwrap();
    play.wrote(&[]);
    play.hears().wrote(&[]).does(&[]).rests();
}

#[test]
fn a_session_that_waits_for_a_client_can_be_archived() {
    let mut play = Play::asking();
    play.answers([asks("a")]).says("well?").archives().unwrap();
    assert_eq!(play.state.status, Status::Terminated);
    play.hears().does(&[]).rests();
}

#[test]
fn a_session_at_work_is_not_archived() {
    let mut play = Play::asking();
    let refusal = play.archives().unwrap_err();
    assert!(!refusal.ended && refusal.path.is_empty(), "{refusal}");
    play.fails();
    assert_eq!(play.state.status, Status::Rescheduling);
    play.archives().unwrap_err();
    play.interrupts();
    play.archives().unwrap_err();
    play.hears();
    play.archives().unwrap();
}
