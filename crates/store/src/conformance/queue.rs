//! Queues: each due item to one taker at a time, until one has finished it.

use super::fixture::{BRIEF, FAR, LONG, LOOKS, PAUSE, QUEUE, SESSION, append, create, item, message};
use crate::{Append, Change, Error, Item, Store, Taken};

async fn enqueue(store: &dyn Store, items: impl IntoIterator<Item = Item>) {
    store.apply(items.into_iter().map(Change::Enqueue).collect()).await.expect("items can be enqueued");
}

/// The ids and attempts of what is due, which is hidden then.
async fn take(store: &dyn Store) -> Vec<(String, u32)> {
    let taken = store.take(QUEUE, 9, LONG).await.expect("items can be taken");
    taken.into_iter().map(|taken| (taken.item.id, taken.attempt)).collect()
}

/// Waits until something is due.
async fn take_when_due(store: &dyn Store) -> Taken {
    for _ in 0..LOOKS {
        if let Some(taken) = store.take(QUEUE, 1, LONG).await.expect("items can be taken").pop() {
            return taken;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("an item that is not finished is due again");
}

fn first_attempts(ids: &[&str]) -> Vec<(String, u32)> {
    ids.iter().map(|id| ((*id).to_owned(), 1)).collect()
}

pub(super) async fn due_items_are_taken_earliest_first(store: &dyn Store) {
    assert!(take(store).await.is_empty(), "a queue that nobody has put anything in is empty");
    let later = Item { due_at: FAR, ..item("later", 1) };
    let elsewhere = Item { queue: "other queue".into(), ..item("elsewhere", 1) };
    enqueue(store, [item("c", 30), later, item("a", 10), elsewhere, item("d", 40), item("b", 20)]).await;

    let taken = store.take(QUEUE, 2, LONG).await.unwrap();
    let found: Vec<_> = taken.iter().map(|taken| (&*taken.item.queue, &*taken.item.id, &*taken.item.body)).collect();
    let expected = [(QUEUE, "a", "the body of a"), (QUEUE, "b", "the body of b")];
    assert_eq!(found, expected, "as many as are asked for, the earliest first, as they were enqueued");
    assert!(taken.iter().all(|taken| taken.attempt == 1), "attempts are counted from 1");
    assert_eq!(take(store).await, first_attempts(&["c", "d"]), "what is taken is hidden, and what is not due stays");
    assert!(take(store).await.is_empty(), "everything that is due is taken");
    let elsewhere = store.take("other queue", 9, LONG).await.unwrap();
    assert_eq!(elsewhere.len(), 1, "queues are apart");
    assert_eq!(elsewhere[0].item.id, "elsewhere", "queues are apart");
}

pub(super) async fn an_item_that_is_not_finished_is_due_again(store: &dyn Store) {
    enqueue(store, [item("id", 1)]).await;
    assert_eq!(store.finish(QUEUE, "absent", 1).await, Err(Error::NotFound), "there is no such item");
    assert_eq!(store.finish("other queue", "id", 1).await, Err(Error::NotFound), "the item is in another queue");
    assert_eq!(store.take(QUEUE, 9, BRIEF).await.unwrap().len(), 1, "the item is due");
    let again = take_when_due(store).await;
    assert_eq!((&*again.item.id, again.attempt), ("id", 2), "an item that is not finished in time is due again");
    assert_eq!(again.item.body, "the body of id", "an item stays what it is");

    let law = "an attempt that was overtaken changes nothing";
    assert_eq!(store.finish(QUEUE, "id", 1).await, Err(Error::NotFound), "{law}: it finishes");
    assert_eq!(store.postpone(QUEUE, "id", 1, BRIEF).await, Err(Error::NotFound), "{law}: it postpones");
    store.finish(QUEUE, "id", 2).await.expect("the last attempt finishes");
    assert_eq!(store.finish(QUEUE, "id", 2).await, Err(Error::NotFound), "an item is finished once");
    assert_eq!(store.postpone(QUEUE, "id", 2, BRIEF).await, Err(Error::NotFound), "what is finished is not postponed");
    enqueue(store, [item("id", 1)]).await;
    assert_eq!(take(store).await, first_attempts(&["id"]), "what is finished is gone, so that its id is new again");
}

pub(super) async fn an_item_can_be_postponed(store: &dyn Store) {
    enqueue(store, [item("brief", 1), item("long", 2)]).await;
    assert_eq!(store.postpone(QUEUE, "absent", 1, BRIEF).await, Err(Error::NotFound), "there is no such item");
    assert_eq!(take(store).await, first_attempts(&["brief", "long"]), "both are due");
    store.postpone(QUEUE, "long", 1, LONG).await.expect("a taken item can be postponed");
    store.postpone(QUEUE, "brief", 1, BRIEF).await.expect("a taken item can be postponed");
    let again = take_when_due(store).await;
    let law = "an item is due again after the delay, however long it would have been hidden, and not before";
    assert_eq!((&*again.item.id, again.attempt), ("brief", 2), "{law}");
    assert!(take(store).await.is_empty(), "{law}");
}

pub(super) async fn an_item_is_enqueued_once(store: &dyn Store) {
    let second = Item { body: "second".into(), ..item("id", 1) };
    enqueue(store, [item("id", 1), second.clone()]).await;
    enqueue(store, [second.clone()]).await;
    let taken = store.take(QUEUE, 9, LONG).await.unwrap();
    assert_eq!(taken.len(), 1, "an item whose id is in the queue is left out");
    assert_eq!(taken[0].item.body, "the body of id", "the item that was first stays");
    enqueue(store, [second.clone()]).await;
    assert!(take(store).await.is_empty(), "what is taken is in the queue, too");
    enqueue(store, [Item { queue: "other queue".into(), ..second }]).await;
    assert_eq!(store.take("other queue", 9, LONG).await.unwrap().len(), 1, "each queue has its own ids");
    store.finish(QUEUE, "id", 1).await.expect("an item that is left out does not overtake");
    assert!(take(store).await.is_empty(), "nothing comes after what is finished");
}

pub(super) async fn an_item_is_enqueued_with_its_append_or_not_at_all(store: &dyn Store) {
    create(store, SESSION).await;
    let enqueueing = |head: u64, id: &str| Append {
        changes: vec![Change::Enqueue(item(id, 1))],
        ..append(SESSION, head, vec![message(head + 1)])
    };
    assert_eq!(store.append(enqueueing(2, "early")).await, Err(Error::Conflict { head: 1 }), "there is one row");
    assert!(take(store).await.is_empty(), "an append that conflicts leaves no item");
    store.append(enqueueing(1, "kept")).await.unwrap();
    store.append(enqueueing(2, "kept")).await.expect("an item that is left out does not refuse its append");
    assert_eq!(take(store).await, first_attempts(&["kept"]), "the item of an append is enqueued");
}
