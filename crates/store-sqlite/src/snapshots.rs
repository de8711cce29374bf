//! Snapshots: one to a session, the latest.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use store::{Result, Snapshot};
use wire::SessionId;

use crate::failed;

pub(crate) fn find(connection: &Connection, session: SessionId) -> rusqlite::Result<Option<Snapshot>> {
    let mut statement = connection.prepare_cached("SELECT position, format, body FROM snapshots WHERE session = ?")?;
    let found = statement.query_row([session.to_string()], |row| {
        Ok(Snapshot { position: row.get(0)?, format: row.get(1)?, body: row.get(2)? })
    });
    found.optional()
}

pub(crate) fn keep(transaction: &Transaction<'_>, session: SessionId, snapshot: &Snapshot) -> Result<()> {
    let sql = "INSERT INTO snapshots (session, position, format, body)
               SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?1)
               ON CONFLICT (session) DO UPDATE SET
                 position = excluded.position, format = excluded.format, body = excluded.body
               WHERE excluded.position >= snapshots.position";
    let values = params![session.to_string(), snapshot.position, snapshot.format, snapshot.body];
    transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map(|_| ()).map_err(failed)
}
