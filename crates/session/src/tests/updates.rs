//! Updates of what a session is made with.

use serde_json::Value;
use wire::event::Event;

use super::play::Play;
use super::words::{asks, bash, snapshot, text};
use crate::{Change, Cost, Entry};

fn equips() -> Change {
    Change { agent: Some(Box::new(snapshot())), ..Change::default() }
}

/// The fields of the last `session.updated`, apart from its type.
fn told(play: &Play) -> Vec<(String, Value)> {
    let body = play.log.iter().rev().find(|row| row.store().kind == "session.updated").unwrap().store().body;
    let Value::Object(fields) = serde_json::from_str(&body).unwrap() else { panic!("{body}") };
    fields.into_iter().filter(|(name, _)| name != "type").collect()
}

fn names(play: &Play) -> Vec<String> {
    told(play).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn an_agent_changes_while_the_session_is_idle() {
    let mut play = Play::new();
    play.changes(equips()).unwrap();
    play.wrote(&["session.updated"]);
    assert_eq!(told(&play), [("agent".to_owned(), serde_json::to_value(snapshot()).unwrap())]);

    let mut play = Play::asking();
    play.answers([asks("a")]).rests();
    play.changes(equips()).unwrap();
    play.allows("a").hears().tool_ends("a").does(&["ask"]);
}

#[test]
fn an_agent_changes_while_the_budget_holds_the_session() {
    let mut play = Play::budgeted(2);
    play.says("hi").hears().answers([bash("a")]).tool_ends("a").rests().skips();
    play.changes(equips()).unwrap();
    play.wrote(&["session.updated"]).hears().does(&[]).rests();
}

#[test]
fn an_agent_does_not_change_while_the_session_works() {
    let mut play = Play::asking();
    let title = Some(Some("A title".to_owned()));
    let refusal = play.changes(Change { title, ..equips() }).unwrap_err();
    assert_eq!((refusal.path.as_str(), refusal.ended, refusal.code), ("agent", false, None), "{refusal}");
    play.wrote(&[]);
    play.fails();
    play.changes(equips()).unwrap_err();
    play.interrupts();
    play.changes(equips()).unwrap_err();
    play.hears();
    play.changes(equips()).unwrap();
}

#[test]
fn one_part_that_is_refused_refuses_the_update() {
    let mut play = Play::new();
    let budget = Some(Cost::of_cents(5));
    play.changes(Change { budget, ..equips() }).unwrap_err();
    play.wrote(&[]);
}

#[test]
fn only_what_changed_is_told() {
    let mut play = Play::budgeted(2);
    play.changes(Change { title: Some(Some("A title".to_owned())), ..Change::default() }).unwrap();
    assert_eq!(told(&play), [("title".to_owned(), Value::from("A title"))]);
    // The budget that it has already is no change.
    play.changes(Change { title: Some(None), budget: Some(Cost::of_cents(2)), ..Change::default() }).unwrap();
    assert_eq!(told(&play), [("title".to_owned(), Value::Null)]);
    play.changes(Change { budget: Some(Cost::of_cents(7)), ..equips() }).unwrap();
    assert_eq!(names(&play), ["agent", "budget"]);
    play.allots(None).unwrap();
    assert_eq!(told(&play), [("budget".to_owned(), Value::Null)]);
}

#[test]
fn an_update_is_read_as_it_was_written() {
    let mut play = Play::budgeted(2);
    play.changes(Change { budget: Some(Cost::of_cents(7)), ..equips() }).unwrap();
    let Entry::Event { event, .. } = &play.log.last().unwrap().entry else { panic!() };
    let Event::SessionUpdated { agent, budget, .. } = &**event else { panic!("{event:?}") };
    assert_eq!(agent.as_deref(), Some(&snapshot()));
    assert_eq!(budget.clone(), Some(Cost::of_cents(7).map(Cost::budget)));
    assert_eq!(play.state.budget, Cost::of_cents(7));
    assert_eq!(play.refolded(), play.state);
}

#[test]
fn an_update_of_nothing_leaves_nothing() {
    let mut play = Play::new();
    play.changes(Change::default()).unwrap();
    play.wrote(&[]);
}

#[test]
fn an_archived_session_does_not_change() {
    let mut play = Play::asking();
    play.answers([text("hello")]).rests();
    play.archives().unwrap();
    for change in [Change::default(), equips(), Change { title: Some(None), ..Change::default() }] {
        assert!(play.changes(change).unwrap_err().ended);
    }
}
