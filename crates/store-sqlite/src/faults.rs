//! What SQLite finds wrong with its own file.

use rusqlite::Connection;

use crate::failure::{Reason, is_damage};

/// Reads all of the file.
pub(crate) fn faults(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut faults = Vec::new();
    match check(connection, &mut faults) {
        Ok(()) => {}
        // Damage may end the check that looks for it.
        Err(error) if is_damage(&error) => faults.push(error.reason()),
        Err(error) => return Err(error),
    }
    faults.retain(|fault| fault != "ok");
    Ok(faults)
}

fn check(connection: &Connection, faults: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        faults.push(row.get(0)?);
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        faults.push(format!("a row of {table} refers to one of {parent} that is not there"));
    }
    Ok(())
}
