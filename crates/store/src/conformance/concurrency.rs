//! Many writers at once: each succeeds or is refused on its own.

use futures::future::join_all;
use session::Stored;
use wire::{EventId, SessionId};

use super::fixture::{append, create, document, message};
use crate::{Append, Change, Document, Error, Kind, Store};

const SESSIONS: u64 = 10;
const WRITERS: u64 = 20;

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
