//! The key-encryption keys, and what is done with them.

mod local;
mod source;
mod transit;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand::fill;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{Place, Sealed};

use local::Local;
pub use source::{Generated, KeySource, TransitSource};
use transit::Transit;

/// Bytes of a data key, and of a local key-encryption key.
const KEY: usize = 32;

/// Why a secret was not sealed, or not opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this installation has no vault key yet")]
    NoKey,
    #[error("the secret is sealed with the key {0}, which is not among the keys here")]
    UnknownKey(String),
    /// It was changed, or belongs elsewhere.
    #[error("the secret does not open in its place: its ciphertext was changed, or belongs to another place")]
    Damaged,
    #[error("the vault key cannot be used: {0}")]
    Unusable(String),
    /// The provider did not answer, or not as it should. It may the next time.
    #[error("the key provider does not help: {0}")]
    Provider(String),
}

/// Keys of this process. The last one seals; all of them open.
pub struct Ring {
    local: Vec<Local>,
    transit: Option<Transit>,
}

impl Ring {
    /// Reads the keys. One that is not there is no error: there may be none yet.
    pub fn load(source: &KeySource) -> Result<Self, Error> {
        match source {
            KeySource::File { path } => Ok(Self { local: local::read(path)?, transit: None }),
            KeySource::Given { text } => Ok(Self { local: local::parse(text.expose_secret())?, transit: None }),
            KeySource::Transit(source) => Ok(Self { local: Vec::new(), transit: Some(Transit::new(source)?) }),
        }
    }

    /// The name of the key that seals.
    pub fn current(&self) -> Option<String> {
        match &self.transit {
            Some(transit) => Some(transit.name()),
            None => self.local.last().map(|key| key.name.clone()),
        }
    }

    /// The names of all keys.
    pub fn names(&self) -> Vec<String> {
        let own = self.local.iter().map(|key| key.name.clone());
        own.chain(self.transit.as_ref().map(Transit::name)).collect()
    }

    pub async fn seal(&self, place: &Place, secret: &SecretString) -> Result<Sealed, Error> {
        let aad = place.bytes();
        let mut data_key = Zeroizing::new([0; KEY]);
        fill(&mut *data_key).map_err(|_| Error::Unusable("this machine gives no random numbers".into()))?;
        let text = encrypt(&data_key, &aad, secret.expose_secret().as_bytes())?;
        let (key, data_key) = self.wrap(&aad, &data_key).await?;
        Ok(Sealed { key, data_key, text: BASE64.encode(text), version: place.version })
    }

    pub async fn open(&self, place: &Place, sealed: &Sealed) -> Result<SecretString, Error> {
        let aad = place.bytes();
        let data_key = self.unwrap(&aad, sealed).await?;
        let mut text = Zeroizing::new(BASE64.decode(&sealed.text).map_err(|_| Error::Damaged)?);
        let text = decrypt(&data_key, &aad, &mut text)?;
        Ok(SecretString::from(std::str::from_utf8(text).map_err(|_| Error::Damaged)?))
    }

    /// The same secret, its data key wrapped by the key that seals now. None if it is already. The secret itself is not
    /// opened for it.
    pub async fn rewrap(&self, place: &Place, sealed: &Sealed) -> Result<Option<Sealed>, Error> {
        // A provider's key has one name for all its versions.
        if self.transit.is_none() && self.current().as_deref() == Some(sealed.key.as_str()) {
            return Ok(None);
        }
        let aad = place.bytes();
        let data_key = self.unwrap(&aad, sealed).await?;
        let (key, data_key) = self.wrap(&aad, &data_key).await?;
        Ok(Some(Sealed { key, data_key, ..sealed.clone() }))
    }

    /// A new key that seals from now on.
    pub async fn rotate(&mut self, source: &KeySource) -> Result<String, Error> {
        match source {
            KeySource::File { path } => {
                self.local = local::add(path)?;
                self.current().ok_or(Error::NoKey)
            }
            KeySource::Transit(_) => {
                let transit = self.transit.as_ref().ok_or(Error::NoKey)?;
                transit.rotate().await?;
                Ok(transit.name())
            }
            KeySource::Given { .. } => Err(Error::Unusable(
                "it is given from outside: put a new key behind the others there, and start the server again".into(),
            )),
        }
    }

    async fn wrap(&self, aad: &[u8], data_key: &[u8; KEY]) -> Result<(String, String), Error> {
        if let Some(transit) = &self.transit {
            return Ok((transit.name(), transit.encrypt(aad, data_key).await?));
        }
        let key = self.local.last().ok_or(Error::NoKey)?;
        Ok((key.name.clone(), BASE64.encode(encrypt(&key.bytes, aad, data_key)?)))
    }

    async fn unwrap(&self, aad: &[u8], sealed: &Sealed) -> Result<Zeroizing<[u8; KEY]>, Error> {
        let wrapped = match &self.transit {
            Some(transit) if transit.name() == sealed.key => transit.decrypt(aad, &sealed.data_key).await?,
            _ => {
                let key = self.local.iter().find(|key| key.name == sealed.key);
                let key = key.ok_or_else(|| Error::UnknownKey(sealed.key.clone()))?;
                let mut bytes = Zeroizing::new(BASE64.decode(&sealed.data_key).map_err(|_| Error::Damaged)?);
                Zeroizing::new(decrypt(&key.bytes, aad, &mut bytes)?.to_vec())
            }
        };
        let data_key: [u8; KEY] = wrapped.as_slice().try_into().map_err(|_| Error::Damaged)?;
        Ok(Zeroizing::new(data_key))
    }
}

fn cipher(key: &[u8; KEY]) -> Result<LessSafeKey, Error> {
    let key = UnboundKey::new(&AES_256_GCM_SIV, key).map_err(|_| Error::Unusable("it has the wrong length".into()))?;
    Ok(LessSafeKey::new(key))
}

/// Nonce, ciphertext and tag.
fn encrypt(key: &[u8; KEY], aad: &[u8], text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut nonce = [0; NONCE_LEN];
    fill(&mut nonce).map_err(|_| Error::Unusable("this machine gives no random numbers".into()))?;
    let mut sealed = nonce.to_vec();
    let mut body = Zeroizing::new(text.to_vec());
    let tag = cipher(key)?.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut body);
    let tag = tag.map_err(|_| Error::Unusable("it does not encrypt".into()))?;
    sealed.extend_from_slice(&body);
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

fn decrypt<'a>(key: &[u8; KEY], aad: &[u8], sealed: &'a mut [u8]) -> Result<&'a [u8], Error> {
    let (nonce, body) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(Error::Damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Damaged)?;
    let text = cipher(key)?.open_in_place(nonce, Aad::from(aad), body).map_err(|_| Error::Damaged)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
