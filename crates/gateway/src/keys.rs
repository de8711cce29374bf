//! The keys that open stored secrets. No other process has them.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use vault::{Error, KeySource, Place, Ring, Sealed, TransitSource};

/// Where keys come from, as the server says it. Keys themselves are never among what is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum KeyPlace {
    File { path: PathBuf },
    Transit(TransitSource),
}

/// What is known of the keys without having them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyNames {
    /// The one that seals. None if there is none yet.
    pub current: Option<String>,
    pub all: Vec<String>,
}

pub(crate) struct Keys {
    /// Handed over when the process began: goes before every place.
    given: Option<SecretString>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    place: Option<KeyPlace>,
    ring: Option<Arc<Ring>>,
}

impl Keys {
    pub(crate) fn new(given: Option<SecretString>) -> Self {
        Self { given, held: Mutex::default() }
    }

    /// Those that are held already stay if they come from the same place.
    pub(crate) async fn find_at(&self, place: Option<KeyPlace>) {
        let mut held = self.held.lock().await;
        if held.place != place {
            *held = Held { place, ring: None };
        }
    }

    fn source(&self, held: &Held) -> Result<KeySource, Error> {
        match (&self.given, &held.place) {
            (Some(text), _) => Ok(KeySource::Given { text: text.clone() }),
            (None, Some(KeyPlace::File { path })) => Ok(KeySource::File { path: path.clone() }),
            (None, Some(KeyPlace::Transit(source))) => Ok(KeySource::Transit(source.clone())),
            (None, None) => Err(Error::NoKey),
        }
    }

    fn load(&self, held: &mut Held) -> Result<Arc<Ring>, Error> {
        let ring = Arc::new(Ring::load(&self.source(held)?)?);
        held.ring = Some(Arc::clone(&ring));
        Ok(ring)
    }

    async fn ring(&self) -> Result<Arc<Ring>, Error> {
        let mut held = self.held.lock().await;
        match &held.ring {
            Some(ring) => Ok(Arc::clone(ring)),
            None => self.load(&mut held),
        }
    }

    /// Whether it opens with the keys as they are in their place now.
    pub(crate) async fn check(&self, place: &Place, sealed: &Sealed) -> Result<(), Error> {
        self.ring_anew().await?.open(place, sealed).await.map(|_| ())
    }

    /// Read once more: somebody may have put a key there.
    async fn ring_anew(&self) -> Result<Arc<Ring>, Error> {
        self.load(&mut *self.held.lock().await)
    }

    pub(crate) async fn names(&self) -> Result<KeyNames, Error> {
        let ring = self.ring_anew().await?;
        Ok(KeyNames { current: ring.current(), all: ring.names() })
    }

    pub(crate) async fn seal(&self, place: &Place, secret: &SecretString) -> Result<Sealed, Error> {
        match self.ring().await?.seal(place, secret).await {
            Err(Error::NoKey) => self.ring_anew().await?.seal(place, secret).await,
            sealed => sealed,
        }
    }

    /// None if there is nothing to do.
    pub(crate) async fn rewrap(&self, place: &Place, sealed: &Sealed) -> Result<Option<Sealed>, Error> {
        self.ring_anew().await?.rewrap(place, sealed).await
    }

    /// Makes the first key, unless there is one.
    pub(crate) async fn generate(&self) -> Result<(), Error> {
        let mut held = self.held.lock().await;
        self.source(&held)?.generate()?;
        self.load(&mut held).map(|_| ())
    }

    /// Makes a key that seals from now on.
    pub(crate) async fn rotate(&self) -> Result<String, Error> {
        let mut held = self.held.lock().await;
        let source = self.source(&held)?;
        let name = Ring::load(&source)?.rotate(&source).await?;
        self.load(&mut held)?;
        Ok(name)
    }
}
