//! `stead vault`: looking after the keys of stored credentials.

use std::sync::Arc;

use anyhow::ensure;
use api::vaults::upkeep::{self, Rotated, Upkeep};
use serde_json::{Value, json};
use store::AnyStore;
use vault::Sealer as _;

use crate::config::Config;
use crate::egress::{self, Egress};
use crate::keys::{Reach, find};
use crate::secrets::Sealing;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a new key, which seals from now on. What is stored stays under the keys before it
    Rotate,
    /// Bring everything that is stored under the newest key. Then no other is needed any more
    Rewrap,
    /// Try whether everything that is stored opens, and count what is under which key
    Check,
}

pub(crate) async fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    let answer = match find(config).await? {
        Reach::Store(store) => by_store(command, config, store).await?,
        Reach::Server(client) => {
            let name = match command {
                Command::Rotate => "rotate",
                Command::Rewrap => "rewrap",
                Command::Check => "check",
            };
            client.post(&format!("/v1/stead/vault/{name}"), &json!({})).await?
        }
    };
    println!("{}", serde_json::to_string_pretty(&answer)?);
    let faults = answer["faults"].as_array().map_or(0, Vec::len);
    ensure!(
        faults == 0,
        "{faults} secrets do not open: give them new values, or put back the keys that they are under"
    );
    Ok(())
}

async fn by_store(command: &Command, config: &Config, store: AnyStore) -> anyhow::Result<Value> {
    let egress = Arc::new(Egress::new(egress::Options::of(config)));
    let sealing = Sealing::new(egress, store.clone());
    let told = |upkeep: Upkeep| serde_json::to_value(upkeep);
    Ok(match command {
        Command::Rotate => serde_json::to_value(Rotated { key: sealing.rotate().await? })?,
        Command::Rewrap => told(upkeep::rewrap(&store, &sealing).await?)?,
        Command::Check => told(upkeep::check(&store, &sealing).await?)?,
    })
}
