//! Remembered answers: one to a name, to whichever attempt was first to be done.

use session::Visibility;
use wire::{SessionId, WorkspaceId};

use super::fixture::{
    ELSEWHERE, LONG, QUEUE, SESSION, WORKSPACE, answer, append, at, create, creation, document, item, message,
    positions, row,
};
use crate::{Answer, Append, Attempt, Change, Error, Kind, Result, Store};

async fn remember(store: &dyn Store, answer: Answer) -> Result<()> {
    store.apply(vec![Change::Remember(answer)]).await
}

async fn remembered(store: &dyn Store, workspace: WorkspaceId, name: &str) -> Option<Answer> {
    store.answer(workspace, name).await.expect("answers can be read")
}

/// The answer to a first attempt that has found this one.
fn first(id: &str, found: Option<&Answer>) -> Answer {
    Answer { attempt: Attempt::first(id.to_owned(), found), ..answer("name", id, 1) }
}

/// The answer to a repetition that has found this one.
fn again(id: &str, found: Option<&Answer>) -> Answer {
    Answer { attempt: Attempt::again(id.to_owned(), found), ..answer("name", id, 1) }
}

pub(super) async fn an_answer_is_read_as_it_was_written(store: &dyn Store) {
    assert_eq!(remembered(store, WORKSPACE, "name").await, None, "nothing was answered yet");
    let first = answer("name", r#"{"text":"ünï\n\"code\" 🙂"}"#, 1);
    remember(store, first.clone()).await.unwrap();
    assert_eq!(remembered(store, WORKSPACE, "name").await, Some(first.clone()), "an answer is read as it was written");
    let attempt = Attempt::again("next".into(), Some(&first));
    let next = Answer { attempt, status: 500, subject: Some(SESSION), ..answer("name", "next", 11) };
    let next = Answer { fingerprint: "other".into(), ..next };
    remember(store, next.clone()).await.expect("an answer gives way to a repetition that has found it");
    assert_eq!(remembered(store, WORKSPACE, "name").await, Some(next), "nothing of the earlier answer is left");

    assert_eq!(remembered(store, WORKSPACE, "other").await, None, "each name has its own answer");
    assert_eq!(remembered(store, ELSEWHERE, "name").await, None, "each workspace has its own answers");
    let elsewhere = Answer { workspace: ELSEWHERE, ..answer("name", "elsewhere", 12) };
    remember(store, elsewhere).await.expect("one name may stand for requests of two workspaces");
}

pub(super) async fn a_first_attempt_is_refused_if_a_repetition_was_answered_since_it_began(store: &dyn Store) {
    let slow = first("slow", None);
    remember(store, first("one", None)).await.unwrap();
    let other = first("other", None);
    remember(store, other.clone()).await.expect("two first attempts at once are two requests");
    assert_eq!(remembered(store, WORKSPACE, "name").await, Some(other.clone()), "the newest answer stands");

    let repeated = again("repeated", Some(&other));
    remember(store, repeated.clone()).await.expect("a repetition follows the answer that it found");
    let law = "a first attempt does nothing that its repetition has done";
    for late in [slow.clone(), first("late", Some(&other))] {
        assert_eq!(remember(store, late).await, Err(Error::Exists), "{law}");
    }
    assert_eq!(remembered(store, WORKSPACE, "name").await, Some(repeated.clone()), "what is refused changes nothing");

    let anew = first("anew", Some(&repeated));
    remember(store, anew.clone()).await.expect("what was repeated may be sent anew, on purpose");
    assert_eq!(remember(store, slow).await, Err(Error::Exists), "{law}, also if the same was sent anew since");
    assert_eq!(remembered(store, WORKSPACE, "name").await, Some(anew), "what is refused changes nothing");
}

pub(super) async fn a_repetition_is_refused_if_anything_was_answered_since_it_began(store: &dyn Store) {
    let law = "a repetition does nothing that was done since it began";
    let one = first("one", None);
    remember(store, one.clone()).await.unwrap();
    // How long ago the other was answered says nothing: the clocks of nodes differ.
    for second in [1, 11, 1_000_000] {
        let late = Answer { at: at(second), expires_at: at(second + 10), ..again("late", None) };
        assert_eq!(remember(store, late).await, Err(Error::Exists), "{law}: it is second {second}");
    }
    let (fast, slow) = (again("fast", Some(&one)), again("slow", Some(&one)));
    remember(store, fast.clone()).await.expect("a repetition follows the answer that it found");
    assert_eq!(remember(store, slow).await, Err(Error::Exists), "{law}: another repetition was faster");
    assert_eq!(remember(store, fast.clone()).await, Err(Error::Exists), "an attempt is answered once");
    assert_eq!(remembered(store, WORKSPACE, "name").await, Some(fast), "what is refused changes nothing");
}

pub(super) async fn an_answer_is_remembered_with_its_append_or_not_at_all(store: &dyn Store) {
    create(store, SESSION).await;
    let first = answer("first", "first", 1);
    let rows = || vec![row(2, "user.message", Visibility::Waiting)];
    let accepted = Append { changes: vec![Change::Remember(first.clone())], ..append(SESSION, 1, rows()) };
    store.append(accepted).await.unwrap();
    assert_eq!(remembered(store, WORKSPACE, "first").await, Some(first.clone()), "an append's answer is remembered");

    let law = "an append whose answer is refused writes nothing";
    let changes = vec![
        Change::Insert(document(Kind::File, "file_1")),
        Change::Enqueue(item("id", 1)),
        Change::Remember(answer("new", "new", 2)),
        Change::Remember(answer("first", "again", 2)),
    ];
    let refused = Append { runnable: true, changes: changes.clone(), ..append(SESSION, 2, vec![message(3)]) };
    assert_eq!(store.append(refused).await, Err(Error::Exists), "{law}: it is not refused");
    assert_eq!(positions(store, SESSION).await, [1, 2], "{law}: there is a row");
    let head = store.head(SESSION).await.unwrap();
    assert_eq!((head.head, head.runnable), (2, false), "{law}: the header has changed");
    let other = SessionId::from_bits(5);
    let again = Append { changes, ..creation(other) };
    assert_eq!(store.create_session(WORKSPACE, again).await, Err(Error::Exists), "{law}: a session is made");
    assert_eq!(store.head(other).await, Err(Error::NotFound), "{law}: there is a session");
    assert_eq!(store.get(WORKSPACE, Kind::File, "file_1").await, Err(Error::NotFound), "{law}: there is a document");
    assert_eq!(store.take(QUEUE, 9, LONG).await, Ok(Vec::new()), "{law}: there is an item");
    assert_eq!(remembered(store, WORKSPACE, "new").await, None, "{law}: there is another answer");
    assert_eq!(remembered(store, WORKSPACE, "first").await, Some(first), "{law}: the answer has changed");

    let late = Append { changes: vec![Change::Remember(answer("late", "late", 2))], ..append(SESSION, 1, rows()) };
    assert_eq!(store.append(late).await, Err(Error::Conflict { head: 2 }), "the writer has not seen the head");
    assert_eq!(remembered(store, WORKSPACE, "late").await, None, "an append that conflicts leaves no answer");
}

pub(super) async fn expired_answers_are_forgotten(store: &dyn Store) {
    let answers = [("early", 1), ("just", 2), ("late", 3)].map(|(name, second)| answer(name, name, second));
    store.apply(answers.clone().map(Change::Remember).into()).await.unwrap();
    assert_eq!(store.forget_answers(at(10)).await, Ok(0), "none has expired");
    assert_eq!(store.forget_answers(at(12)).await, Ok(2), "an answer has expired from its time on");
    assert_eq!(store.forget_answers(at(12)).await, Ok(0), "an answer is forgotten once");
    let [early, just, late] = answers;
    for forgotten in [early, just] {
        assert_eq!(remembered(store, WORKSPACE, &forgotten.name).await, None, "what is forgotten is not told");
    }
    assert_eq!(remembered(store, WORKSPACE, "late").await, Some(late), "what has not expired stays");
}

pub(super) async fn answers_are_forgotten_with_the_session_that_they_tell_of(store: &dyn Store) {
    let other = SessionId::from_bits(5);
    let of = |name: &str, subject| Answer { subject, ..answer(name, name, 1) };
    let (made, sent) = (of("made", Some(SESSION)), of("sent", Some(SESSION)));
    let (elsewhere, nowhere) = (of("elsewhere", Some(other)), of("nowhere", None));
    let changes = creation(SESSION).changes.into_iter().chain([Change::Remember(made)]);
    store.create_session(WORKSPACE, Append { changes: changes.collect(), ..creation(SESSION) }).await.unwrap();
    create(store, other).await;
    let changes = [sent.clone(), elsewhere.clone(), nowhere.clone()].map(Change::Remember).into();
    let working = Append { runnable: true, changes, ..append(SESSION, 1, vec![message(2)]) };
    store.append(working).await.unwrap();

    assert_eq!(store.delete_session(SESSION).await, Err(Error::InUse), "it has work to do");
    assert_eq!(remembered(store, WORKSPACE, "sent").await, Some(sent), "a session that stays keeps its answers");
    store.append(append(SESSION, 2, vec![message(3)])).await.unwrap();
    store.delete_session(SESSION).await.unwrap();
    for forgotten in ["made", "sent"] {
        assert_eq!(remembered(store, WORKSPACE, forgotten).await, None, "nothing tells of a deleted session");
    }
    for kept in [elsewhere, nowhere] {
        let name = kept.name.clone();
        assert_eq!(remembered(store, WORKSPACE, &name).await, Some(kept), "what tells of something else stays");
    }
}
