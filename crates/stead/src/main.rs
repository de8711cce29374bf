//! Stead: the binary. It reads the configuration, wires the crates together and supervises them; it owns no logic.

mod config;
mod db;
mod installation;
mod job;
mod key;
mod models;
mod others;
mod server;

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An open, self-hosted server for long-running AI agents
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    /// Configuration file; stead.toml in the working directory if it is there
    #[arg(long, global = true, env = "STEAD_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API
    Serve(config::Flags),
    /// Run one job to its end, and save what it leaves
    Run(job::Arguments),
    /// Say what this machine offers for sandboxes, and what is missing
    Doctor(config::Flags),
    /// Work on the database as a whole, while no server uses it
    #[command(subcommand)]
    Db(db::Command),
    /// Print the API's OpenAPI document
    Openapi,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let quiet = matches!(arguments.command, Command::Run(_) | Command::Doctor(_) | Command::Db(_));
    // What the bus says of its connection is said by Stead itself, in its own words.
    let default = if quiet { "error" } else { "info,async_nats=warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("STEAD_LOG").unwrap_or_else(|_| default.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime could not start")?;
    let load = |flags: &config::Flags| config::Config::load(arguments.config.as_deref(), flags);
    match arguments.command {
        Command::Serve(ref flags) => runtime.block_on(server::serve(load(flags)?)),
        Command::Run(ref job) => runtime.block_on(job::run(job, load(&config::Flags::default())?)),
        Command::Doctor(ref flags) => runtime.block_on(server::doctor(load(flags)?)),
        Command::Db(ref command) => runtime.block_on(db::run(command, &load(&config::Flags::default())?)),
        Command::Openapi => {
            print!("{}", api::openapi::document());
            Ok(())
        }
    }
}
