//! Remembered answers: one to a request, as long as it has not expired.

use session::Visibility;
use wire::{SessionId, WorkspaceId};

use super::fixture::{
    ELSEWHERE, LONG, QUEUE, SESSION, WORKSPACE, answer, append, at, create, creation, document, item, message,
    positions, row,
};
use crate::{Answer, Append, Change, Error, Kind, Result, Store};

async fn remember(store: &dyn Store, answer: Answer) -> Result<()> {
    store.apply(vec![Change::Remember(answer)]).await
}

/// What was remembered under the name. Whether it replaced another need not be.
async fn remembered(store: &dyn Store, workspace: WorkspaceId, name: &str) -> Option<Answer> {
    let found = store.answer(workspace, name).await.expect("answers can be read");
    found.map(|found| Answer { replaces: false, ..found })
}

pub(super) async fn an_answer_stands_until_it_expires_or_is_replaced(store: &dyn Store) {
    assert_eq!(remembered(store, WORKSPACE, "name").await, None, "nothing was answered yet");
    let first = answer("name", r#"{"text":"ünï\n\"code\" 🙂"}"#, 1);
    remember(store, first.clone()).await.unwrap();
    assert_eq!(remembered(store, WORKSPACE, "name").await, Some(first.clone()), "an answer is read as it was written");
    for second in [1, 2, 10] {
        let again = Answer { fingerprint: "other".into(), ..answer("name", "again", second) };
        assert_eq!(remember(store, again).await, Err(Error::Exists), "the answer stands at second {second}");
    }
    assert_eq!(remembered(store, WORKSPACE, "name").await, Some(first), "what is refused changes nothing");

    let next = answer("name", "next", 11);
    remember(store, next.clone()).await.expect("an answer stands until its time is over");
    assert_eq!(remembered(store, WORKSPACE, "name").await, Some(next), "a new answer takes the expired one's place");
    let better = Answer { status: 500, ..answer("name", "better", 12) };
    remember(store, Answer { replaces: true, ..better.clone() }).await.expect("an answer may be replaced");
    assert_eq!(remembered(store, WORKSPACE, "name").await, Some(better), "the answer that replaces is remembered");

    assert_eq!(remembered(store, WORKSPACE, "other").await, None, "each name has its own answer");
    assert_eq!(remembered(store, ELSEWHERE, "name").await, None, "each workspace has its own answers");
    let elsewhere = Answer { workspace: ELSEWHERE, ..answer("name", "elsewhere", 12) };
    remember(store, elsewhere).await.expect("one name may stand for requests of two workspaces");
    let first_to_replace = Answer { replaces: true, ..answer("other", "first", 12) };
    remember(store, first_to_replace).await.expect("what replaces need not find anything");
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
