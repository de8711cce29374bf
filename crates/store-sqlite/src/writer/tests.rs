//! Groups that fail: what is acknowledged is there, and what is refused is not.

use std::path::Path;

use futures::future::join_all;
use rusqlite::params;
use store::{Error, SystemClock};

use super::*;
use crate::schema;

fn full() -> Error {
    Error::Failed("the disk is full".into())
}

/// Lets the database grow by this many pages and no more, as a disk would that has room for them.
fn leave_room(connection: &Connection, pages: u32) {
    let now: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let sql = format!("PRAGMA max_page_count = {}", now + pages);
    connection.query_row(&sql, [], |_| Ok(())).unwrap();
}

fn insert(name: &str, bytes: usize) -> impl FnOnce(&Transaction<'_>, i64) -> Result<()> + Send + 'static + use<> {
    let name = name.to_owned();
    move |transaction, _| {
        let sql = "INSERT INTO settings (name, value) VALUES (?, ?)";
        transaction.execute(sql, params![name, "x".repeat(bytes)]).map(|_| ()).map_err(failed)
    }
}

fn names(connection: &Connection) -> Vec<String> {
    let mut statement = connection.prepare("SELECT name FROM settings ORDER BY name").unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(|name| name.unwrap()).collect()
}

fn open(directory: &Path) -> Connection {
    schema::open(&directory.join("stead.db")).unwrap()
}

#[test]
fn a_write_that_is_refused_takes_no_other_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = open(directory.path());
    let (before, mut before_told) = prepare(insert("before", 1));
    let (refused, mut refused_told) = prepare(|transaction, now| {
        insert("refused", 1)(transaction, now)?;
        Err::<(), _>(Error::NotFound)
    });
    let (panics, mut panics_told) = prepare(|transaction, now| -> Result<()> {
        insert("panics", 1)(transaction, now)?;
        panic!("as a defect would")
    });
    let (after, mut after_told) = prepare(insert("after", 1));
    commit(&mut connection, vec![before, refused, panics, after], 0);
    assert_eq!(before_told.try_recv(), Ok(Ok(())));
    assert_eq!(refused_told.try_recv(), Ok(Err(Error::NotFound)));
    assert_eq!(panics_told.try_recv(), Ok(Err(Error::Failed("the write panicked".into()))));
    assert_eq!(after_told.try_recv(), Ok(Ok(())));
    assert_eq!(names(&connection), ["after", "before"]);
}

#[test]
fn a_full_disk_refuses_the_whole_group_and_the_next_one_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = open(directory.path());
    leave_room(&connection, 4);
    let (group, told): (Vec<_>, Vec<_>) = [("before", 1), ("large", 100_000), ("after", 1)]
        .map(|(name, bytes)| prepare(insert(name, bytes)))
        .into_iter()
        .unzip();
    commit(&mut connection, group, 0);
    for mut told in told {
        assert_eq!(told.try_recv(), Ok(Err(full())), "whoever shares the group shares its fate, and is told why");
    }
    assert!(names(&connection).is_empty(), "nothing of the group was written");

    let (small, mut small_told) = prepare(insert("small", 1));
    commit(&mut connection, vec![small], 0);
    assert_eq!(small_told.try_recv(), Ok(Ok(())), "what still has room is written");
    leave_room(&connection, 1_000);
    let (large, mut large_told) = prepare(insert("large", 100_000));
    commit(&mut connection, vec![large], 0);
    assert_eq!(large_told.try_recv(), Ok(Ok(())), "once there is room again, all is written");
    assert_eq!(names(&connection), ["large", "small"]);
}

#[test]
fn a_commit_that_fails_refuses_the_whole_group_and_the_next_one_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = open(directory.path());
    let (group, told): (Vec<_>, Vec<_>) =
        ["one", "two"].map(|name| prepare(insert(name, 1))).into_iter().chain([prepare(orphan())]).unzip();
    commit(&mut connection, group, 0);
    for mut told in told {
        assert!(matches!(told.try_recv(), Ok(Err(Error::Failed(_)))), "no write of the group is acknowledged");
    }
    assert!(names(&connection).is_empty(), "nothing of the group was written");

    let (next, mut next_told) = prepare(insert("next", 1));
    commit(&mut connection, vec![next], 0);
    assert_eq!(next_told.try_recv(), Ok(Ok(())), "the connection is as good as before");
    assert_eq!(names(&connection), ["next"]);
}

/// A write that only the commit finds wrong: a row that refers to one that is not there by then.
fn orphan() -> impl FnOnce(&Transaction<'_>, i64) -> Result<()> + Send + 'static {
    |transaction: &Transaction<'_>, _: i64| {
        let sql = "CREATE TABLE orphans (parent TEXT REFERENCES settings (name) DEFERRABLE INITIALLY DEFERRED);
                   INSERT INTO orphans VALUES ('nobody');";
        transaction.execute_batch(sql).map_err(failed)
    }
}

#[tokio::test]
async fn on_a_disk_that_fills_up_the_acknowledged_writes_are_there_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let connection = open(directory.path());
    leave_room(&connection, 50);
    let writer = Writer::start(connection, Arc::new(SystemClock));
    let (mut kept, mut refused) = (Vec::new(), 0);
    for round in 0..20 {
        let names: Vec<String> = (0..8).map(|number| format!("{round:02}.{number}")).collect();
        let writes = join_all(names.iter().map(|name| writer.write(insert(name, 5_000)))).await;
        for (name, outcome) in names.into_iter().zip(writes) {
            match outcome {
                Ok(()) => kept.push(name),
                Err(error) => {
                    assert_eq!(error, full());
                    refused += 1;
                }
            }
        }
    }
    assert!(!kept.is_empty() && refused > 0, "the disk was filled: {} writes kept, {refused} refused", kept.len());
    let reader = schema::connect(&directory.path().join("stead.db")).unwrap();
    assert_eq!(names(&reader), kept);

    let more_room = |transaction: &Transaction<'_>, _: i64| {
        leave_room(transaction, 1_000);
        Ok(())
    };
    writer.write(more_room).await.unwrap();
    writer.write(insert("later", 5_000)).await.unwrap();
    kept.push("later".to_owned());
    assert_eq!(names(&reader), kept);
}
