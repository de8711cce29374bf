//! A small system: a shell, a few programs of this machine's, and what they are linked with.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// What the tests and the scripts that install packages begin with.
const PROGRAMS: [&str; 14] =
    ["bash", "cat", "chmod", "env", "ls", "mkdir", "mktemp", "mv", "rm", "sh", "sleep", "timeout", "touch", "wc"];

pub(super) struct System(TempDir);

impl System {
    /// What it calls itself is in its `/etc/system`.
    pub(super) fn new(name: &str) -> Self {
        let system = Self(tempfile::tempdir().unwrap());
        // Sandboxes go through it as somebody who is nobody here.
        fs::set_permissions(system.0.path(), Permissions::from_mode(0o755)).unwrap();
        let root = system.root();
        for directory in ["bin", "etc", "tmp", "var/tmp"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for program in PROGRAMS {
            let found = told("sh", &["-c", &format!("PATH=/usr/bin:/bin command -v {program}")]);
            for library in told("ldd", &[&found]).split_whitespace().filter(|word| word.starts_with('/')) {
                copy(library, &root.join(library.trim_start_matches('/')));
            }
            copy(&found, &root.join("bin").join(program));
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
        fs::write(root.join("etc/system"), format!("{name}\n")).unwrap();
        system
    }

    pub(super) fn directory(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    pub(super) fn tarball(&self) -> Vec<u8> {
        gzip(&self.archive())
    }

    fn archive(&self) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_dir_all(".", self.root()).unwrap();
        archive.into_inner().unwrap()
    }

    pub(super) fn image(&self) -> Image {
        let archive = self.archive();
        let mut image = Image::default();
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Env": ["FROM_THE_IMAGE=set", "HOME=/nowhere"] },
            "rootfs": { "type": "layers", "diff_ids": [digest(&archive)] },
        });
        let config = image.add("config.v1+json", config.to_string().into_bytes());
        let layer = image.add("layer.v1.tar+gzip", gzip(&archive));
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        image.manifest = image.add("manifest.v1+json", manifest.to_string().into_bytes());
        image
    }
}

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Blobs by their digests, and the descriptor of the one that names the others.
#[derive(Default)]
pub(super) struct Image {
    pub(super) blobs: HashMap<String, Vec<u8>>,
    pub(super) manifest: Value,
}

impl Image {
    fn add(&mut self, kind: &str, bytes: Vec<u8>) -> Value {
        let kind = match kind.strip_prefix("manifest") {
            Some(_) => MANIFEST.to_owned(),
            None => format!("application/vnd.oci.image.{kind}"),
        };
        let digest = digest(&bytes);
        let descriptor = json!({ "mediaType": kind, "digest": digest, "size": bytes.len() });
        self.blobs.insert(digest, bytes);
        descriptor
    }

    /// Writes it as a layout in which it has this tag.
    pub(super) fn layout(&self, directory: &Path, tag: &str) {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for (digest, bytes) in &self.blobs {
            fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).unwrap();
        }
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let mut manifest = self.manifest.clone();
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        fs::write(directory.join("index.json"), index.to_string()).unwrap();
    }
}

fn digest(bytes: &[u8]) -> String {
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digest}")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn told(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn copy(from: &str, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o755)).unwrap();
}
