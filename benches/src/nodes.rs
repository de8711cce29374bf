//! How soon what happens on one node reaches a stream on another one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::clusters;
use crate::options::Options;
use crate::server::{Server, Variables};
use crate::stage::Stage;
use crate::stub::Stub;
use crate::table::{Times, against, ms, row};

const WARM_UP: usize = 20;

const DATABASE: &str = "STEAD_DATABASE_URL";

/// Less than this lies between two reads of one thread.
const CLEARLY: Duration = Duration::from_millis(1);

/// After which the nodes know of each other.
const SETTLED: Duration = Duration::from_secs(2);

pub(crate) async fn run(options: &Options) -> Result<()> {
    let Some(postgres) = clusters::postgres()? else {
        clusters::missing("two nodes", "PostgreSQL");
        return Ok(());
    };
    let database = clusters::database(&postgres, "doorbells")?;
    over(options, "PostgreSQL", "20 ms", vec![(DATABASE, database)]).await?;
    let Some(nats) = clusters::nats()? else {
        clusters::missing("two nodes over NATS", "NATS");
        return Ok(());
    };
    let database = clusters::database(&postgres, "nats")?;
    over(options, "NATS", "5 ms", vec![(DATABASE, database), ("STEAD_NATS_URL", nats.url())]).await
}

async fn over(options: &Options, way: &str, goal: &str, variables: Variables) -> Result<()> {
    let stub = Stub::start().await?;
    let mut stage = Stage::set_with(options, stub, &options.model, variables.clone()).await?;
    let other = Server::start_with(options, &stage.stub, variables).await?;
    sleep(SETTLED).await;
    let here = stage.server.address;
    let same = follow(&mut stage, here, options.turns).await?;
    let across = follow(&mut stage, other.address, options.turns).await?;

    let nodes = format!("two nodes over {way}, {} turns", options.turns);
    let events = format!("{nodes}: from the event's own node to a stream on the other");
    tell(&events, goal, &across.events, &same.events)?;
    tell(&format!("{nodes}: the same of a preview"), goal, &across.previews, &same.previews)?;
    if across.missed > 0 {
        let before = format!("both streams on one node: {}", same.missed);
        row(&format!("{nodes}: previews that did not come across"), &across.missed.to_string(), "0", &before);
    }
    if across.ahead > 0 {
        eprintln!("{nodes}: {} frames came first from the other node, which ran their turns", across.ahead);
    }
    other.stop().await?;
    stage.strike().await
}

fn tell(figure: &str, goal: &str, across: &Times, same: &Times) -> Result<()> {
    ensure!(across.count() > 0, "{figure}: nothing was on both streams");
    let beside = |of: fn(&Times) -> Duration| against("both streams on one node", of(same), of(across));
    row(&format!("{figure}, median"), &ms(across.median()), goal, &beside(Times::median));
    row(&format!("{figure}, 99th percentile"), &ms(across.p99()), "", &beside(Times::p99));
    Ok(())
}

/// How much later than the first stream the second one has what both have.
#[derive(Default)]
struct Lags {
    events: Times,
    previews: Times,
    /// Previews that only the first stream had.
    missed: usize,
    /// Frames that the second stream had clearly before the first.
    ahead: usize,
}

/// Turns of one session on the stage's server, with one stream there and a second one at `second`. Both are read on
/// this thread, so that one clock times both.
async fn follow(stage: &mut Stage, second: SocketAddr, turns: usize) -> Result<Lags> {
    let mut talk = stage.talk().await?;
    let mut second = Client::connect(second).await?.listen(&talk.session).await?;
    let mut lags = Lags::default();
    for turn in 0..WARM_UP + turns {
        let (mut first_at, mut seconds) = (HashMap::new(), Vec::new());
        let first = talk.turn("hi", |frame| {
            if frame.name != "ping" {
                first_at.insert(frame.data.to_owned(), (frame.is_preview(), Instant::now()));
            }
        });
        let second = second.turn(|frame| seconds.push((frame.data.to_owned(), Instant::now())));
        tokio::try_join!(first, second)?;
        if turn < WARM_UP {
            continue;
        }
        for (data, second_at) in seconds {
            // A frame is the same text on every node, and no two events of a session have the same.
            let Some((is_preview, first_at)) = first_at.remove(&data) else { continue };
            let times = if is_preview { &mut lags.previews } else { &mut lags.events };
            times.push(second_at.saturating_duration_since(first_at));
            lags.ahead += usize::from(first_at.saturating_duration_since(second_at) > CLEARLY);
        }
        let left = first_at.into_values();
        lags.missed += left.filter(|(is_preview, _)| *is_preview).count();
    }
    Ok(lags)
}
