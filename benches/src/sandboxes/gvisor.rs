//! Sandboxes on gVisor, made when they are asked for and before, beside gVisor's own program.

use std::time::Duration;

use anyhow::Result;
use hands::Sandbox;
use hands::gvisor::Gvisor;
use hands::namespace::Options as Place;
use hands::pool::{self, Pool};
use tempfile::TempDir;
use testkit::programs;
use tokio::time::Instant;

use super::others;
use super::room::{command, gate, spec};
use crate::options::Options;
use crate::table::{Times, against, ms, row};

/// So that none is made while another is measured.
const ONE: pool::Options = pool::Options { most: 1, remember: Duration::ZERO };

pub(super) async fn run(options: &Options) -> Result<()> {
    let Some(program) = programs::find("runsc").map_err(anyhow::Error::msg)? else { return Ok(()) };
    let directory = TempDir::new_in(&options.directory)?;
    let place = Place { data_dir: directory.path().join("data"), home: "bench".into() };
    let gvisor = match Gvisor::find(place, Some(program.clone())).await {
        Ok(gvisor) => gvisor.with_gate(gate()),
        Err(missing) => {
            eprintln!("skipped: gVisor: {missing}");
            return Ok(());
        }
    };
    if let Err(error) = gvisor.prepare().await {
        eprintln!("skipped: gVisor does not work on this machine: {error}");
        return Ok(());
    }
    let bare = others::runsc(&program, options.fresh_calls)?.median();
    let of_bare = |figure| against("bare `runsc run` of `echo hi`", bare, figure);
    let pool = Pool::new(gvisor, ONE);

    let (daemon, cold) = times(&pool, options.fresh_calls, false).await?;
    let figure = format!("gVisor: cold sandbox to its first result, {} of them, median", cold.count());
    row(&figure, &ms(cold.median()), "1.15 times runsc", &of_bare(cold.median()));

    row("gVisor: of that, until its daemon answers, median", &ms(daemon.median()), "", &of_bare(daemon.median()));

    let (_, ready) = times(&pool, options.fresh_calls, true).await?;
    let figure = format!("gVisor: sandbox from the pool to its first result, {} of them, median", ready.count());
    row(&figure, &ms(ready.median()), "40 ms", &of_bare(ready.median()));
    pool.close().await;
    Ok(())
}

/// Until the daemon answers, and until the first result.
async fn times(pool: &Pool<Gvisor>, repeats: usize, is_ready: bool) -> Result<(Times, Times)> {
    let (mut daemon, mut first) = (Times::default(), Times::default());
    for number in 0..repeats {
        let spec = spec(&format!("gvisor-{number}"));
        if is_ready {
            pool.stock(&spec).await?;
        }
        let started = Instant::now();
        let hand = pool.provision(&spec, 1).await?;
        daemon.push(started.elapsed());
        command(&*hand, "echo hi").await?;
        first.push(started.elapsed());
        pool.destroy(&spec.name, None).await?;
    }
    Ok((daemon, first))
}
