//! Having secrets sealed without being able to open them.

use async_trait::async_trait;
use secrecy::SecretString;

use crate::{Place, Sealed};

/// Why nothing was done with a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsealable {
    /// Something that passes: nobody is there to do it just now.
    #[error("{0}")]
    Unavailable(String),
    /// Something that an operator has to mend: there is no key, or not the right one.
    #[error("{0}")]
    Misconfigured(String),
    /// The ciphertext opens with none of the keys, or not in this place.
    #[error("{0}")]
    Damaged(String),
}

/// Who has the keys, as all others know them.
#[async_trait]
pub trait Sealer: Send + Sync {
    async fn seal(&self, place: &Place, secret: SecretString) -> Result<Sealed, Unsealable>;

    /// The same secret under the key that seals now. None if it is already.
    async fn rewrap(&self, place: &Place, sealed: &Sealed) -> Result<Option<Sealed>, Unsealable>;

    /// Whether it opens.
    async fn check(&self, place: &Place, sealed: &Sealed) -> Result<(), Unsealable>;

    /// A new key that seals from now on; its name. What is sealed stays as it is.
    async fn rotate(&self) -> Result<String, Unsealable>;

    /// From now on nothing needs any key but the one that seals.
    async fn settle(&self) -> Result<(), Unsealable>;
}
