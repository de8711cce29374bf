//! What clients may send, and when.

use wire::ThreadId;
use wire::event::{ClientEvent, Verdict};

use super::play::{Play, THREAD};
use super::words::{asks, bash, confirmation, custom, custom_result, id, message, text, worker_result};

/// The request is refused for this field, and leaves nothing.
#[track_caller]
fn refuses(play: &mut Play, events: Vec<ClientEvent>, path: &str) {
    let head = play.state.head;
    let refusal = play.tries(events).unwrap_err();
    assert_eq!((refusal.path.as_str(), refusal.ended), (path, false), "{refusal}");
    assert_eq!(play.state.head, head, "what is refused leaves nothing");
}

fn allow(call: &str) -> ClientEvent {
    confirmation(id(call), Verdict::Allow, None)
}

#[test]
fn answers_to_calls_that_do_not_wait_are_refused() {
    let mut play = Play::asking();
    play.answers([asks("a"), bash("b"), custom("w")]);
    refuses(&mut play, vec![allow("nobody's")], "events.0.tool_use_id");
    refuses(&mut play, vec![allow("b")], "events.0.tool_use_id");
    refuses(&mut play, vec![custom_result(id("nobody's"))], "events.0.custom_tool_use_id");

    let not_an_id =
        ClientEvent::Confirmation { tool_use_id: "toolu_1".into(), verdict: Verdict::Allow, deny_message: None };
    refuses(&mut play, vec![not_an_id], "events.0.tool_use_id");
}

#[test]
fn a_call_is_answered_in_its_own_way() {
    let mut play = Play::asking();
    play.answers([asks("a"), custom("w")]);
    refuses(&mut play, vec![allow("w")], "events.0.tool_use_id");
    refuses(&mut play, vec![custom_result(id("a"))], "events.0.custom_tool_use_id");
}

#[test]
fn a_call_is_answered_once() {
    let mut play = Play::asking();
    play.answers([asks("a"), asks("b"), custom("w")]).allows("a").returns("w").denies("b", None);
    for event in [allow("a"), confirmation(id("a"), Verdict::Deny, None), allow("b")] {
        refuses(&mut play, vec![event], "events.0.tool_use_id");
    }
    refuses(&mut play, vec![custom_result(id("w"))], "events.0.custom_tool_use_id");
    play.hears().tool_ends("a").does(&["ask"]);
    refuses(&mut play, vec![allow("a")], "events.0.tool_use_id");
}

#[test]
fn a_call_that_an_interrupt_closed_is_not_answered() {
    let mut play = Play::asking();
    play.answers([asks("a"), custom("w")]).interrupts();
    refuses(&mut play, vec![allow("a")], "events.0.tool_use_id");
    refuses(&mut play, vec![custom_result(id("w"))], "events.0.custom_tool_use_id");
}

#[test]
fn one_event_that_is_refused_refuses_the_request() {
    let mut play = Play::asking();
    play.answers([text("hello")]);
    refuses(&mut play, vec![message("do it"), allow("a")], "events.1.tool_use_id");
}

#[test]
fn results_of_built_in_tools_come_from_the_sandbox() {
    let mut play = Play::asking();
    play.answers([asks("a")]);
    refuses(&mut play, vec![worker_result(id("a"))], "events.0.type");
}

#[test]
fn only_threads_of_the_session_are_interrupted() {
    let mut play = Play::asking();
    let stranger = ClientEvent::Interrupt { thread: Some(ThreadId::from_bits(99)) };
    refuses(&mut play, vec![stranger], "events.0.session_thread_id");
    play.sends(vec![ClientEvent::Interrupt { thread: Some(THREAD) }]).wrote(&["user.interrupt waits"]);
}

#[test]
fn an_archived_session_takes_nothing() {
    let mut play = Play::asking();
    play.answers([asks("a")]);
    play.archives().unwrap();
    for event in [message("hello?"), ClientEvent::Interrupt { thread: None }, allow("a")] {
        let head = play.state.head;
        let refusal = play.tries(vec![event]).unwrap_err();
        assert!(refusal.ended, "{refusal}");
        assert_eq!(play.state.head, head, "what is refused leaves nothing");
    }
}
