//! What clients see of a log: its order, its pages, its filters, and which inputs they have seen.

use session::{Stored, Visibility};
use wire::{SessionId, ThreadId};

use super::fixture::{SESSION, THREAD, append, at, create, row};
use crate::{Page, Read, Shown, Store};

const OTHER: ThreadId = ThreadId::from_bits(77);

/// Where [`converse`] leaves the events, in ascending order. Rows 1 and 3 are private.
const SHOWN: [Shown; 8] = [
    Shown::At(4),
    Shown::At(5),
    Shown::At(8),
    Shown::At(9),
    Shown::At(10),
    Shown::At(11),
    Shown::Waiting(6),
    Shown::Waiting(12),
];

/// A session with a message that was taken up, an interrupt that overtook one, and messages that wait.
async fn converse(store: &dyn Store) -> Vec<Stored> {
    create(store, SESSION).await;
    let mut rows = vec![
        row(2, "user.message", Visibility::Waiting),
        row(3, "hand.provisioned", Visibility::Private),
        row(4, "session.status_running", Visibility::Shown),
        row(5, "user.message", Visibility::Processes(2)),
        row(6, "user.message", Visibility::Waiting),
        row(7, "user.interrupt", Visibility::Waiting),
        row(8, "agent.message", Visibility::Shown),
        row(9, "user.interrupt", Visibility::Processes(7)),
        row(10, "user.custom_tool_result", Visibility::Shown),
        row(11, "agent.message", Visibility::Shown),
        row(12, "user.message", Visibility::Waiting),
    ];
    for (processing, input) in [(3, 0), (7, 5)] {
        rows[processing].id = rows[input].id;
    }
    rows[9].thread = OTHER;
    store.append(append(SESSION, 1, rows.clone())).await.unwrap();
    rows
}

async fn list(store: &dyn Store, read: Read) -> Vec<Page> {
    store.list(SESSION, read).await.expect("events can be listed")
}

async fn shown(store: &dyn Store, read: Read) -> Vec<Shown> {
    list(store, read).await.iter().map(|page| page.shown).collect()
}

fn all() -> Read {
    Read { limit: usize::MAX, ..Read::default() }
}

pub(super) async fn processed_events_come_first_and_waiting_ones_last(store: &dyn Store) {
    let rows = converse(store).await;
    let pages = list(store, all()).await;
    let places: Vec<Shown> = pages.iter().map(|page| page.shown).collect();
    assert_eq!(places, SHOWN, "ascending: by the row that shows the event, then what waits");
    for page in &pages {
        let (by, arrived) = match page.shown {
            Shown::At(5) => (5, 2),
            Shown::At(9) => (9, 7),
            Shown::At(position) | Shown::Waiting(position) => (position, position),
        };
        let [arrival, row] = [arrived, by].map(|position: u64| &rows[position as usize - 2]);
        let processed_at = matches!(page.shown, Shown::At(_)).then_some(row.at);
        let expected = Page {
            shown: page.shown,
            arrived,
            id: arrival.id,
            thread: arrival.thread,
            kind: arrival.kind.clone(),
            body: arrival.body.clone(),
            processed_at,
        };
        assert_eq!(*page, expected, "an event shows what arrived, at the time of the row that processes it");
    }

    let mut backwards = SHOWN;
    backwards.reverse();
    let descending = Read { descending: true, ..all() };
    assert_eq!(shown(store, descending).await, backwards, "descending is the exact reverse");
}

pub(super) async fn pages_in_either_order_make_up_the_whole(store: &dyn Store) {
    converse(store).await;
    for descending in [false, true] {
        let mut whole = SHOWN;
        if descending {
            whole.reverse();
        }
        for limit in 1..=SHOWN.len() + 1 {
            let mut paged = Vec::new();
            loop {
                let read = Read { descending, after: paged.last().copied(), limit, ..Read::default() };
                let page = shown(store, read).await;
                assert!(page.len() <= limit, "a page holds at most {limit} events");
                if page.is_empty() {
                    break;
                }
                paged.extend(page);
            }
            assert_eq!(paged, whole, "pages of {limit} make up the whole, descending: {descending}");
        }
    }
}

pub(super) async fn lists_are_filtered_by_kind_thread_and_time(store: &dyn Store) {
    converse(store).await;
    let kinds = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<String>>();
    let messages = Read { kinds: kinds(&["user.message"]), ..all() };
    let cases = [
        ("one kind", messages.clone(), vec![Shown::At(5), Shown::Waiting(6), Shown::Waiting(12)]),
        (
            "two kinds",
            Read { kinds: kinds(&["agent.message", "user.interrupt"]), ..all() },
            vec![Shown::At(8), Shown::At(9), Shown::At(11)],
        ),
        ("a kind that is not there", Read { kinds: kinds(&["agent.thinking"]), ..all() }, vec![]),
        ("a private kind", Read { kinds: kinds(&["hand.provisioned"]), ..all() }, vec![]),
        (
            "a page of one kind",
            Read { limit: 1, after: Some(Shown::At(5)), ..messages.clone() },
            vec![Shown::Waiting(6)],
        ),
        (
            "a page of one kind, descending",
            Read { limit: 2, after: Some(Shown::Waiting(12)), descending: true, ..messages },
            vec![Shown::Waiting(6), Shown::At(5)],
        ),
        ("a thread", Read { thread: Some(OTHER), ..all() }, vec![Shown::At(11)]),
        ("a thread that is not there", Read { thread: Some(ThreadId::from_bits(78)), ..all() }, vec![]),
        ("from a time, without what waits", Read { from: Some(at(10)), ..all() }, vec![Shown::At(10), Shown::At(11)]),
        ("up to a time, without what waits", Read { to: Some(at(5)), ..all() }, vec![Shown::At(4), Shown::At(5)]),
        ("between two times", Read { from: Some(at(5)), to: Some(at(8)), ..all() }, vec![Shown::At(5), Shown::At(8)]),
        ("between no times", Read { from: Some(at(8)), to: Some(at(5)), ..all() }, vec![]),
    ];
    for (what, read, expected) in cases {
        assert_eq!(shown(store, read).await, expected, "filtered by {what}");
    }
    let primary = Read { thread: Some(THREAD), ..all() };
    assert_eq!(shown(store, primary).await.len(), SHOWN.len() - 1, "filtered by the other thread");
}

pub(super) async fn coverage_only_rises(store: &dyn Store) {
    let other = SessionId::from_bits(5);
    create(store, SESSION).await;
    create(store, other).await;
    assert_eq!(store.covered(SESSION, "key").await, Ok(0), "nothing is covered at first");
    for (position, covered) in [(5, 5), (3, 5), (5, 5), (9, 9)] {
        store.cover(SESSION, "key", position).await.unwrap();
        assert_eq!(store.covered(SESSION, "key").await, Ok(covered), "coverage only rises, by {position} too");
    }
    assert_eq!(store.covered(SESSION, "other key").await, Ok(0), "each key has its own coverage");
    assert_eq!(store.covered(other, "key").await, Ok(0), "each session has its own coverage");
}

pub(super) async fn an_input_is_found_after_a_position(store: &dyn Store) {
    converse(store).await;
    let cases = [(0, Some(2)), (1, Some(2)), (2, Some(6)), (6, Some(7)), (7, Some(10)), (10, Some(12)), (12, None)];
    for (after, expected) in cases {
        let found = store.first_input_after(SESSION, after).await;
        assert_eq!(
            found,
            Ok(expected),
            "the first input after {after}: what waited or waits, or was processed as it came"
        );
    }
}
