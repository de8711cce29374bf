//! Over SQLite: the limit is one thread that commits groups of the same rows, and does nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rusqlite::{Connection, TransactionBehavior, params};
use store::{AnyStore, Directory, SystemClock, SystemRng};
use store_sqlite::SqliteStore;
use tokio::time::Instant;
use wire::Timestamp;

use super::{SESSIONS, drill, on_threads, tell};
use crate::options::Options;
use crate::server;

/// As in the store, like the statements: only what is around them is left out.
const CHECKPOINT: u32 = 8_000;

const INSERT: &str = "INSERT INTO log (session, position, id, thread, at, kind, visibility, refers, body, private)
                      VALUES (?, ?, ?, ?, 0, ?, 1, NULL, ?, '')";

const UPDATE: &str = "UPDATE sessions SET head = ?, epoch = epoch, lease_owner = lease_owner, status = 'running',
                      runnable = 1, summary = ? WHERE id = ?";

pub(super) async fn run(options: &Options, lasting: Duration) -> Result<()> {
    let (raw, ours) = (server::home(options)?, server::home(options)?);
    let path = raw.path().to_owned();
    // The store makes the tables and the sessions, and is closed again.
    let held = on_threads(async move { drill::prepare(&open(&path)?).await }).await?;
    let sessions: Vec<String> = held.iter().map(|held| held.session.to_string()).collect();
    let file = raw.path().join("stead.db");
    let head = held.first().map_or(0, |held| held.head);
    let limit = tokio::task::spawn_blocking(move || commit_groups(file, &sessions, head, lasting)).await??;

    let path = ours.path().to_owned();
    let appends = async move {
        let store = open(&path)?;
        let held = drill::prepare(&store).await?;
        drill::appends(store, held, lasting).await
    };
    let appends = on_threads(appends).await?;
    let limit_is = format!("SQLite itself in one thread, {SESSIONS} appends to a commit");
    tell("SQLite", lasting, appends, limit, &limit_is);
    Ok(())
}

fn open(directory: &Path) -> Result<AnyStore> {
    let directory = Arc::new(Directory::own(directory, &SystemRng)?);
    Ok(Arc::new(SqliteStore::open(directory, Arc::new(SystemClock))?))
}

/// Appends per second.
fn commit_groups(file: PathBuf, sessions: &[String], mut head: u64, lasting: Duration) -> Result<f64> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    let (body, thread, id) = (drill::body(), format!("sthr_{:024}", 1), format!("sevt_{:024}", 1));
    let summary = serde_json::to_string(&drill::summary(Timestamp::default()))?;
    let (mut appends, began) = (0_usize, Instant::now());
    while began.elapsed() < lasting {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(INSERT)?;
            let mut update = transaction.prepare_cached(UPDATE)?;
            for session in sessions {
                for (kind, position) in drill::KINDS.iter().zip(head + 1..) {
                    insert.execute(params![session, position, id, thread, kind, body])?;
                }
                update.execute(params![head + drill::ROWS as u64, summary, session])?;
            }
        }
        transaction.commit()?;
        head += drill::ROWS as u64;
        appends += sessions.len();
    }
    Ok(appends as f64 / began.elapsed().as_secs_f64())
}
