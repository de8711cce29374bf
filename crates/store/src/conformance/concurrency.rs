//! Many writers at once: each succeeds or is refused on its own.

use futures::future::join_all;
use session::Stored;
use wire::{EventId, SessionId};

use super::fixture::{LONG, QUEUE, SESSION, WORKSPACE, answer, append, claim, create, document, item, join, message};
use crate::{Answer, Append, Appended, Attempt, Change, Document, Error, Kind, Store};

/// Few, because each of the writers of a session tries again for each of the others.
const SESSIONS: u64 = 4;
const WRITERS: u64 = 8;

/// One writer in each session names a document that is not there, and is refused for it.
const REFUSED: u64 = 7;

fn session(number: u64) -> SessionId {
    SessionId::from_bits(100 + u128::from(number))
}

/// The id of the one row of one writer.
fn row_id(session: u64, writer: u64) -> EventId {
    EventId::from_bits(10_000 + u128::from(session * WRITERS + writer))
}

/// Appends one row, as often as it takes. Returns its position, or none if it was refused.
async fn write(store: &dyn Store, number: u64, writer: u64) -> Option<u64> {
    let mut head = 1;
    loop {
        let row = Stored { id: row_id(number, writer), ..message(head + 1) };
        let absent = Document { version: 2, ..document(Kind::File, "absent") };
        let changes = if writer == REFUSED { vec![Change::Update(absent)] } else { Vec::new() };
        let attempt = Append { changes, ..append(session(number), head, vec![row]) };
        match store.append(attempt).await {
            Ok(appended) => return Some(appended.head),
            Err(Error::Conflict { head: grown }) => {
                assert!(grown > head, "a conflict tells of rows that the writer has not seen");
                head = grown;
            }
            Err(Error::NotFound) if writer == REFUSED => return None,
            Err(other) => panic!("an append beside others fails by nothing but a conflict, not because {other}"),
        }
    }
}

pub(super) async fn appends_succeed_or_conflict_alone(store: &dyn Store) {
    for number in 0..SESSIONS {
        create(store, session(number)).await;
    }
    let writers = (0..SESSIONS).flat_map(|number| (0..WRITERS).map(move |writer| (number, writer)));
    let appends = writers.map(|(number, writer)| async move { (number, writer, write(store, number, writer).await) });
    let written = join_all(appends).await;

    for number in 0..SESSIONS {
        let rows = store.rows(session(number), 1, usize::MAX).await.unwrap();
        let positions: Vec<u64> = rows.iter().map(|row| row.position).collect();
        let dense: Vec<u64> = (2..=WRITERS).collect();
        assert_eq!(positions, dense, "each writer but the one that was refused has a row, without a gap");
        for (_, writer, position) in written.iter().filter(|(of, ..)| *of == number) {
            match position {
                Some(position) => {
                    let row =
                        rows.iter().find(|row| row.position == *position).expect("a writer is told where its row is");
                    assert_eq!(row.id, row_id(number, *writer), "a row is where its writer was told");
                }
                None => assert_eq!(*writer, REFUSED, "only a writer that asks for too much is refused"),
            }
        }
    }
}

pub(super) async fn one_of_many_claims_succeeds(store: &dyn Store) {
    let owners = ["one", "other", "heir"];
    create(store, SESSION).await;
    join(store, &owners).await;
    let outcomes = join_all(owners.map(|owner| store.append(claim(SESSION, 1, owner)))).await;
    let law = "a free lease that many claim at once has one owner, and the others are told so";
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|outcome| outcome.is_ok());
    assert_eq!(won, [Ok(Appended { head: 1, epoch: 1 })], "{law}");
    assert_eq!(lost, [Err(Error::Fenced { epoch: 1 }), Err(Error::Fenced { epoch: 1 })], "{law}");
}

pub(super) async fn one_of_many_attempts_at_a_request_is_answered(store: &dyn Store) {
    // Two repetitions that have found nothing, and the first attempt itself.
    let first = Answer { attempt: Attempt::first("first".into(), None), ..answer("name", "first", 1) };
    let attempts = [answer("name", "second", 1), first, answer("name", "third", 1)];
    let outcomes = join_all(attempts.clone().map(|answer| store.apply(vec![Change::Remember(answer)]))).await;
    let law = "of attempts at one request at once, one is answered, and the others are told so";
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{law}: {outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Error::Exists)).count(), 2, "{law}: {outcomes:?}");
    let remembered = store.answer(WORKSPACE, "name").await.unwrap();
    let accepted = outcomes.iter().position(|outcome| outcome.is_ok()).map(|index| attempts[index].clone());
    assert_eq!(remembered, accepted, "the answer that is remembered is the one that was accepted");
}

pub(super) async fn an_item_is_given_to_one_of_many_takers(store: &dyn Store) {
    let ids: Vec<String> = (0..6).map(|number| format!("item_{number}")).collect();
    let items = ids.iter().map(|id| Change::Enqueue(item(id, 1)));
    store.apply(items.collect()).await.unwrap();
    let takers = [3, 3, 3].map(|limit| store.take(QUEUE, limit, LONG));
    let mut taken: Vec<_> = join_all(takers).await.into_iter().flat_map(|taken| taken.unwrap()).collect();
    // Takers may step aside for each other: what they left is there for the next.
    taken.extend(store.take(QUEUE, 9, LONG).await.unwrap());
    let mut given: Vec<String> = taken.into_iter().map(|taken| taken.item.id).collect();
    given.sort();
    assert_eq!(given, ids, "each item is given to one taker");
}
