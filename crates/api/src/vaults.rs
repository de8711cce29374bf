//! `/v1/vaults`

pub(crate) mod credentials;
pub mod upkeep;

use axum::Json;
use axum::extract::{Path, State};
use store::{Change, Document, Error, Filter, Kind, Order, Query};
use vault::{CredentialRecord, VaultRecord};
use wire::page::{Deleted, Page};
use wire::vault::{Vault, VaultChange};
use wire::{Problem, Timestamp, VaultId};

use crate::app::{App, WORKSPACE};
use crate::body::Body;
use crate::documents::{self, find, parse};
use crate::idempotency::Once;
use crate::query::Params;
use crate::reply::{Outcome, Refused, Reply, Text, json, unexpected};

/// Credentials of one vault that are archived or deleted with it, the archived ones too. More than anybody makes.
const ALL: usize = 10_000;

pub(crate) async fn create(State(app): State<App>, once: Once, Body(change): Body<VaultChange>) -> Outcome {
    let now = app.now();
    let vault = change.create(VaultId::from_bits(app.bits()), now)?;
    let body = json(&vault)?;
    let record = VaultRecord { vault, active: Default::default() };
    let document = Document::new(WORKSPACE, Kind::Vault, record.vault.id, now, json(&record)?);
    app.store().apply(vec![Change::Insert(document), once.remember(now, &body)]).await.map_err(unexpected)?;
    tracing::info!(target: "audit", vault = %record.vault.id, "a vault was made");
    Ok(Text(body))
}

pub(crate) async fn retrieve(State(app): State<App>, Path(id): Path<String>) -> Reply<Vault> {
    let record: VaultRecord = parse(&find(&app, Kind::Vault, &id).await?.document)?;
    Ok(Json(record.vault))
}

pub(crate) fn archived(id: impl std::fmt::Display) -> Problem {
    Problem::invalid(format!("The vault {id} is archived")).with_code("vault_archived")
}

pub(crate) async fn update(
    State(app): State<App>,
    Path(id): Path<String>,
    once: Once,
    Body(change): Body<VaultChange>,
) -> Outcome {
    loop {
        let document = find(&app, Kind::Vault, &id).await?.document;
        let VaultRecord { vault, active } = parse(&document)?;
        if vault.archived_at.is_some() {
            return Err(archived(&id).into());
        }
        let changed = change.clone().over(vault.clone())?;
        if changed == vault {
            return once.unchanged(&app, json(&vault)?).await;
        }
        let now = app.now();
        let record = VaultRecord { vault: Vault { updated_at: now, ..changed }, active };
        let body = json(&record.vault)?;
        let next = documents::next(&document, json(&record)?, now, None);
        if apply(&app, vec![Change::Update(next), once.remember(now, &body)]).await? {
            return Ok(Text(body));
        }
    }
}

/// Its credentials go with it: their secrets are gone for good, what is known of them stays.
pub(crate) async fn archive(State(app): State<App>, Path(id): Path<String>, once: Once) -> Outcome {
    loop {
        let document = find(&app, Kind::Vault, &id).await?.document;
        let VaultRecord { vault, .. } = parse(&document)?;
        if vault.archived_at.is_some() {
            return once.unchanged(&app, json(&vault)?).await;
        }
        let now = app.now();
        let vault = Vault { updated_at: now, archived_at: Some(now), ..vault };
        let body = json(&vault)?;
        let record = VaultRecord { vault, active: Default::default() };
        let mut changes =
            vec![Change::Update(documents::next(&document, json(&record)?, now, Some(now))), once.remember(now, &body)];
        for credential in credentials_of(&app, &id, false).await? {
            changes.push(Change::Update(purged(&credential, now)?));
        }
        if apply(&app, changes).await? {
            tracing::info!(target: "audit", vault = id, "a vault was archived");
            return Ok(Text(body));
        }
    }
}

pub(crate) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Reply<Deleted<String>> {
    loop {
        let document = find(&app, Kind::Vault, &id).await?.document;
        let gone = |kind, id: &str| Change::Delete { workspace: WORKSPACE, kind, id: id.to_owned() };
        // That it is written once more sees to it that no credential was made since it was read.
        let mut changes =
            vec![Change::Update(documents::next(&document, document.body.clone(), app.now(), document.archived_at))];
        let credentials = credentials_of(&app, &id, true).await?;
        changes.extend(credentials.iter().map(|document| gone(Kind::Credential, &document.id)));
        changes.push(gone(Kind::Vault, &id));
        if apply(&app, changes).await? {
            tracing::info!(target: "audit", vault = id, "a vault was deleted");
            return Ok(Json(Deleted { id, r#type: "vault_deleted" }));
        }
    }
}

pub(crate) async fn list(State(app): State<App>, mut params: Params) -> Reply<Page<Vault>> {
    let limit = params.limit(20, 100)?;
    let filter = Filter { include_archived: params.flag("include_archived")?, ..Filter::default() };
    let found = documents::page(&app, Kind::Vault, filter, limit, params).await?;
    let read = |listed: &store::Listed| Ok(parse::<VaultRecord>(&listed.document)?.vault);
    let data: Result<Vec<Vault>, Problem> = found.listed.iter().map(read).collect();
    Ok(Json(Page::new(data?, found.next)))
}

/// False if somebody else was faster, and what was read is to be read again.
async fn apply(app: &App, changes: Vec<Change>) -> Result<bool, Refused> {
    match app.store().apply(changes).await {
        Ok(()) => Ok(true),
        // One of several that were read may have been deleted meanwhile.
        Err(Error::Stale { .. } | Error::NotFound) => Ok(false),
        Err(error) => Err(unexpected(error)),
    }
}

async fn credentials_of(app: &App, vault: &str, include_archived: bool) -> Result<Vec<Document>, Refused> {
    let filter = Filter { parent: Some(vault.to_owned()), include_archived, ..Filter::default() };
    let (kind, order) = (Kind::Credential, Order::NewestFirst);
    let query = Query { workspace: WORKSPACE, kind, filter, order, after: None, limit: ALL };
    let found = app.store().query(query).await.map_err(unexpected)?;
    Ok(found.into_iter().map(|listed| listed.document).collect())
}

/// The credential's document once it is archived: nothing is left to open.
fn purged(document: &Document, now: Timestamp) -> Result<Document, Problem> {
    let mut record: CredentialRecord = parse(document)?;
    record.secrets.clear();
    record.credential.updated_at = now;
    record.credential.archived_at = Some(now);
    Ok(documents::next(document, json(&record)?, now, Some(now)))
}

/// The vaults of a new session, which it must be possible to use.
pub(crate) async fn check_all(app: &App, ids: &[String]) -> Result<Vec<Change>, Refused> {
    let mut required = Vec::new();
    for id in ids {
        let record: VaultRecord = parse(&find(app, Kind::Vault, id).await?.document)?;
        if record.vault.archived_at.is_some() {
            return Err(archived(id).into());
        }
        required.push(Change::Require { workspace: WORKSPACE, kind: Kind::Vault, id: id.clone() });
    }
    Ok(required)
}
