//! Stead: the binary. It reads the configuration, wires the crates together and supervises them; it owns no logic.

mod backends;
mod config;
mod db;
mod doctor;
mod egress;
mod installation;
mod job;
mod key;
mod keys;
mod models;
mod others;
mod secrets;
mod server;
mod vaults;
mod worker;
mod workshop;

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
    /// Serve a self-hosted environment with the sandboxes of this machine
    Worker(worker::Arguments),
    /// Say what this machine offers for sandboxes, and what is missing
    Doctor(config::Flags),
    /// Work on the database as a whole, while no server uses it
    #[command(subcommand)]
    Db(db::Command),
    /// Make, list and revoke the keys of workers that serve a self-hosted environment
    #[command(subcommand)]
    Keys(keys::Command),
    /// Look after the keys of stored credentials
    #[command(subcommand)]
    Vault(vaults::Command),
    /// Print the API's OpenAPI document
    Openapi,
    /// Be the way out of sandboxes; servers start it
    #[command(hide = true)]
    Gateway(egress::Arguments),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Command::Gateway(gateway) = &arguments.command {
        gateway.detach()?;
    }
    let quiet = matches!(arguments.command, Command::Run(_) | Command::Doctor(_) | Command::Db(_));
    // What the bus says of its connection is said by Stead itself, in its own words.
    let default = match arguments.command {
        // Who may do what has changed: that is told whoever has changed it.
        Command::Keys(_) | Command::Vault(_) => "error,audit=info",
        _ if quiet => "error",
        _ => "info,async_nats=warn",
    };
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
        Command::Serve(ref flags) => {
            let config = load(flags)?;
            config.ensure_deliberate(flags.i_know_this_is_unsafe)?;
            runtime.block_on(server::serve(config))
        }
        Command::Worker(ref worker) => {
            let config = load(&worker.flags)?;
            config.ensure_deliberate(worker.flags.i_know_this_is_unsafe)?;
            runtime.block_on(worker::run(worker, config))
        }
        Command::Run(ref job) => runtime.block_on(job::run(job, load(&config::Flags::default())?)),
        Command::Doctor(ref flags) => runtime.block_on(doctor::run(&load(flags)?)),
        Command::Db(ref command) => runtime.block_on(db::run(command, &load(&config::Flags::default())?)),
        Command::Keys(ref command) => runtime.block_on(keys::run(command, &load(&config::Flags::default())?)),
        Command::Vault(ref command) => runtime.block_on(vaults::run(command, &load(&config::Flags::default())?)),
        Command::Openapi => {
            print!("{}", api::openapi::document());
            Ok(())
        }
        Command::Gateway(ref gateway) => runtime.block_on(egress::run(gateway)),
    }
}
