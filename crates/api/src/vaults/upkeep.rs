//! Looking after all that is sealed: whether it opens, and under which key.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::{AnyStore, Change, Document, Error, Filter, Kind, Order, Query};
use vault::{CredentialRecord, Sealer, Unsealable};
use wire::Problem;

use crate::app::{App, WORKSPACE};
use crate::documents;
use crate::reply::{Refused, Reply, internal, unexpected};

/// Documents that are read at once.
const PAGE: usize = 200;

/// What was found, and done.
#[derive(Debug, Default, Serialize)]
pub struct Upkeep {
    /// Secrets that were looked at.
    pub secrets: u64,
    /// Those that have another key now.
    pub rewrapped: u64,
    /// How many are under which key.
    pub keys: BTreeMap<String, u64>,
    pub faults: Vec<SecretFault>,
}

/// A secret that cannot be used as it is.
#[derive(Debug, Serialize)]
pub struct SecretFault {
    pub vault_id: String,
    pub credential_id: String,
    pub field: &'static str,
    pub reason: String,
}

/// Why it was broken off.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    #[error(transparent)]
    Sealer(Unsealable),
    #[error(transparent)]
    Store(Error),
    #[error("what is stored cannot be read: {0}")]
    Unreadable(String),
}

/// Tries every stored secret. Nothing is changed, and nothing that is opened is told.
pub async fn check(store: &AnyStore, sealer: &dyn Sealer) -> Result<Upkeep, Interrupted> {
    let mut upkeep = Upkeep::default();
    let mut after = None;
    while let Some(document) = next(store, &mut after).await? {
        for document in document {
            look_at(sealer, &read(&document)?, &mut upkeep).await?;
        }
    }
    Ok(upkeep)
}

async fn look_at(sealer: &dyn Sealer, record: &CredentialRecord, upkeep: &mut Upkeep) -> Result<(), Interrupted> {
    for (field, sealed) in &record.secrets {
        upkeep.secrets += 1;
        *upkeep.keys.entry(sealed.key.clone()).or_default() += 1;
        match sealer.check(&record.place(WORKSPACE, *field, sealed.version), sealed).await {
            Ok(()) => {}
            Err(Unsealable::Damaged(reason)) => upkeep.faults.push(fault(record, field.name(), reason)),
            Err(error) => return Err(Interrupted::Sealer(error)),
        }
    }
    Ok(())
}

/// Brings every stored secret under the key that seals now. What cannot be is named, and stays as it is. It may be broken
/// off at any time and begun again.
pub async fn rewrap(store: &AnyStore, sealer: &dyn Sealer) -> Result<Upkeep, Interrupted> {
    let mut upkeep = Upkeep::default();
    let mut after = None;
    while let Some(documents) = next(store, &mut after).await? {
        for document in documents {
            rewrap_one(store, sealer, document, &mut upkeep).await?;
        }
    }
    if upkeep.faults.is_empty() {
        sealer.settle().await.map_err(Interrupted::Sealer)?;
    }
    Ok(upkeep)
}

async fn rewrap_one(
    store: &AnyStore,
    sealer: &dyn Sealer,
    mut document: Document,
    upkeep: &mut Upkeep,
) -> Result<(), Interrupted> {
    loop {
        let mut record = read(&document)?;
        let (mut rewrapped, mut faults) = (0, Vec::new());
        let places: Vec<_> = record.secrets.iter().map(|(field, sealed)| (*field, sealed.clone())).collect();
        for (field, sealed) in places {
            match sealer.rewrap(&record.place(WORKSPACE, field, sealed.version), &sealed).await {
                Ok(None) => {}
                Ok(Some(wrapped)) => {
                    record.secrets.insert(field, wrapped);
                    rewrapped += 1;
                }
                Err(Unsealable::Damaged(reason)) => faults.push(fault(&record, field.name(), reason)),
                Err(error) => return Err(Interrupted::Sealer(error)),
            }
        }
        let body = serde_json::to_string(&record).map_err(|error| Interrupted::Unreadable(error.to_string()))?;
        let (at, archived) = (document.updated_at, document.archived_at);
        let written = match rewrapped {
            0 => Ok(()),
            _ => store.apply(vec![Change::Update(documents::next(&document, body, at, archived))]).await,
        };
        match written {
            Ok(()) => {
                upkeep.secrets += record.secrets.len() as u64;
                upkeep.rewrapped += rewrapped;
                upkeep.faults.extend(faults);
                for sealed in record.secrets.values() {
                    *upkeep.keys.entry(sealed.key.clone()).or_default() += 1;
                }
                return Ok(());
            }
            Err(Error::Stale { .. }) => {
                document = match store.get(WORKSPACE, Kind::Credential, &document.id).await {
                    Ok(listed) => listed.document,
                    Err(Error::NotFound) => return Ok(()),
                    Err(error) => return Err(Interrupted::Store(error)),
                };
            }
            Err(Error::NotFound) => return Ok(()),
            Err(error) => return Err(Interrupted::Store(error)),
        }
    }
}

fn fault(record: &CredentialRecord, field: &'static str, reason: String) -> SecretFault {
    let (vault_id, credential_id) = (record.credential.vault_id.to_string(), record.credential.id.to_string());
    SecretFault { vault_id, credential_id, field, reason }
}

fn read(document: &Document) -> Result<CredentialRecord, Interrupted> {
    let of = |error: serde_json::Error| Interrupted::Unreadable(format!("{}: {error}", document.id));
    serde_json::from_str(&document.body).map_err(of)
}

/// The next page of credentials, or `None` after the last.
async fn next(
    store: &AnyStore,
    after: &mut Option<(wire::Timestamp, String)>,
) -> Result<Option<Vec<Document>>, Interrupted> {
    let query = Query {
        workspace: WORKSPACE,
        kind: Kind::Credential,
        filter: Filter { include_archived: true, ..Filter::default() },
        order: Order::OldestFirst,
        after: after.clone(),
        limit: PAGE,
    };
    let found: Vec<Document> =
        store.query(query).await.map_err(Interrupted::Store)?.into_iter().map(|listed| listed.document).collect();
    if let Some(last) = found.last() {
        *after = Some((last.created_at, last.id.clone()));
    }
    Ok((!found.is_empty()).then_some(found))
}

fn refused(interrupted: Interrupted) -> Refused {
    match interrupted {
        Interrupted::Sealer(error) => told(&error),
        Interrupted::Store(error) => unexpected(error),
        Interrupted::Unreadable(reason) => internal(reason).into(),
    }
}

/// In full: whoever may ask for this runs the server.
fn told(error: &Unsealable) -> Refused {
    tracing::error!(%error, "the vault's keys cannot be used");
    Problem::internal(format!("The vault's keys cannot be used: {error}")).into()
}

/// What a rotation has made.
#[derive(Debug, Serialize)]
pub struct Rotated {
    /// The name of the key that seals from now on.
    pub key: String,
}

pub(crate) async fn post_rotate(State(app): State<App>) -> Reply<Rotated> {
    let key = app.sealer.rotate().await.map_err(|error| told(&error))?;
    tracing::info!(target: "audit", key, "a vault key was made");
    Ok(Json(Rotated { key }))
}

pub(crate) async fn post_check(State(app): State<App>) -> Reply<Upkeep> {
    Ok(Json(check(app.store(), &*app.sealer).await.map_err(refused)?))
}

pub(crate) async fn post_rewrap(State(app): State<App>) -> Reply<Upkeep> {
    Ok(Json(rewrap(app.store(), &*app.sealer).await.map_err(refused)?))
}
