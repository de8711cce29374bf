//! What the documents of vaults and credentials hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::vault::{Credential, SecretField, Vault};
use wire::{CredentialId, WorkspaceId};

use crate::{Place, Sealed};

/// A vault's document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultRecord {
    pub vault: Vault,
    /// Its active credentials, each by what no two of them may share. That they are counted here lets two requests at once
    /// make no more of them than one after the other.
    pub active: BTreeMap<String, CredentialId>,
}

/// A credential's document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRecord {
    pub credential: Credential,
    /// None left once it is archived.
    pub secrets: BTreeMap<SecretField, Sealed>,
}

impl CredentialRecord {
    /// Where the field's secret belongs that is sealed now, or is sealed next.
    pub fn place(&self, workspace: WorkspaceId, field: SecretField, version: u64) -> Place {
        Place::of_credential(workspace, self.credential.vault_id, self.credential.id, field, version)
    }

    /// The version of the field's next secret.
    pub fn next_version(&self, field: SecretField) -> u64 {
        self.secrets.get(&field).map_or(1, |sealed| sealed.version.saturating_add(1))
    }
}
