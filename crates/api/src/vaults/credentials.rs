//! `/v1/vaults/{vault_id}/credentials`

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use store::{Change, Document, Filter, Kind};
use vault::{CredentialRecord, Place, Sealed, Unsealable, VaultRecord};
use wire::page::{Deleted, Page};
use wire::vault::{Credential, CredentialCreate, CredentialUpdate, MAX_CREDENTIALS, SecretField, Secrets};
use wire::{CredentialId, Problem};

use super::{apply, archived, purged};
use crate::app::{App, WORKSPACE};
use crate::body::Body;
use crate::documents::{self, find, missing, parse};
use crate::idempotency::Once;
use crate::query::Params;
use crate::reply::{Outcome, Refused, Reply, Text, json};

type Ids = Path<(String, String)>;

/// A credential, if it is one of this vault.
async fn find_in(app: &App, vault: &str, id: &str) -> Result<Document, Refused> {
    find(app, Kind::Vault, vault).await?;
    let document = find(app, Kind::Credential, id).await?.document;
    if document.parent.as_deref() == Some(vault) { Ok(document) } else { Err(missing(Kind::Credential, id).into()) }
}

/// The vault, to be written together with a credential that comes or goes.
async fn open_vault(app: &App, id: &str) -> Result<(Document, VaultRecord), Refused> {
    let document = find(app, Kind::Vault, id).await?.document;
    let record: VaultRecord = parse(&document)?;
    Ok((document, record))
}

fn with_vault(document: &Document, record: &VaultRecord) -> Result<Change, Problem> {
    // What clients see of the vault stays as it is.
    let (at, archived) = (document.updated_at, document.archived_at);
    Ok(Change::Update(documents::next(document, json(record)?, at, archived)))
}

async fn seal(
    app: &App,
    secrets: &Secrets,
    place: impl Fn(SecretField) -> Place,
) -> Result<BTreeMap<SecretField, Sealed>, Refused> {
    let mut sealed = BTreeMap::new();
    for (field, secret) in &secrets.0 {
        match app.sealer.seal(&place(*field), secret.clone()).await {
            Ok(done) => sealed.insert(*field, done),
            Err(error) => return Err(unsealed(&error).into()),
        };
    }
    Ok(sealed)
}

/// Nothing was stored, whatever the reason.
pub(super) fn unsealed(error: &Unsealable) -> Problem {
    tracing::error!(%error, "a secret could not be sealed or opened");
    Problem::internal(match error {
        Unsealable::Unavailable(_) => {
            "The server's gateway, which alone seals and opens secrets, does not answer. Send the request again"
        }
        Unsealable::Misconfigured(_) | Unsealable::Damaged(_) => {
            "The server's vault has no key that it can use. Its operator finds the reason with `stead vault check`, and \
             in the server's log"
        }
    })
}

pub(crate) async fn create(
    State(app): State<App>,
    Path(vault_id): Path<String>,
    once: Once,
    Body(create): Body<CredentialCreate>,
) -> Outcome {
    let (mut document, mut record) = open_vault(&app, &vault_id).await?;
    let now = app.now();
    let id = CredentialId::from_bits(app.bits());
    let (credential, secrets) = create.create(id, record.vault.id, now)?;
    let key = credential.auth.key();
    check_room(&record, &key)?;
    let place = |field| Place::of_credential(WORKSPACE, credential.vault_id, id, field, 1);
    let sealed = seal(&app, &secrets, place).await?;
    let body = json(&credential)?;
    let made = CredentialRecord { credential, secrets: sealed };
    let made = Document {
        parent: Some(vault_id.clone()),
        ..Document::new(WORKSPACE, Kind::Credential, id, now, json(&made)?)
    };
    loop {
        record.active.insert(key.clone(), id);
        let changes = vec![with_vault(&document, &record)?, Change::Insert(made.clone()), once.remember(now, &body)];
        if apply(&app, changes).await? {
            tracing::info!(target: "audit", vault = vault_id, credential = %id, "a credential was made");
            return Ok(Text(body));
        }
        (document, record) = open_vault(&app, &vault_id).await?;
        check_room(&record, &key)?;
    }
}

fn check_room(record: &VaultRecord, key: &str) -> Result<(), Problem> {
    if record.vault.archived_at.is_some() {
        return Err(archived(record.vault.id));
    }
    if let Some(other) = record.active.get(key) {
        let message = format!(
            "The credential {other} of this vault is for the same server or variable. Update that one, or archive it first"
        );
        return Err(Problem::conflict(message));
    }
    if record.active.len() >= MAX_CREDENTIALS {
        return Err(Problem::invalid(format!("A vault has at most {MAX_CREDENTIALS} active credentials")));
    }
    Ok(())
}

pub(crate) async fn retrieve(State(app): State<App>, Path((vault, id)): Ids) -> Reply<Credential> {
    let record: CredentialRecord = parse(&find_in(&app, &vault, &id).await?)?;
    Ok(Json(record.credential))
}

pub(crate) async fn update(
    State(app): State<App>,
    Path((vault, id)): Ids,
    once: Once,
    Body(update): Body<CredentialUpdate>,
) -> Outcome {
    loop {
        let document = find_in(&app, &vault, &id).await?;
        let mut record: CredentialRecord = parse(&document)?;
        if record.credential.archived_at.is_some() {
            return Err(Problem::invalid(format!("The credential {id} is archived")).into());
        }
        let now = app.now();
        let (changed, secrets) = update.clone().over(record.credential.clone(), now)?;
        if changed == record.credential && secrets.0.is_empty() {
            return once.unchanged(&app, json(&changed)?).await;
        }
        let place = |field| record.place(WORKSPACE, field, record.next_version(field));
        let sealed = seal(&app, &secrets, place).await?;
        record.secrets.extend(sealed);
        record.credential = Credential { updated_at: now, ..changed };
        let body = json(&record.credential)?;
        let next = documents::next(&document, json(&record)?, now, None);
        if apply(&app, vec![Change::Update(next), once.remember(now, &body)]).await? {
            tracing::info!(target: "audit", vault, credential = id, "a credential was updated");
            return Ok(Text(body));
        }
    }
}

/// Its secret is gone for good, and its place in the vault is free.
pub(crate) async fn archive(State(app): State<App>, Path((vault, id)): Ids, once: Once) -> Outcome {
    loop {
        let document = find_in(&app, &vault, &id).await?;
        let record: CredentialRecord = parse(&document)?;
        if record.credential.archived_at.is_some() {
            return once.unchanged(&app, json(&record.credential)?).await;
        }
        let now = app.now();
        let purged = purged(&document, now)?;
        let body = json(&parse::<CredentialRecord>(&purged)?.credential)?;
        let changes =
            vec![Change::Update(purged), without(&app, &vault, record.credential.id).await?, once.remember(now, &body)];
        if apply(&app, changes).await? {
            tracing::info!(target: "audit", vault, credential = id, "a credential was archived");
            return Ok(Text(body));
        }
    }
}

pub(crate) async fn delete(State(app): State<App>, Path((vault, id)): Ids) -> Reply<Deleted<String>> {
    loop {
        let record: CredentialRecord = parse(&find_in(&app, &vault, &id).await?)?;
        let gone = Change::Delete { workspace: WORKSPACE, kind: Kind::Credential, id: id.clone() };
        if apply(&app, vec![gone, without(&app, &vault, record.credential.id).await?]).await? {
            tracing::info!(target: "audit", vault, credential = id, "a credential was deleted");
            return Ok(Json(Deleted { id, r#type: "vault_credential_deleted" }));
        }
    }
}

/// The vault without this credential among its active ones.
async fn without(app: &App, vault: &str, id: CredentialId) -> Result<Change, Refused> {
    let (document, mut record) = open_vault(app, vault).await?;
    record.active.retain(|_, active| *active != id);
    Ok(with_vault(&document, &record)?)
}

pub(crate) async fn list(
    State(app): State<App>,
    Path(vault): Path<String>,
    mut params: Params,
) -> Reply<Page<Credential>> {
    find(&app, Kind::Vault, &vault).await?;
    let limit = params.limit(20, 100)?;
    let include_archived = params.flag("include_archived")?;
    let filter = Filter { parent: Some(vault), include_archived, ..Filter::default() };
    let found = documents::page(&app, Kind::Credential, filter, limit, params).await?;
    let read = |listed: &store::Listed| Ok(parse::<CredentialRecord>(&listed.document)?.credential);
    let data: Result<Vec<Credential>, Problem> = found.listed.iter().map(read).collect();
    Ok(Json(Page::new(data?, found.next)))
}
