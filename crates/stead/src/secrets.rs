//! Sealing, for the API: the gateway does it, and what is kept in the database says under which key.

use std::sync::Arc;

use async_trait::async_trait;
use gateway::{Client, Error, Fault, KeyError, KeyNames};
use secrecy::SecretString;
use store::AnyStore;
use vault::{Place, Sealed, Sealer, Unsealable};

use crate::egress::Egress;

/// The setting that names a key under which secrets of this installation are. Whoever does not have that one is missing
/// keys, and must not begin with another.
const CLAIM: &str = "vault_key";

pub(crate) struct Sealing {
    egress: Arc<Egress>,
    store: AnyStore,
}

impl Sealing {
    pub(crate) fn new(egress: Arc<Egress>, store: AnyStore) -> Self {
        Self { egress, store }
    }

    /// The gateway, once it is sure that it has the keys of this installation.
    async fn keeper(&self) -> Result<&Client, Unsealable> {
        let client = self.client().await?;
        let mut names = client.key_names().await.map_err(unsealable)?;
        let claimed = self.store.setting(CLAIM).await.map_err(failed)?;
        if names.current.is_none() && claimed.is_none() {
            client.generate_key().await.map_err(unsealable)?;
            names = client.key_names().await.map_err(unsealable)?;
        }
        let KeyNames { current: Some(current), all } = names else {
            let claimed = claimed.unwrap_or_default();
            let message = format!(
                "no vault key is here, and the secrets of this installation are under {claimed}: put its file back, or \
                 copy it from another node"
            );
            return Err(Unsealable::Misconfigured(message));
        };
        let claimed = match claimed {
            Some(claimed) => claimed,
            // Another node may have been first, with a key of its own.
            None => self.store.settle(CLAIM, &current).await.map_err(failed)?,
        };
        if !all.contains(&claimed) {
            let message = format!(
                "the secrets of this installation are under the vault key {claimed}, and the keys here are {}: copy the \
                 key file from the node that has it",
                all.join(", ")
            );
            return Err(Unsealable::Misconfigured(message));
        }
        Ok(client)
    }

    async fn client(&self) -> Result<&Client, Unsealable> {
        self.egress.keeper().await.map_err(|error| Unsealable::Unavailable(error.to_string()))
    }
}

#[async_trait]
impl Sealer for Sealing {
    async fn seal(&self, place: &Place, secret: SecretString) -> Result<Sealed, Unsealable> {
        self.keeper().await?.seal(place, &secret).await.map_err(unsealable)
    }

    async fn rewrap(&self, place: &Place, sealed: &Sealed) -> Result<Option<Sealed>, Unsealable> {
        self.keeper().await?.rewrap(place, sealed).await.map_err(unsealable)
    }

    /// Also where keys are missing: what opens all the same is to be told.
    async fn check(&self, place: &Place, sealed: &Sealed) -> Result<(), Unsealable> {
        self.client().await?.check(place, sealed).await.map_err(unsealable)
    }

    async fn rotate(&self) -> Result<String, Unsealable> {
        self.keeper().await?.rotate_key().await.map_err(unsealable)
    }

    async fn settle(&self) -> Result<(), Unsealable> {
        let names = self.keeper().await?.key_names().await.map_err(unsealable)?;
        match names.current {
            Some(current) => self.store.set(CLAIM, &current).await.map_err(failed),
            None => Ok(()),
        }
    }
}

fn failed(error: store::Error) -> Unsealable {
    Unsealable::Unavailable(format!("the database does not answer: {error}"))
}

fn unsealable(error: KeyError) -> Unsealable {
    match error {
        KeyError::Control(error @ (Error::Unreachable(_) | Error::Refused(_) | Error::Confused)) => {
            Unsealable::Unavailable(error.to_string())
        }
        KeyError::Faulty { fault: Fault::Provider, message } => Unsealable::Unavailable(message),
        KeyError::Faulty { fault: Fault::NoKey | Fault::Unusable, message } => Unsealable::Misconfigured(message),
        KeyError::Faulty { fault: Fault::UnknownKey | Fault::Damaged, message } => Unsealable::Damaged(message),
    }
}
