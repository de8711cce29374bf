//! The documents that say what an image is made of: indexes, manifests and configurations, of OCI and of Docker.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Bytes of a document. The largest seen are some hundred kilobytes.
pub(crate) const MAX_DOCUMENT: usize = 4 << 20;

/// What overlay file systems and other tools can stack is a fraction of this.
const MAX_LAYERS: usize = 1000;

/// An index may name indexes.
const MAX_INDEXES: usize = 3;

/// The annotation with which a layout names an entry's tag.
const TAG: &str = "org.opencontainers.image.ref.name";

/// What registries are told is understood, and so what they may answer with.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the image's {what} cannot be read: {reason}")]
    Malformed { what: &'static str, reason: String },
    #[error("the image has nothing for linux/{wanted}; it has {offered}")]
    Platform { wanted: &'static str, offered: String },
    #[error("there is no image of the tag {wanted}; there are {offered}")]
    Tag { wanted: String, offered: String },
    #[error("the image's indexes name each other more than {max} deep", max = MAX_INDEXES)]
    TooDeep,
}

/// What an image would like a program started in it to have. Sandboxes may use it or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// `NAME=value`, as the image writes them.
    pub env: Vec<String>,
    pub working_dir: String,
    pub user: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<HashMap<String, String>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
    #[serde(default)]
    variant: Option<String>,
}

/// Index or manifest, told apart by what they have and not by what they are called.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

#[derive(Debug, Deserialize)]
struct ImageConfig {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    config: Option<Wishes>,
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wishes {
    #[serde(default)]
    env: Option<Vec<String>>,
    #[serde(default)]
    working_dir: Option<String>,
    #[serde(default)]
    user: Option<String>,
}

/// What an image turned out to be.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// From what was asked for to the manifest itself.
    pub(crate) manifests: Vec<Digest>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) config: Config,
}

#[derive(Debug, Clone)]
pub(crate) struct Layer {
    /// As stored, compressed.
    pub(crate) blob: Descriptor,
    /// Of the tarball inside.
    pub(crate) diff: Digest,
}

/// Where documents are. Law: what is returned has the descriptor's digest and size, and is no longer than
/// [`MAX_DOCUMENT`].
pub(crate) trait Documents: Sync {
    fn manifest(&self, descriptor: &Descriptor) -> impl Future<Output = Result<Vec<u8>, crate::Error>> + Send;
    fn config(&self, descriptor: &Descriptor) -> impl Future<Output = Result<Vec<u8>, crate::Error>> + Send;
}

/// Follows a document, named by its digest, to the layers for this machine. With a tag, the document is a layout's own
/// index, of which only entries of that tag count.
pub(crate) async fn resolve(
    documents: &impl Documents,
    first: Vec<u8>,
    tag: Option<&str>,
) -> Result<Resolved, crate::Error> {
    let mut manifests = vec![Digest::of(&first)];
    let mut document = parse(&first)?;
    let mut tag = tag;
    while let Some(entries) = document.manifests {
        if manifests.len() > MAX_INDEXES {
            return Err(Error::TooDeep.into());
        }
        let entries = match tag.take() {
            Some(tag) => tagged(entries, tag)?,
            None => entries,
        };
        let entry = choose(&entries, architecture())?;
        let bytes = documents.manifest(entry).await?;
        document = parse(&bytes)?;
        manifests.push(entry.digest.clone());
    }
    let missing = |what: &str| Error::Malformed { what: "manifest", reason: format!("it has no {what}") };
    let config = document.config.ok_or_else(|| missing("configuration"))?;
    let layers = document.layers.ok_or_else(|| missing("layers"))?;
    let (config, diffs) = configuration(&documents.config(&config).await?)?;
    Ok(Resolved { manifests, layers: pair(layers, diffs)?, config })
}

fn parse(bytes: &[u8]) -> Result<Document, Error> {
    let malformed = |reason: String| Error::Malformed { what: "manifest", reason };
    let document: Document = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    if document.schema_version != 2 {
        return Err(malformed(format!("it is of version {}, and only 2 is known", document.schema_version)));
    }
    // One digest that means one image to us and another to somebody else would make every check of it worthless.
    if document.manifests.is_some() && (document.layers.is_some() || document.config.is_some()) {
        return Err(malformed("it is an index and a manifest at once".into()));
    }
    Ok(document)
}

/// The tags that a layout's index knows.
pub(crate) fn tags(index: &[u8]) -> Result<Vec<String>, Error> {
    let entries = parse(index)?.manifests.unwrap_or_default();
    let mut tags: Vec<_> = entries.into_iter().filter_map(|entry| entry.annotations?.remove(TAG)).collect();
    tags.sort();
    tags.dedup();
    Ok(tags)
}

fn tagged(entries: Vec<Descriptor>, wanted: &str) -> Result<Vec<Descriptor>, Error> {
    let of = |entry: &Descriptor| entry.annotations.as_ref().and_then(|annotations| annotations.get(TAG).cloned());
    let offered = list(entries.iter().filter_map(of));
    let found: Vec<_> = entries.into_iter().filter(|entry| of(entry).as_deref() == Some(wanted)).collect();
    if found.is_empty() { Err(Error::Tag { wanted: wanted.to_owned(), offered }) } else { Ok(found) }
}

/// The entry for this machine. One that says nothing of its platform will do if no other does: its configuration
/// says it.
fn choose<'a>(entries: &'a [Descriptor], wanted: &'static str) -> Result<&'a Descriptor, Error> {
    let fits = |entry: &&Descriptor| {
        entry.platform.as_ref().is_some_and(|platform| platform.os == "linux" && platform.architecture == wanted)
    };
    // What a machine of the architecture can run for certain: no variant, or the first one.
    let plain = |entry: &&Descriptor| {
        let variant = entry.platform.as_ref().and_then(|platform| platform.variant.as_deref());
        matches!((wanted, variant), (_, None | Some("")) | ("amd64", Some("v1")) | ("arm64", Some("v8")))
    };
    let fitting: Vec<&Descriptor> = entries.iter().filter(fits).collect();
    let unsaid = || entries.iter().find(|entry| entry.platform.is_none());
    fitting.iter().copied().find(plain).or_else(|| fitting.first().copied()).or_else(unsaid).ok_or_else(|| {
        let platforms = entries.iter().filter_map(|entry| entry.platform.as_ref());
        let offered = list(platforms.map(|platform| format!("{}/{}", platform.os, platform.architecture)));
        Error::Platform { wanted, offered }
    })
}

/// What it says of programs, and the digests of its layers' tarballs.
pub(crate) fn configuration(bytes: &[u8]) -> Result<(Config, Vec<Digest>), Error> {
    let malformed = |error: serde_json::Error| Error::Malformed { what: "configuration", reason: error.to_string() };
    let image: ImageConfig = serde_json::from_slice(bytes).map_err(malformed)?;
    let wanted = architecture();
    // Left empty by tools that pack nothing but files.
    let fits = |said: &str, ours: &str| said.is_empty() || said == ours;
    if !fits(&image.os, "linux") || !fits(&image.architecture, wanted) {
        return Err(Error::Platform { wanted, offered: format!("{}/{}", image.os, image.architecture) });
    }
    let wishes = image.config.unwrap_or_default();
    let config = Config {
        env: wishes.env.unwrap_or_default(),
        working_dir: wishes.working_dir.unwrap_or_default(),
        user: wishes.user.unwrap_or_default(),
    };
    Ok((config, image.rootfs.diff_ids))
}

fn pair(blobs: Vec<Descriptor>, diffs: Vec<Digest>) -> Result<Vec<Layer>, Error> {
    let malformed = |reason: String| Error::Malformed { what: "manifest", reason };
    if blobs.len() != diffs.len() || blobs.len() > MAX_LAYERS {
        let reason = format!("it has {} layers, and its configuration {}", blobs.len(), diffs.len());
        return Err(malformed(reason));
    }
    if let Some(blob) = blobs.iter().find(|blob| !is_layer(&blob.media_type)) {
        return Err(malformed(format!("`{}` is no kind of layer that is known", blob.media_type)));
    }
    Ok(blobs.into_iter().zip(diffs).map(|(blob, diff)| Layer { blob, diff }).collect())
}

/// Layers that are fetched from addresses of their own, as some of Windows are, are not among them.
fn is_layer(media_type: &str) -> bool {
    media_type.is_empty()
        || media_type.starts_with("application/vnd.oci.image.layer.v1.tar")
        || media_type.starts_with("application/vnd.docker.image.rootfs.diff.tar")
}

/// As Go names it, and so every image.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "loongarch64" => "loong64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        other => other,
    }
}

/// For people: what there is, shortened.
pub(crate) fn list(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<_> = names.map(|name| name.chars().take(60).collect::<String>()).take(20).collect();
    names.sort();
    names.dedup();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
