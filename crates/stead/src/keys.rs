//! `stead keys`: the keys of workers that serve a self-hosted environment.

use std::sync::Arc;

use anyhow::Context;
use api::keys;
use serde_json::{Value, json};
use store::{AnyStore, Directory, OwnError, SystemClock, SystemRng};
use store_postgres::PostgresStore;
use store_sqlite::SqliteStore;

use crate::config::{Config, Secret};
use crate::installation::{make_private, postgres};
use crate::job::Client;
use crate::key;
use crate::server::Place;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key for workers of an environment. It is shown once
    Create {
        /// The environment's id
        #[arg(long)]
        environment: String,
        /// What the key is for, to tell it from others
        #[arg(long)]
        name: Option<String>,
    },
    /// List the keys, the revoked ones too
    List,
    /// Revoke a key, for good and at once
    Revoke {
        /// The key's id, as `list` shows it
        id: String,
    },
}

/// Where the keys are to be found.
pub(crate) enum Reach {
    Store(AnyStore),
    /// The server that owns the data directory.
    Server(Client),
}

pub(crate) async fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    let answer = match find(config).await? {
        Reach::Store(store) => by_store(command, &store).await?,
        Reach::Server(client) => by_server(command, &client).await?,
    };
    println!("{}", serde_json::to_string_pretty(&answer)?);
    Ok(())
}

/// The database itself where others may use it too; beside a server that has it for itself, that server.
pub(crate) async fn find(config: &Config) -> anyhow::Result<Reach> {
    make_private(&config.data_dir)?;
    if let Some(Secret(url)) = &config.database_url {
        return Ok(Reach::Store(Arc::new(PostgresStore::connect(url, postgres(config)).await?)));
    }
    match Directory::own(&config.data_dir, &SystemRng) {
        Ok(directory) => Ok(Reach::Store(Arc::new(SqliteStore::open(Arc::new(directory), Arc::new(SystemClock))?))),
        Err(locked @ OwnError::Locked(_)) => {
            let place = Place::read(&config.data_dir).ok_or(locked)?;
            let key = config.api_key.as_ref().map(|key| key.0.clone()).or_else(|| key::kept(&config.data_dir));
            let key = key.context("a server runs on this data directory: set STEAD_API_KEY to its key")?;
            Ok(Reach::Server(Client::new(&place.url, key.trim())?))
        }
        Err(error) => Err(error.into()),
    }
}

async fn by_store(command: &Command, store: &AnyStore) -> anyhow::Result<Value> {
    Ok(match command {
        Command::Create { environment, name } => {
            serde_json::to_value(keys::create(store, &SystemClock, &SystemRng, environment, name.clone()).await?)?
        }
        Command::List => serde_json::to_value(keys::list(store).await?)?,
        Command::Revoke { id } => serde_json::to_value(keys::revoke(store, &SystemClock, id).await?)?,
    })
}

async fn by_server(command: &Command, client: &Client) -> anyhow::Result<Value> {
    match command {
        Command::Create { environment, name } => {
            client.post("/v1/stead/keys", &json!({"environment_id": environment, "name": name})).await
        }
        Command::List => Ok(client.get("/v1/stead/keys").await?["data"].take()),
        Command::Revoke { id } => {
            // Anything else would be another path.
            let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            anyhow::ensure!(is_plain, "there is no key {id}");
            client.post(&format!("/v1/stead/keys/{id}/revoke"), &json!({})).await
        }
    }
}
