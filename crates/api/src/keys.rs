//! Environment keys: what workers of a self-hosted environment show. Only the digest of a key is kept.
//!
//! An addition to the API, below `/v1/stead`, and for `stead keys`, which may come without a server.

pub(crate) mod routes;

use serde::{Deserialize, Serialize};
use store::{AnyStore, Change, Clock, Document, Error as StoreError, Filter, Kind, Order, Query, Rng};
use wire::environment::{Config, Environment};
use wire::{EnvironmentId, KeyId, Timestamp};

use crate::app::WORKSPACE;
use crate::token;

/// The most keys of one list.
const LISTED: usize = 1_000;

/// A key's document. A key that is revoked is archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: KeyId,
    pub(crate) environment_id: EnvironmentId,
    pub(crate) name: Option<String>,
    pub(crate) digest: String,
}

/// A key, as it is told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvironmentKey {
    pub id: KeyId,
    pub r#type: &'static str,
    pub environment_id: EnvironmentId,
    pub name: Option<String>,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// A key that was just made.
#[derive(Serialize)]
pub struct Made {
    #[serde(flatten)]
    pub about: EnvironmentKey,
    /// Told this once.
    pub key: String,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no environment {0}")]
    NoEnvironment(String),
    #[error("the environment {0} is not self-hosted: no workers serve it")]
    NotSelfHosted(String),
    #[error("the environment {0} is archived")]
    Archived(String),
    #[error("there is no key {0}")]
    NoKey(String),
    #[error(transparent)]
    Store(StoreError),
    #[error("what is stored cannot be read: {0}")]
    Unreadable(String),
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Unreadable(error.to_string())
}

fn told(document: &Document) -> Result<EnvironmentKey, Error> {
    let Record { id, environment_id, name, .. } = serde_json::from_str(&document.body).map_err(unreadable)?;
    let (created_at, revoked_at) = (document.created_at, document.archived_at);
    Ok(EnvironmentKey { id, r#type: "environment_key", environment_id, name, created_at, revoked_at })
}

/// Makes a key for workers of the environment.
pub async fn create(
    store: &AnyStore,
    clock: &dyn Clock,
    rng: &dyn Rng,
    environment: &str,
    name: Option<String>,
) -> Result<Made, Error> {
    let found = match store.get(WORKSPACE, Kind::Environment, environment).await {
        Ok(listed) => listed.document,
        Err(StoreError::NotFound) => return Err(Error::NoEnvironment(environment.to_owned())),
        Err(error) => return Err(Error::Store(error)),
    };
    let found: Environment = serde_json::from_str(&found.body).map_err(unreadable)?;
    if !matches!(found.settings.config, Config::SelfHosted {}) {
        return Err(Error::NotSelfHosted(environment.to_owned()));
    }
    if found.archived_at.is_some() {
        return Err(Error::Archived(environment.to_owned()));
    }
    let id = KeyId::from_bits(rng.bits());
    let minted = token::mint(token::Kind::Environment, id.bits(), rng);
    let record = Record { id, environment_id: found.id, name, digest: minted.digest };
    let body = serde_json::to_string(&record).map_err(unreadable)?;
    let document = Document {
        parent: Some(environment.to_owned()),
        ..Document::new(WORKSPACE, Kind::EnvironmentKey, id, clock.now(), body)
    };
    let about = told(&document)?;
    store.apply(vec![Change::Insert(document)]).await.map_err(Error::Store)?;
    tracing::info!(target: "audit", key = %about.id, environment, "an environment key was made");
    Ok(Made { about, key: minted.text })
}

/// All of them, the revoked ones too, newest first.
pub async fn list(store: &AnyStore) -> Result<Vec<EnvironmentKey>, Error> {
    let query = Query {
        workspace: WORKSPACE,
        kind: Kind::EnvironmentKey,
        filter: Filter { include_archived: true, ..Filter::default() },
        order: Order::NewestFirst,
        after: None,
        limit: LISTED,
    };
    let found = store.query(query).await.map_err(Error::Store)?;
    found.iter().map(|listed| told(&listed.document)).collect()
}

/// What removes the environment's keys.
pub(crate) async fn removal(store: &AnyStore, environment: &str) -> store::Result<Vec<Change>> {
    let filter = Filter { parent: Some(environment.to_owned()), include_archived: true, ..Filter::default() };
    let (kind, order) = (Kind::EnvironmentKey, Order::NewestFirst);
    let query = Query { workspace: WORKSPACE, kind, filter, order, after: None, limit: LISTED };
    let found = store.query(query).await?;
    let remove = |listed: store::Listed| Change::Delete { workspace: WORKSPACE, kind, id: listed.document.id };
    Ok(found.into_iter().map(remove).collect())
}

/// From now on the key opens nothing, on any node. One that is revoked already stays so.
pub async fn revoke(store: &AnyStore, clock: &dyn Clock, id: &str) -> Result<EnvironmentKey, Error> {
    loop {
        let document = match store.get(WORKSPACE, Kind::EnvironmentKey, id).await {
            Ok(listed) => listed.document,
            Err(StoreError::NotFound) => return Err(Error::NoKey(id.chars().take(80).collect())),
            Err(error) => return Err(Error::Store(error)),
        };
        if document.archived_at.is_some() {
            return told(&document);
        }
        let now = clock.now();
        let version = document.version + 1;
        let revoked = Document { version, updated_at: now, archived_at: Some(now), ..document };
        let about = told(&revoked)?;
        match store.apply(vec![Change::Update(revoked)]).await {
            Ok(()) => {
                tracing::info!(target: "audit", key = %about.id, "an environment key was revoked");
                return Ok(about);
            }
            Err(StoreError::Stale { .. }) => {}
            Err(error) => return Err(Error::Store(error)),
        }
    }
}

#[cfg(test)]
mod tests;
