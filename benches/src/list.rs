//! Whether a list stays quick when the database is full of sessions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::baseline;
use crate::client::Client;
use crate::options::Options;
use crate::stage::Stage;
use crate::table::{Times, mib, ms, row};

const PAGE: &str = "/v1/sessions?limit=20";
const PAGE_SIZE: usize = 20;
const PAGES: usize = 200;
const CREATORS: usize = 16;

/// Sessions between two lines of progress.
const PROGRESS: usize = 5_000;

pub(crate) async fn run(options: &Options) -> Result<()> {
    ensure!(options.sessions >= PAGE_SIZE, "{PAGE_SIZE} sessions are the fewest that fill a page");
    let mut stage = Stage::set(options).await?;
    // A page that is full, from a database that is all but empty.
    create(stage.server.address, &stage.session_body(), 21).await?;
    let few = walk(&mut stage.client, PAGES, false).await?;
    let resident_before = stage.server.resident()?;

    let began = Instant::now();
    create(stage.server.address, &stage.session_body(), options.sessions).await?;
    let rate = options.sessions as f64 / began.elapsed().as_secs_f64();
    let first = walk(&mut stage.client, PAGES, false).await?;
    let following = walk(&mut stage.client, PAGES.min(options.sessions / PAGE_SIZE), true).await?;

    let figure = format!("{} sessions in the database", options.sessions);
    let among_few = |of: fn(&Times) -> Duration| format!("the same page among 21 sessions: {}", ms(of(&few)));
    row(&format!("{figure}: first page of 20, median"), &ms(first.median()), "10 ms", &among_few(Times::median));
    row(&format!("{figure}: first page of 20, 99th percentile"), &ms(first.p99()), "", &among_few(Times::p99));
    let pages = format!("{figure}: {} pages one after another, median", following.count());
    row(&pages, &ms(following.median()), "10 ms", &among_few(Times::median));
    let before = format!("before: {}", mib(resident_before));
    row(&format!("{figure}: resident memory"), &mib(stage.server.resident()?), "", &before);
    let sync = format!("one synced write: {}", ms(baseline::sync(&options.directory)?));
    row(&format!("{figure}: created"), &format!("{rate:.0} per second, {CREATORS} clients"), "", &sync);
    stage.strike().await
}

/// Asks for so many pages: each by the cursor of the one before, or the first one again and again.
async fn walk(client: &mut Client, pages: usize, by_cursor: bool) -> Result<Times> {
    let mut times = Times::default();
    let mut path = PAGE.to_owned();
    for _ in 0..pages {
        let started = Instant::now();
        let page = client.get(&path).await?;
        times.push(started.elapsed());
        let page: Value = serde_json::from_slice(&page)?;
        let found = page["data"].as_array().map_or(0, Vec::len);
        ensure!(found == PAGE_SIZE, "GET {path}: {found} sessions, not a full page");
        if by_cursor {
            path = format!("{PAGE}&page={}", page["next_page"].as_str().context("the pages ended early")?);
        }
    }
    Ok(times)
}

/// Creates sessions over several connections.
async fn create(server: SocketAddr, body: &str, count: usize) -> Result<()> {
    let made = Arc::new(AtomicUsize::new(0));
    let mut creators = JoinSet::new();
    for _ in 0..CREATORS {
        let (made, body) = (Arc::clone(&made), body.to_owned());
        creators.spawn(async move {
            let mut client = Client::connect(server).await?;
            loop {
                let number = made.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(());
                }
                client.post("/v1/sessions", &body).await?;
                if number > 0 && number.is_multiple_of(PROGRESS) {
                    eprintln!("{number} of {count} sessions");
                }
            }
        });
    }
    while let Some(creator) = creators.join_next().await {
        creator.context("a client broke down")??;
    }
    Ok(())
}
