//! What clients see of a log, page by page.

use sqlx::{Postgres, QueryBuilder, Row};
use store::{Page, Read, Result, Shown};
use wire::{SessionId, Timestamp};

use crate::failed;
use crate::line::Line;
use crate::row::{number, parsed, signed, text};

/// Events that are processed, by the row that shows them. A row that processes an input repeats its id, thread and kind, and
/// has its body from there.
const PROCESSED: &str = "
    SELECT l.position, coalesce(l.refers, l.position), l.id, l.thread, l.kind,
           CASE WHEN l.visibility = 3 THEN w.body ELSE l.body END, l.at
    FROM log l LEFT JOIN log w ON w.session = l.session AND w.position = l.refers
    WHERE l.visibility IN (1, 3) AND l.session = ";

/// Inputs that wait.
const WAITING: &str = "
    SELECT l.position, l.position, l.id, l.thread, l.kind, l.body, NULL::bigint
    FROM waiting w JOIN log l ON l.session = w.session AND l.position = w.position
    WHERE w.session = ";

/// Processed events, with those that wait behind them all.
pub(crate) async fn list(line: Line, session: SessionId, read: &Read) -> Result<Vec<Page>> {
    // One moment for both: an input that is taken up in between would be in neither.
    let mut line = line.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let found = both(&mut line, session, read).await;
    line.end(found).await
}

async fn both(line: &mut Line, session: SessionId, read: &Read) -> Result<Vec<Page>> {
    let mut found = Vec::new();
    for waiting in [read.descending, !read.descending] {
        let left = read.limit - found.len();
        let timed = read.from.is_some() || read.to.is_some();
        let after = match (read.after, waiting) {
            (Some(Shown::At(position)), false) | (Some(Shown::Waiting(position)), true) => Some(position),
            // The part that comes first in this order is done.
            (Some(Shown::At(_)), true) if read.descending => continue,
            (Some(Shown::Waiting(_)), false) if !read.descending => continue,
            _ => None,
        };
        if left > 0 && !(waiting && timed) {
            pages(line, session, read, (waiting, after, left), &mut found).await?;
        }
    }
    Ok(found)
}

async fn pages(
    line: &mut Line,
    session: SessionId,
    read: &Read,
    (waiting, after, left): (bool, Option<u64>, usize),
    found: &mut Vec<Page>,
) -> Result<()> {
    let (from, shown): (_, fn(u64) -> Shown) = if waiting { (WAITING, Shown::Waiting) } else { (PROCESSED, Shown::At) };
    let mut sql = QueryBuilder::<Postgres>::new(from);
    sql.push_bind(session.to_string());
    if let Some(thread) = read.thread {
        sql.push(" AND l.thread = ").push_bind(thread.to_string());
    }
    if let Some(from) = read.from {
        sql.push(" AND l.at >= ").push_bind(from.millis());
    }
    if let Some(to) = read.to {
        sql.push(" AND l.at <= ").push_bind(to.millis());
    }
    let (comparison, direction) = if read.descending { (" < ", "DESC") } else { (" > ", "ASC") };
    if let Some(after) = after {
        sql.push(" AND l.position").push(comparison).push_bind(signed(after));
    }
    if !read.kinds.is_empty() {
        sql.push(" AND l.kind = ANY(").push_bind(read.kinds.clone()).push(")");
    }
    sql.push(" ORDER BY l.position ").push(direction).push(" LIMIT ").push_bind(signed(left as u64));
    for row in line.rows(sql.build()).await? {
        let processed_at: Option<i64> = row.try_get(6).map_err(failed)?;
        found.push(Page {
            shown: shown(number(&row, 0)?),
            arrived: number(&row, 1)?,
            id: parsed(&row, 2)?,
            thread: parsed(&row, 3)?,
            kind: text(&row, 4)?,
            body: row.try_get::<&str, _>(5).map_err(failed)?.into(),
            processed_at: processed_at.map(Timestamp::from_millis),
        });
    }
    Ok(())
}
