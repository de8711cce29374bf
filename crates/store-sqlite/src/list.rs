//! Lists: what clients see of a log, a page at a time.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use store::{Page, Read, Shown};
use wire::{SessionId, Timestamp};

use crate::row::parsed;

/// Events that are processed, by the row that shows them. A row that processes an input repeats its id, thread and kind, and
/// has its body from there.
const PROCESSED: &str = "
    SELECT l.position, coalesce(l.refers, l.position), l.id, l.thread, l.kind,
           CASE WHEN l.visibility = 3 THEN w.body ELSE l.body END, l.at
    FROM log l LEFT JOIN log w ON w.session = ?1 AND w.position = l.refers
    WHERE l.session = ?1 AND l.visibility IN (1, 3)";

/// Inputs that wait.
const WAITING: &str = "
    SELECT l.position, l.position, l.id, l.thread, l.kind, l.body, NULL
    FROM waiting w JOIN log l ON l.session = w.session AND l.position = w.position
    WHERE w.session = ?1";

/// A page's statement over one of the two: each streams from its index, whatever the length of the log.
fn select(session: SessionId, read: &Read, from: &str, after: Option<u64>, limit: usize) -> (String, Vec<Value>) {
    let mut conditions = String::new();
    let mut values = vec![Value::from(session.to_string())];
    let mut bind = |condition: &str, value: Value| {
        values.push(value);
        conditions.push_str(&format!(" AND {condition} ?{}", values.len()));
    };
    if let Some(thread) = read.thread {
        bind("l.thread =", thread.to_string().into());
    }
    if let Some(from) = read.from {
        bind("l.at >=", from.millis().into());
    }
    if let Some(to) = read.to {
        bind("l.at <=", to.millis().into());
    }
    let (comparison, direction) = if read.descending { ("l.position <", "DESC") } else { ("l.position >", "ASC") };
    if let Some(after) = after {
        bind(comparison, i64::try_from(after).unwrap_or(i64::MAX).into());
    }
    if !read.kinds.is_empty() {
        let first = values.len() + 1;
        values.extend(read.kinds.iter().map(|kind| Value::from(kind.clone())));
        let places: Vec<_> = (first..=values.len()).map(|place| format!("?{place}")).collect();
        conditions.push_str(&format!(" AND l.kind IN ({})", places.join(", ")));
    }
    (format!("{from}{conditions} ORDER BY l.position {direction} LIMIT {limit}"), values)
}

/// Reads at most `limit` events of one of the two.
fn pages(
    connection: &Connection,
    (sql, values): (String, Vec<Value>),
    shown: fn(u64) -> Shown,
    pages: &mut Vec<Page>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        let processed_at = row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis);
        pages.push(Page {
            shown: shown(row.get(0)?),
            arrived: row.get(1)?,
            id: parsed(row, 2)?,
            thread: parsed(row, 3)?,
            kind: row.get(4)?,
            body: row.get_ref(5)?.as_str()?.into(),
            processed_at,
        });
    }
    Ok(())
}

/// A page of what clients see: processed events, with those that wait behind them all.
pub(crate) fn list(connection: &Connection, session: SessionId, read: &Read) -> rusqlite::Result<Vec<Page>> {
    let mut found = Vec::new();
    // One moment for both: an input that is taken up in between would be in neither.
    let transaction = connection.unchecked_transaction()?;
    let timed = read.from.is_some() || read.to.is_some();
    let read_part = |waiting: bool, found: &mut Vec<Page>| {
        // SQLite counts in signed numbers.
        let left = (read.limit - found.len()).min(i32::MAX as usize);
        let after = match (read.after, waiting) {
            (Some(Shown::At(position)), false) | (Some(Shown::Waiting(position)), true) => Some(position),
            // The part that comes first in this order is done.
            (Some(Shown::At(_)), true) if read.descending => return Ok(()),
            (Some(Shown::Waiting(_)), false) if !read.descending => return Ok(()),
            _ => None,
        };
        if left == 0 || (waiting && timed) {
            return Ok(());
        }
        let (from, shown): (_, fn(u64) -> Shown) =
            if waiting { (WAITING, Shown::Waiting) } else { (PROCESSED, Shown::At) };
        pages(&transaction, select(session, read, from, after, left), shown, found)
    };
    read_part(read.descending, &mut found)?;
    read_part(!read.descending, &mut found)?;
    Ok(found)
}
