//! Archives and images, as good and as bad as tests need them.

use std::{collections::HashMap, fs, path::Path};

use serde_json::{Value, json};
use tar::{EntryType, Header};

use crate::Digest;

/// An archive whose names are written as they are given, which no library would do.
pub(crate) struct Archive(tar::Builder<Vec<u8>>);

impl Archive {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, path, "", content.as_bytes(), |_| {})
    }

    pub(crate) fn directory(self, path: &str) -> Self {
        self.entry(EntryType::Directory, path, "", b"", |header| header.set_mode(0o755))
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, path, target, b"", |_| {})
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Link, path, target, b"", |_| {})
    }

    /// Attributes for the entry that follows.
    pub(crate) fn extended(mut self, attributes: &[(&str, &[u8])]) -> Self {
        self.0.append_pax_extensions(attributes.iter().copied()).unwrap();
        self
    }

    pub(crate) fn entry(
        mut self,
        kind: EntryType,
        path: &str,
        target: &str,
        content: &[u8],
        edit: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        copy(&mut header.as_old_mut().name, path);
        copy(&mut header.as_old_mut().linkname, target);
        edit(&mut header);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn copy(field: &mut [u8; 100], text: &str) {
    field[..text.len()].copy_from_slice(text.as_bytes());
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a registry or a layout has: bytes by digest.
#[derive(Default, Clone)]
pub(crate) struct Blobs(pub(crate) HashMap<Digest, Vec<u8>>);

impl Blobs {
    pub(crate) fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = Digest::of(&bytes);
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        self.0.insert(digest, bytes);
        descriptor
    }

    /// The descriptor of an image for this machine of these archives, each compressed.
    pub(crate) fn image(&mut self, archives: &[Vec<u8>]) -> Value {
        self.image_for(archives, crate::manifest::architecture())
    }

    pub(crate) fn image_for(&mut self, archives: &[Vec<u8>], architecture: &str) -> Value {
        let diffs: Vec<_> = archives.iter().map(|archive| Digest::of(archive)).collect();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Env": ["PATH=/bin"], "User": "app" },
            "rootfs": { "type": "layers", "diff_ids": diffs },
        });
        let config = self.add("application/vnd.oci.image.config.v1+json", config.to_string().into_bytes());
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        let layers: Vec<_> = archives.iter().map(|archive| self.add(layer, gzip(archive))).collect();
        let manifest = "application/vnd.oci.image.manifest.v1+json";
        let document = json!({ "schemaVersion": 2, "mediaType": manifest, "config": config, "layers": layers });
        let mut descriptor = self.add(manifest, document.to_string().into_bytes());
        descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
        descriptor
    }

    /// Writes an OCI layout.
    pub(crate) fn layout(&self, directory: &Path, index: &[Value]) {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for (digest, bytes) in &self.0 {
            fs::write(blobs.join(digest.hex()), bytes).unwrap();
        }
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let index = json!({ "schemaVersion": 2, "manifests": index });
        fs::write(directory.join("index.json"), index.to_string()).unwrap();
    }
}

pub(crate) fn digest_of(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

pub(crate) fn tagged(mut descriptor: Value, tag: &str) -> Value {
    descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    descriptor
}
