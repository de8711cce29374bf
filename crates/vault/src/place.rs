//! Where a secret belongs.

use serde::{Deserialize, Serialize};
use wire::vault::SecretField;
use wire::{CredentialId, VaultId, WorkspaceId};

/// The one place in which a secret can be opened once it was sealed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub workspace: WorkspaceId,
    /// The vault, or what else holds it.
    pub holder: String,
    /// The credential, or what else it is of.
    pub owner: String,
    pub field: String,
    /// Rises with each value that the field is given: an earlier one, put back, does not open.
    pub version: u64,
}

impl Place {
    pub fn of_credential(
        workspace: WorkspaceId,
        vault: VaultId,
        credential: CredentialId,
        field: SecretField,
        version: u64,
    ) -> Self {
        let (holder, owner) = (vault.to_string(), credential.to_string());
        Self { workspace, holder, owner, field: field.name().to_owned(), version }
    }

    /// What is authenticated with the secret. Each part has its length before it, so that no two places read the same.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (workspace, version) = (self.workspace.to_string(), self.version.to_string());
        let mut bytes = b"stead secret 1".to_vec();
        for part in [&workspace, &self.holder, &self.owner, &self.field, &version] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_places_read_the_same() {
        let place = |holder: &str, owner: &str, field: &str, version| Place {
            workspace: WorkspaceId::from_bits(1),
            holder: holder.into(),
            owner: owner.into(),
            field: field.into(),
            version,
        };
        let places = [
            place("a", "b", "c", 1),
            place("ab", "", "c", 1),
            place("a", "bc", "", 1),
            place("a", "b", "c1", 0),
            place("a", "b", "c", 2),
            Place { workspace: WorkspaceId::from_bits(2), ..place("a", "b", "c", 1) },
        ];
        let mut bytes: Vec<_> = places.iter().map(Place::bytes).collect();
        bytes.sort();
        bytes.dedup();
        assert_eq!(bytes.len(), places.len());
    }
}
