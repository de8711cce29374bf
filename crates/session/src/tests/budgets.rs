//! Budgets: what happens at the cap, and how work goes on from there. A request costs two cents.

use wire::event::{ClientEvent, Event, Verdict};
use wire::session::{Budget, Money, Status};

use super::play::{LIMITS, Play};
use super::words::{asks, bash, confirmation, custom, custom_result, id, message, system, text};
use crate::{Cost, Entry, Limits, Phase, Refusal};

/// What the brain writes when it may not ask.
const PAUSED: [&str; 3] =
    ["session.thread_status_idle budget_reached", "session.usage", "session.status_idle budget_reached"];
/// What a client writes when work goes on.
const RESUMED: [&str; 3] = ["session.updated", "session.status_running", "session.thread_status_running"];

/// A session whose first message the model has just been asked about. That much counts as told.
fn asking(cents: u64) -> Play {
    let mut play = Play::budgeted(cents);
    play.says("hi").hears().skips();
    play
}

/// A session that was stopped in its turn, before the result of its call went to the model.
fn paused() -> Play {
    let mut play = asking(2);
    play.answers([bash("a")]).tool_ends("a").rests().skips();
    assert_eq!(play.thread().phase, Phase::Paused);
    play
}

/// A session whose turn has ended by itself, and used the budget up.
fn spent() -> Play {
    let mut play = asking(2);
    play.answers([text("hello")]).rests().skips();
    assert_eq!(play.thread().phase, Phase::Resting);
    play
}

fn and_pauses<'a>(rows: &[&'a str]) -> Vec<&'a str> {
    [rows, &PAUSED[..]].concat()
}

fn reason(refusal: Refusal) -> (String, Option<&'static str>) {
    (refusal.path, refusal.code)
}

#[test]
fn a_turn_within_its_budget_ends_like_any_other() {
    asking(3).answers([text("hello")]).rests().wrote(&[
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle end_turn",
    ]);
}

#[test]
fn the_request_that_crosses_the_cap_is_finished() {
    asking(2).answers([text("hello")]).does(&[]).rests().wrote(&[
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle budget_reached",
    ]);
}

#[test]
fn tools_of_the_last_answer_run_and_no_request_follows() {
    let mut play = asking(2);
    play.answers([bash("a")]).wrote(&["agent.tool_use a", "span.model_request_end"]).does(&["run a"]);
    play.tool_ends("a").does(&[]).rests();
    play.wrote(&and_pauses(&["agent.tool_result a"]));
    assert_eq!(play.thread().phase, Phase::Paused);
}

#[test]
fn a_budget_is_told_with_the_usage() {
    let told = |play: &Play| {
        let mut rows = play.log.iter().rev();
        let event = rows.find_map(|row| match &row.entry {
            Entry::Event { event, .. } if event.kind() == "session.usage" => Some(event.clone()),
            _ => None,
        });
        match event.as_deref() {
            Some(Event::SessionUsage { usage, budget }) => (usage.list_cost.clone(), budget.clone()),
            other => panic!("{other:?}"),
        }
    };
    let cents = |amount: &str| Money { amount: amount.into(), currency: "USD".into() };
    assert_eq!(told(&spent()), (Some(cents("2")), Some(Budget::limit(cents("2")))));

    let mut free = Play::asking();
    free.answers([text("hello")]);
    assert_eq!(told(&free), (Some(cents("2")), None));
}

#[test]
fn what_is_queued_waits_at_the_cap() {
    let mut play = asking(2);
    play.says("and this?").answers([text("hello")]).does(&[]).rests();
    play.wrote(&and_pauses(&["user.message waits", "agent.message", "span.model_request_end"]));
    play.allots(Some(100)).unwrap();
    play.wrote(&RESUMED);
    play.hears().wrote(&["user.message processed", "span.model_request_start"]).does(&["ask"]);
}

#[test]
fn at_the_cap_nothing_is_taken_that_starts_more_work() {
    let running = || {
        let mut play = asking(2);
        play.answers([bash("a")]);
        assert!(play.state.is_runnable());
        play
    };
    for mut play in [running(), paused(), spent()] {
        for (events, path) in [
            (vec![message("more")], "events.0.type"),
            (vec![ClientEvent::Interrupt { thread: None }, message("more")], "events.1.type"),
            (vec![system("be brief")], "events.0.type"),
        ] {
            let head = play.state.head;
            let refusal = play.tries(events).unwrap_err();
            for taken in ["user.tool_confirmation", "user.tool_result", "user.custom_tool_result", "user.interrupt"] {
                assert!(refusal.message.contains(taken), "{refusal}");
            }
            assert_eq!((reason(refusal), play.state.head), ((path.to_owned(), None), head));
        }
    }
}

#[test]
fn a_call_that_waits_comes_before_the_budget() {
    let mut play = asking(2);
    play.answers([asks("a")]).rests().wrote(&[
        "agent.tool_use a",
        "span.model_request_end",
        "session.thread_status_idle requires_action a",
        "session.usage",
        "session.status_idle requires_action a",
    ]);
    play.allows("a").hears().does(&["recover a"]).skips();
    play.tool_ends("a").rests().wrote(&and_pauses(&["agent.tool_result a"]));
}

#[test]
fn answers_are_recorded_at_the_cap_and_no_request_follows() {
    let mut play = asking(2);
    play.answers([custom("w"), asks("a"), custom("v")]).skips();
    play.returns("w").wrote(&[
        "user.custom_tool_result w",
        "session.thread_status_idle requires_action a v",
        "session.usage",
        "session.status_idle requires_action a v",
    ]);
    play.sends(vec![confirmation(id("a"), Verdict::Deny, None), custom_result(id("v"))]);
    play.wrote(&[
        "user.tool_confirmation a",
        "user.custom_tool_result v",
        "session.status_running",
        "session.thread_status_running",
    ]);
    play.hears().does(&[]).rests().wrote(&and_pauses(&["agent.tool_result a error"]));
}

#[test]
fn a_session_that_the_budget_stopped_goes_on_where_it_was() {
    for cents in [Some(3), None] {
        let mut play = paused();
        play.allots(cents).unwrap();
        play.wrote(&RESUMED);
        assert_eq!((play.thread().phase.clone(), play.thread().rounds), (Phase::Due, 1), "it is the same turn");
        play.hears().wrote(&["span.model_request_start"]).does(&["ask"]);
        play.answers([text("there it is")]).rests();
    }
}

#[test]
fn a_session_whose_turn_had_ended_stays_at_rest_and_takes_messages_again() {
    let mut play = spent();
    play.allots(Some(3)).unwrap();
    play.wrote(&["session.updated"]);
    play.says("again").hears().does(&["ask"]);
}

#[test]
fn a_budget_changes_while_the_session_works() {
    let mut play = asking(2);
    play.allots(Some(3)).unwrap();
    play.wrote(&["session.updated"]).hears().does(&[]);
    play.answers([bash("a")]).tool_ends("a").does(&["ask"]);
    play.allots(None).unwrap();
    play.answers([bash("b")]).tool_ends("b").does(&["ask"]);
    assert_eq!(play.state.summary().budget, None);
}

#[test]
fn a_raise_while_the_last_tools_run_lets_the_turn_go_on() {
    let mut play = asking(2);
    play.answers([bash("a")]).skips();
    play.allots(Some(3)).unwrap();
    play.wrote(&["session.updated"]).tool_ends("a").does(&["ask"]);
}

#[test]
fn a_raise_does_not_answer_for_the_client() {
    let mut play = asking(2);
    play.answers([asks("a")]).skips();
    play.allots(Some(3)).unwrap();
    play.wrote(&["session.updated"]).hears().wrote(&[]).does(&[]).rests();
    play.allows("a").hears().tool_ends("a").does(&["ask"]);
}

#[test]
fn a_budget_may_be_lowered_to_what_is_not_used_up() {
    let mut play = asking(100);
    play.answers([text("hello")]).skips();
    play.allots(Some(3)).unwrap();
    play.wrote(&["session.updated"]);
    play.allots(Some(3)).unwrap();
    play.wrote(&[]);
    assert_eq!(play.state.budget, Cost::of_cents(3));
}

#[test]
fn a_budget_that_is_not_above_what_was_used_is_refused() {
    for mut play in [paused(), spent()] {
        // The present one among them: it is what the session is stopped by.
        for cents in [2, 1] {
            let refusal = play.allots(Some(cents)).unwrap_err();
            assert_eq!(refusal.message, "budget.max_list_cost must be greater than the session's consumed list cost");
            assert_eq!(reason(refusal), (String::new(), Some("budget_not_raised")));
        }
        play.wrote(&[]);
    }
    let mut play = Play::budgeted(100);
    play.cost = Some(Cost(20_000_000_001));
    play.says("hi").hears().answers([text("hello")]).skips();
    assert_eq!(play.state.totals.cost.money().amount, "2", "as it is told");
    let refusal = play.allots(Some(2)).unwrap_err();
    assert_eq!(reason(refusal), (String::new(), Some("budget_not_raised")), "the exact cost counts");
    play.allots(Some(3)).unwrap();
}

#[test]
fn a_budget_is_set_at_creation_or_never() {
    let refused = |play: &mut Play| reason(play.allots(Some(50)).unwrap_err());
    let create_only = ("budget".to_owned(), Some("budget_create_only"));
    let mut play = Play::new();
    assert_eq!(refused(&mut play), create_only);
    play.allots(None).unwrap();
    play.wrote(&[]);

    let mut play = Play::budgeted(2);
    play.allots(None).unwrap();
    play.wrote(&["session.updated"]);
    assert_eq!(refused(&mut play), create_only, "one that was removed does not come back");
}

#[test]
fn a_model_without_a_price_stops_the_session_until_the_budget_is_removed() {
    let mut play = asking(100);
    play.cost = None;
    play.answers([bash("a")]).tool_ends("a").does(&[]).rests();
    assert_eq!(play.thread().phase, Phase::Paused);
    let refusal = play.allots(Some(1_000)).unwrap_err();
    assert_eq!(reason(refusal), ("budget".to_owned(), Some("model_not_budgetable")));
    play.allots(None).unwrap();
    play.hears().does(&["ask"]);
}

#[test]
fn a_model_that_has_no_price_is_not_asked() {
    let limits = Limits { is_priced: false, ..LIMITS };
    let mut play = Play::created(Cost::of_cents(100), vec![message("hi")], limits);
    play.skips().hears().wrote(&PAUSED).does(&[]).rests();
    play.tries(vec![message("hello?")]).unwrap_err();
    play.interrupts().wrote(&[]);
    for cents in [100, 1_000] {
        let refusal = play.allots(Some(cents)).unwrap_err();
        assert_eq!(reason(refusal), ("budget".to_owned(), Some("model_not_budgetable")), "{cents}");
    }
    play.allots(None).unwrap();
    play.wrote(&RESUMED);
    play.hears().wrote(&["user.message processed", "span.model_request_start"]).does(&["ask"]);

    let mut free = Play::within(limits);
    free.says("hi").hears().does(&["ask"]);
}

#[test]
fn an_interrupt_of_a_session_that_the_budget_stopped_leaves_nothing() {
    for mut play in [paused(), spent()] {
        play.interrupts().interrupts().wrote(&[]).hears().wrote(&[]).does(&[]).rests();
        play.allots(None).unwrap();
        play.says("again").hears().does(&["ask"]);
    }
}

#[test]
fn an_interrupt_at_the_cap_closes_the_calls_that_wait() {
    let mut play = asking(2);
    play.answers([asks("a"), custom("w")]).skips();
    play.interrupts().wrote(&[
        "user.interrupt",
        "agent.tool_result a error",
        "user.custom_tool_result w error",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle budget_reached",
    ]);
    play.interrupts().wrote(&[]);
}

#[test]
fn an_interrupt_at_the_cap_does_not_start_what_is_queued() {
    let mut play = asking(2);
    play.says("and this?").answers([bash("a")]).interrupts().skips();
    play.hears().does(&["abort"]).rests().wrote(&[
        "agent.tool_result a error",
        "user.interrupt processed",
        "session.thread_status_idle end_turn",
        "session.usage",
        "session.status_idle budget_reached",
    ]);
    play.allots(Some(3)).unwrap();
    play.wrote(&RESUMED);
    play.hears().wrote(&["user.message processed", "span.model_request_start"]).does(&["ask"]);
}

#[test]
fn a_turn_that_is_given_up_over_budget_says_so_on_its_thread() {
    let mut play = Play::created(Cost::of_cents(2), vec![message("hi")], Limits { rounds: 1, ..LIMITS });
    play.hears().answers([bash("a")]).skips();
    play.tool_ends("a").rests().wrote(&[
        "agent.tool_result a",
        "session.error exhausted",
        "session.thread_status_idle retries_exhausted",
        "session.usage",
        "session.status_idle budget_reached",
    ]);
}

#[test]
fn a_refusal_over_budget_says_so_on_its_thread() {
    let mut play = asking(2);
    play.refuses([text("I will not")]).rests().wrote(&[
        "agent.message",
        "span.model_request_end",
        "turn.ending",
        "session.thread_status_idle refusal",
        "session.usage",
        "session.status_idle budget_reached",
    ]);
    let idle = play.log.last().unwrap().store().body;
    assert!(idle.contains(r#""stop_details":null"#), "{idle}");
}

#[test]
fn a_session_that_the_budget_stopped_can_be_archived() {
    let mut play = paused();
    play.archives().unwrap();
    assert_eq!(play.state.status, Status::Terminated);
    assert!(play.allots(None).unwrap_err().ended);
}

#[test]
fn the_largest_budget_that_is_read_can_be_counted() {
    let money = |amount: &str| Money { amount: amount.into(), currency: "USD".into() };
    let largest = Budget::limit(money("999999999"));
    let cost = Cost::of_budget(&largest).unwrap();
    assert_eq!(cost.budget(), largest);
    assert_eq!(Cost::of_cents(u64::MAX), None);
    assert_eq!(Cost::of_budget(&Budget::limit(money("a lot"))), None);
}
