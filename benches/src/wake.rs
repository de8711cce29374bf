//! How long a session with a long log takes from the first request after a start to the model's.

mod story;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use serde_json::Value;
use store::{Append, Directory, Lease, SessionLog, SystemClock, SystemRng};
use store_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};
use wire::SessionId;

use self::story::Story;
use crate::client::Client;
use crate::options::Options;
use crate::server::{Server, Variables, data};
use crate::stage::Stage;
use crate::stub::Stub;
use crate::table::{Times, against, ms, row};

/// Rows of the baseline's session.
const FEW: usize = 20;

/// Rows in one append.
const TOGETHER: usize = 1_000;

/// After which nothing of the start is still under way.
const SETTLED: Duration = Duration::from_secs(2);

/// Longer than any session takes to wake.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(options: &Options) -> Result<()> {
    let mut stage = Stage::set(options).await?;
    let (long, short) = (stage.session().await?, stage.session().await?);
    let (stub, mut home) = stage.leave().await?;
    let (events, few) = write(home.path(), (&long, options.events), (&short, FEW)).await?;

    let (mut folded, mut restored, mut baseline) = (Times::default(), Times::default(), Times::default());
    for _ in 0..options.wakes {
        forget_snapshots(home.path())?;
        home = wake(home, options, &stub, &long, &mut folded).await?;
        ensure!(has_snapshot(home.path(), &long)?, "the server has kept no snapshot of a long session");
        home = wake(home, options, &stub, &long, &mut restored).await?;
        home = wake(home, options, &stub, &short, &mut baseline).await?;
    }
    let figure = format!("{events} events: from the first GET and POST after a start to the model request");
    let beside = |times: &Times| against(&format!("{few} events"), baseline.median(), times.median());
    let starts = format!("{} starts, median", options.wakes);
    row(&format!("{figure}, with a snapshot, {starts}"), &ms(restored.median()), "50 ms", &beside(&restored));
    row(&format!("{figure}, without one, {starts}"), &ms(folded.median()), "", &beside(&folded));
    Ok(())
}

/// Plays stories until each session has so many rows, straight into the database of a server that is not running.
/// Returns how many they have.
async fn write(home: &Path, long: (&str, usize), short: (&str, usize)) -> Result<(u64, u64)> {
    let directory = Arc::new(Directory::own(&data(home), &SystemRng)?);
    let store = SqliteStore::open(directory, Arc::new(SystemClock))?;
    Ok((play(&store, long.0, long.1).await?, play(&store, short.0, short.1).await?))
}

async fn play(store: &SqliteStore, session: &str, events: usize) -> Result<u64> {
    let session: SessionId = session.parse()?;
    let mut story = Story::after(&store.rows(session, 0, TOGETHER).await?)?;
    let events = u64::try_from(events)?;
    while story.head() < events {
        let expected_head = story.head();
        let rows = story.tell(events.min(expected_head + TOGETHER as u64))?;
        let append = Append {
            session,
            expected_head,
            lease: Lease::None,
            rows: rows.into(),
            summary: story.summary(),
            runnable: false,
            changes: Vec::new(),
        };
        store.append(append).await?;
    }
    Ok(story.head())
}

/// Starts the server, wakes the session, and stops the server once the turn has ended.
async fn wake(home: TempDir, options: &Options, stub: &Stub, session: &str, times: &mut Times) -> Result<TempDir> {
    let server = Server::start_in(home, options, stub, Variables::new()).await?;
    sleep(SETTLED).await;
    let mut client = Client::connect(server.address).await?;
    let path = format!("/v1/sessions/{session}");
    let mut asked_at = stub.asked_at();
    let began = Instant::now();
    client.get(&path).await?;
    client.say(session, "hi").await?;
    timeout(PATIENCE, asked_at.changed()).await.context("the model was never asked")??;
    let asked_at = (*asked_at.borrow()).context("the model was asked at no time")?;
    times.push(asked_at.duration_since(began));
    while !is_idle(&mut client, &path).await? {
        ensure!(began.elapsed() < PATIENCE, "the turn of {session} does not end");
        sleep(Duration::from_millis(5)).await;
    }
    server.stop().await
}

async fn is_idle(client: &mut Client, path: &str) -> Result<bool> {
    let session: Value = serde_json::from_slice(&client.get(path).await?)?;
    Ok(session["status"] == "idle")
}

/// Makes every session one that has never been folded.
fn forget_snapshots(home: &Path) -> Result<()> {
    database(home)?.execute("DELETE FROM snapshots", [])?;
    Ok(())
}

fn has_snapshot(home: &Path, session: &str) -> Result<bool> {
    Ok(database(home)?.prepare("SELECT 1 FROM snapshots WHERE session = ?")?.exists([session])?)
}

fn database(home: &Path) -> Result<Connection> {
    let connection = Connection::open(data(home).join("stead.db"))?;
    // The store that wrote the story may still be closing it.
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}
