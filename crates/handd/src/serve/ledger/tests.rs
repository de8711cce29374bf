use std::{fs::File, path::Path, sync::mpsc};

use super::*;

fn ledger(path: &Path) -> Ledger {
    let file = File::options().read(true).append(true).create(true).open(path).unwrap();
    let (journal, past) = Journal::open(file).unwrap();
    Ledger::new(journal, past)
}

fn deaf() -> Listener {
    Box::new(|_outcome| {})
}

fn ear() -> (Listener, mpsc::Receiver<Arc<Outcome>>) {
    let (told, hears) = mpsc::channel();
    (Box::new(move |outcome| told.send(outcome).unwrap()), hears)
}

#[test]
fn a_call_is_run_once_however_often_it_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger(&directory.path().join("journal"));
    let (first, first_hears) = ear();
    let (second, second_hears) = ear();
    assert!(matches!(ledger.begin(1, "a", first), Ok(Begun::Run(_))));
    assert!(matches!(ledger.begin(1, "a", second), Ok(Begun::Joined)));
    ledger.finish("a", Outcome::text("done"));
    assert_eq!(*first_hears.recv().unwrap(), Outcome::text("done"));
    assert_eq!(*second_hears.recv().unwrap(), Outcome::text("done"));
    assert!(matches!(ledger.begin(1, "a", deaf()), Ok(Begun::Finished(outcome)) if *outcome == Outcome::text("done")));
}

#[test]
fn a_later_incarnation_knows_what_ended_and_runs_nothing_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let before = ledger(&path);
    for call in ["ended", "cut"] {
        assert!(matches!(before.begin(1, call, deaf()), Ok(Begun::Run(_))));
    }
    before.finish("ended", Outcome::text("done"));
    drop(before);

    let after = ledger(&path);
    let calls = ["ended".to_owned(), "cut".to_owned(), "new".to_owned()];
    let expected = vec![Found::Finished { outcome: Outcome::text("done") }, Found::Unknown, Found::NeverReceived];
    assert_eq!(after.look(1, &calls), Ok(expected));
    assert!(matches!(after.begin(1, "ended", deaf()), Ok(Begun::Finished(_))));
    assert!(matches!(after.begin(1, "cut", deaf()), Err(Denied::Refused(_))));
}

#[test]
fn a_lower_epoch_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger(&directory.path().join("journal"));
    assert_eq!(ledger.admit(5), Ok(()));
    assert_eq!(ledger.admit(4), Err(Denied::Fenced(5)));
    assert!(matches!(ledger.begin(4, "a", deaf()), Err(Denied::Fenced(5))));
    assert_eq!(ledger.look(5, &["a".to_owned()]), Ok(vec![Found::NeverReceived]));
    assert_eq!(ledger.cancel(4, "a"), Err(Denied::Fenced(5)));
}

#[test]
fn outcomes_that_memory_has_dropped_are_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger(&directory.path().join("journal"));
    for number in 0..RECENT + 4 {
        let call = format!("call{number}");
        assert!(matches!(ledger.begin(1, &call, deaf()), Ok(Begun::Run(_))));
        ledger.finish(&call, Outcome::text(call.clone()));
    }
    assert_eq!(lock(&ledger.state).recent.len(), RECENT);
    assert!(
        matches!(ledger.begin(1, "call0", deaf()), Ok(Begun::Finished(outcome)) if *outcome == Outcome::text("call0"))
    );
}

#[test]
fn there_is_an_end_to_calls_at_one_time() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger(&directory.path().join("journal"));
    for number in 0..RUNNING {
        assert!(matches!(ledger.begin(1, &format!("call{number}"), deaf()), Ok(Begun::Run(_))));
    }
    assert!(matches!(ledger.begin(1, "one more", deaf()), Err(Denied::Refused(_))));
    ledger.finish("call0", Outcome::text("done"));
    assert!(matches!(ledger.begin(1, "one more", deaf()), Ok(Begun::Run(_))));
}

#[test]
fn a_cancel_reaches_the_running_call() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger(&directory.path().join("journal"));
    let Ok(Begun::Run(cancel)) = ledger.begin(1, "a", deaf()) else { panic!("it is new") };
    assert_eq!(ledger.cancel(1, "a"), Ok(()));
    assert!(cancel.is_set());
    assert_eq!(ledger.cancel(1, "unheard of"), Ok(()));
}
