//! Where files of sandboxes that were put away lie so that every node can reach them: an object store.
//!
//! Without one they stay on the node that has put them away, which alone can bring them back.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, parse_url_opts};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufReader};
use url::Url;
use wire::SessionId;

/// Bytes of one part of an upload.
const PART: usize = 8 << 20;

pub struct Shelf {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
}

/// Why there is no shelf.
#[derive(Debug, thiserror::Error)]
#[error("the object store {url} cannot be used: {reason}")]
pub struct Unusable {
    url: String,
    reason: String,
}

impl Shelf {
    /// `s3://bucket/prefix`, or `file:///directory` for one that all nodes have mounted. Keys and endpoint of an S3 are
    /// found in the usual `AWS_*` variables, which `variables` gives.
    pub fn open(url: &str, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, Unusable> {
        let unusable = |reason: String| Unusable { url: shown(url), reason };
        let parsed = Url::parse(url).map_err(|error| unusable(error.to_string()))?;
        if !matches!(parsed.scheme(), "s3" | "file") {
            return Err(unusable("its scheme should be s3 or file".into()));
        }
        let options = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with("AWS_"))
            .map(|(name, value)| (name.to_lowercase(), value));
        let (store, prefix) = parse_url_opts(&parsed, options).map_err(|error| unusable(error.to_string()))?;
        Ok(Self { store: Arc::from(store), prefix })
    }

    fn of(&self, session: SessionId) -> Key {
        self.prefix.clone().join("checkpoints").join(session.to_string())
    }
}

/// Without what may be a password.
fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut url) => {
            let _ = url.set_password(None);
            let _ = url.set_username("");
            url.set_query(None);
            url.to_string()
        }
        Err(_) => "(not a URL)".into(),
    }
}

#[async_trait]
impl brain::Shelf for Shelf {
    async fn put(&self, session: SessionId, incarnation: &str, from: &Path) -> Result<(), String> {
        let words = |error: std::io::Error| error.to_string();
        let mut file = BufReader::new(File::open(from).await.map_err(words)?);
        let key = self.of(session).join(incarnation);
        let mut to = BufWriter::with_capacity(self.store.clone(), key, PART);
        let copied = match tokio::io::copy_buf(&mut file, &mut to).await {
            Ok(_) => to.shutdown().await,
            Err(error) => Err(error),
        };
        if copied.is_err() {
            let _ = to.abort().await;
        }
        copied.map_err(words)
    }

    async fn get(&self, session: SessionId, incarnation: &str, to: &Path) -> Result<bool, String> {
        let found = match self.store.get(&self.of(session).join(incarnation)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.to_string()),
        };
        let mut file = File::create_new(to).await.map_err(|error| error.to_string())?;
        let mut bytes = found.into_stream();
        while let Some(piece) = bytes.next().await {
            let piece = piece.map_err(|error| error.to_string())?;
            file.write_all(&piece).await.map_err(|error| error.to_string())?;
        }
        file.flush().await.map_err(|error| error.to_string())?;
        Ok(true)
    }

    async fn remove(&self, session: SessionId, incarnation: Option<&str>) -> Result<(), String> {
        let listed: Vec<_> =
            self.store.list(Some(&self.of(session))).try_collect().await.map_err(|error| error.to_string())?;
        for object in listed {
            if incarnation.is_some() && object.location.filename() != incarnation {
                continue;
            }
            match self.store.delete(&object.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use brain::Shelf as _;

    use super::*;

    fn session() -> SessionId {
        SessionId::from_bits(7)
    }

    #[tokio::test]
    async fn what_is_put_there_is_found_until_it_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        let there = directory.path().join("shelf");
        std::fs::create_dir(&there).unwrap();
        // More than one part.
        let bytes: Vec<u8> = (0..(PART * 2 + 77)).map(|number| (number % 251) as u8).collect();
        std::fs::write(&from, &bytes).unwrap();
        let shelf = Shelf::open(&format!("file://{}", there.display()), []).unwrap();
        for incarnation in ["one", "two"] {
            shelf.put(session(), incarnation, &from).await.unwrap();
        }
        assert!(shelf.get(session(), "one", &to).await.unwrap());
        assert!(std::fs::read(&to).unwrap() == bytes);
        shelf.remove(session(), Some("one")).await.unwrap();
        let again = directory.path().join("again");
        assert!(!shelf.get(session(), "one", &again).await.unwrap());
        assert!(shelf.get(session(), "two", &again).await.unwrap());
        shelf.remove(session(), None).await.unwrap();
        shelf.remove(session(), None).await.unwrap();
        assert!(!shelf.get(session(), "two", &directory.path().join("third")).await.unwrap());
        assert!(shelf.put(session(), "one", &directory.path().join("nothing")).await.is_err());
    }

    #[test]
    fn a_store_of_another_kind_is_refused_without_its_password() {
        let refused = Shelf::open("https://user:secret@example.com/x?token=secret", []).err().unwrap().to_string();
        assert!(refused.contains("should be s3 or file") && !refused.contains("secret"), "{refused}");
        assert!(Shelf::open("nonsense", []).is_err());
    }
}
