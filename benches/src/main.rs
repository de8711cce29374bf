//! What README's figures come from: the release build of the server under a load generator of our own, each figure in
//! one row of a Markdown table beside its goal and a baseline of the same run.
//!
//! Nothing here passes or fails by a time: machines differ, and a slow one is not a defect. The generator and the model
//! stub share the machine with the server, so they run on one thread and do as little as they can.

mod answer;
mod appends;
mod baseline;
mod boot;
mod caching;
mod client;
mod clusters;
mod descriptors;
mod http;
mod latency;
mod list;
mod nodes;
mod options;
mod sandboxes;
mod server;
mod stage;
mod streams;
mod stub;
mod table;
mod tools;
mod turns;
mod waiting;
mod wake;

use anyhow::{Result, bail};

use crate::options::Options;

const USAGE: &str = "benches <bench> [--quick] [option value]…

  boot      from the start of the process to the first answer of /health; memory when idle
  latency   from a user's message to the first preview of the answer, beyond what the model took
  turns     turns per second with many clients at once
  tools     the first tool call of a session, and a warm one
  sandboxes a sandbox alone: cold, warm, put away and brought back, a hundred at once, memory, reading and searching
  streams   memory per idle live stream
  list      a page of sessions when there are many
  appends   durable appends per second of 64 sessions, over SQLite and PostgreSQL
  waiting   memory and previews when many sessions wait for a slow model at once
  nodes     how soon an event reaches a stream on another node, over PostgreSQL and NATS
  wake      a session with a long log: from the first request to the model's, after a start
  caching   how much of a session's input the provider reads from its cache
  all       each of them

  --quick           fewer of everything
  --model ID        claude-bench (Messages API, the default); any other id goes over chat completions
  --turns N         latency, nodes: turns measured (500)
  --clients N       turns: clients at once (20)
  --seconds N       turns, appends: how long (10)
  --streams N       streams: how many (10000)
  --sessions N      list: how many (100000)
  --waiting N       waiting: sessions (5000)
  --events N        wake: rows of the long log (100000)

  STEAD_BIN         the server (target/release/stead)
  STEAD_BENCH_DIR   where the databases are made (target, else the system's temporary directory)";

const ALL: [&str; 12] = [
    "boot",
    "latency",
    "turns",
    "tools",
    "sandboxes",
    "streams",
    "list",
    "appends",
    "waiting",
    "nodes",
    "wake",
    "caching",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first().filter(|(name, _)| !name.contains("help")) else {
        println!("{USAGE}");
        return Ok(());
    };
    let benches: Vec<&str> = if name == "all" { ALL.to_vec() } else { vec![name.as_str()] };
    let options = Options::parse(rest)?;
    table::head(&options)?;
    for bench in benches {
        match bench {
            "boot" => boot::run(&options).await?,
            "latency" => latency::run(&options).await?,
            "turns" => turns::run(&options).await?,
            "tools" => tools::run(&options).await?,
            "sandboxes" => sandboxes::run(&options).await?,
            "streams" => streams::run(&options).await?,
            "list" => list::run(&options).await?,
            "appends" => appends::run(&options).await?,
            "waiting" => waiting::run(&options).await?,
            "nodes" => nodes::run(&options).await?,
            "wake" => wake::run(&options).await?,
            "caching" => caching::run(&options).await?,
            other => bail!("unknown bench `{other}`\n\n{USAGE}"),
        }
    }
    Ok(())
}
