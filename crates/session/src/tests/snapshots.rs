//! Logs and snapshots as other versions and other brains left them.

use wire::event::StopReason;
use wire::{EventId, Timestamp};

use super::play::{LIMITS, Play, THREAD, TOKENS};
use super::words::{asks, bash, custom, custom_result, id, message, system, text, thought};
use crate::{
    CallState, Cost, Entry, Hidden, Limits, Note, Phase, Row, State, Stored, Summary, Tokens, Visibility, Window,
};

/// A long play in which a good deal happens.
fn saga() -> Play {
    let window = Window { compact_at: 100, clear_at: Some(60), keep_results: 1 };
    let limits = Limits { rounds: 20, window: Some(window), ..LIMITS };
    let mut play = Play::created(Cost::of_cents(14), vec![message("hi")], limits);
    play.hears().provisions().answers([thought(), bash("a"), asks("b"), custom("w")]).tool_ends("a");
    play.sends(vec![custom_result(id("w")), system("be brief")]).allows("b").hears().tool_ends("b");
    play.tokens = Tokens { input: 60, ..Tokens::default() };
    play.answers([bash("c")]).tool_ends("c").fails().retries();
    play.tokens = Tokens { input: 100, ..Tokens::default() };
    play.says("hurry").answers([text("well")]).does(&["compact"]);
    play.tokens = TOKENS;
    play.compacts().overflows().compacts().answers([asks("d")]).dies().says("still there?").denies("d", Some("no"));
    play.hears().answers([text("done")]).does(&["collect"]).interrupts().hears().does(&["abort"]).rests();
    play.allots(Some(16)).unwrap();
    play.says("one more").hears().answers([bash("e")]).tool_ends("e").rests();
    assert_eq!(play.thread().phase, Phase::Paused);
    play
}

#[test]
fn a_snapshot_stands_for_the_rows_before_it() {
    let play = saga();
    for rows in 1..=play.log.len() {
        assert_eq!(play.resumed(rows), play.state, "from a snapshot after {rows} rows");
    }
}

#[test]
fn every_phase_survives_a_snapshot() {
    let phases = [
        Phase::Resting,
        Phase::Due,
        Phase::Asking(EventId::from_bits(7)),
        Phase::Compacting(EventId::from_bits(7)),
        Phase::Acting,
        Phase::Ending { stop: StopReason::EndTurn, details: None },
        Phase::Backing(Timestamp::from_millis(7)),
        Phase::Paused,
    ];
    let mut state = Play::asking().state;
    for phase in phases {
        let thread = state.threads.get_mut(&THREAD).unwrap();
        thread.phase = phase;
        thread.context_tokens = u64::MAX;
        let snapshot = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&snapshot).unwrap(), state);
    }
}

#[test]
fn every_state_of_a_call_survives_a_snapshot() {
    let mut play = Play::asking();
    play.answers([bash("a")]);
    for state in [CallState::Ready, CallState::Asked, CallState::Refused("no".into()), CallState::Settled] {
        play.state.threads.get_mut(&THREAD).unwrap().calls[0].state = state;
        let snapshot = serde_json::to_string(&play.state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&snapshot).unwrap(), play.state);
    }
}

fn private(note: &str) -> Stored {
    Stored {
        position: 1,
        id: EventId::from_bits(1),
        thread: THREAD,
        at: Timestamp::from_millis(0),
        kind: "session.created".into(),
        visibility: Visibility::Private,
        body: "".into(),
        private: note.into(),
    }
}

fn created(budget: Option<Cost>) -> Note {
    Note::Created { agent_name: "Agent".into(), budget, is_self_hosted: false }
}

#[test]
fn a_log_from_before_there_were_budgets_is_read() {
    let row = Row::load(&private(r#"{"note":"created","agent_name":"Agent"}"#), |_| None).unwrap();
    assert_eq!(row.entry, Entry::Note(created(None)));
    assert_eq!(State::begin(&row).unwrap().budget, None);
}

#[test]
fn a_budget_is_kept_with_the_creation() {
    let entry = Entry::Note(created(Cost::of_cents(5)));
    let row = Row { position: 1, id: EventId::from_bits(1), thread: THREAD, at: Timestamp::from_millis(0), entry };
    let read = Row::load(&row.store(), |_| None).unwrap();
    assert_eq!(read, row);
    assert_eq!(State::begin(&read).unwrap().budget, Cost::of_cents(5));
}

#[test]
fn a_compaction_from_before_anything_was_kept_is_read() {
    let body = r#"{"type":"agent.thread_context_compacted"}"#.into();
    let stored = Stored { visibility: Visibility::Shown, body, ..private(r#"{"of":"compacted","summary":"so far"}"#) };
    let row = Row::load(&stored, |_| None).unwrap();
    let Entry::Event { hidden, .. } = &row.entry else { panic!("{row:?}") };
    assert_eq!(*hidden, Some(Hidden::Compacted { summary: "so far".into(), system: Vec::new(), keeps: false }));
    assert_eq!(row.store().private, stored.private);
}

#[test]
fn an_update_and_a_usage_from_before_there_were_budgets_are_read() {
    for body in [
        r#"{"type":"session.updated","title":"A title"}"#,
        r#"{"type":"session.usage","usage":{"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0,
            "cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"active_seconds":0.0},
            "budget":null}"#,
    ] {
        let stored = Stored { visibility: Visibility::Shown, body: body.into(), ..private("") };
        Row::load(&stored, |_| None).unwrap();
    }
}

#[test]
fn a_summary_from_before_there_were_budgets_is_read() {
    let mut summary = serde_json::to_value(Play::budgeted(2).state.summary()).unwrap();
    assert!(summary.as_object_mut().unwrap().remove("budget").is_some());
    assert_eq!(serde_json::from_value::<Summary>(summary).unwrap().budget, None);
}
