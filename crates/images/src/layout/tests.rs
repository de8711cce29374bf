use std::{collections::HashMap, fs};

use serde_json::json;

use super::*;
use crate::testing::{self, Blobs, digest_of, tagged};

fn archives() -> Vec<Vec<u8>> {
    vec![testing::Archive::new().file("a", "1").bytes(), testing::Archive::new().file("b", "2").bytes()]
}

/// Every file of a directory, in a tarball.
fn pack(directory: &Path, to: &Path) {
    let mut builder = tar::Builder::new(fs::File::create(to).unwrap());
    builder.append_dir_all(".", directory).unwrap();
    builder.into_inner().unwrap();
}

fn contents(found: &Found) -> Vec<Vec<u8>> {
    let read = |piece: &Piece| {
        let mut bytes = Vec::new();
        let mut reader = piece.open().unwrap();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    };
    found.pieces.iter().map(read).collect()
}

#[tokio::test]
async fn a_layout_is_read_as_a_directory_and_as_a_tarball() {
    let directory = tempfile::tempdir().unwrap();
    let (layout, tarball) = (directory.path().join("layout"), directory.path().join("layout.tar"));
    let mut blobs = Blobs::default();
    let image = blobs.image(&archives());
    let other = blobs.image_for(&[], "other");
    blobs.layout(&layout, &[other, tagged(image.clone(), "v1")]);
    pack(&layout, &tarball);
    for path in [&layout, &tarball] {
        let opened = Layout::open(path).unwrap();
        for tag in [None, Some("v1")] {
            let found = opened.resolve(tag).await.unwrap();
            assert_eq!(found.manifests, [digest_of(&image)]);
            assert_eq!(found.config.env, ["PATH=/bin"]);
            assert_eq!(found.config.user, "app");
            assert_eq!(contents(&found), archives().iter().map(|archive| testing::gzip(archive)).collect::<Vec<_>>());
            let expected = |piece: &Piece| (piece.expected.blob.clone().unwrap(), piece.expected.diff.clone().unwrap());
            let of = |archive: &Vec<u8>| (Digest::of(&testing::gzip(archive)), Digest::of(archive));
            let found: Vec<_> = found.pieces.iter().map(expected).collect();
            assert_eq!(found, archives().iter().map(of).collect::<Vec<_>>());
        }
        let missing = opened.resolve(Some("v2")).await.unwrap_err().to_string();
        assert!(missing.contains("v2") && missing.contains("v1"), "{missing}");
    }
}

#[tokio::test]
async fn of_several_tags_one_has_to_be_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut blobs = Blobs::default();
    let image = blobs.image(&archives());
    blobs.layout(directory.path(), &[tagged(image.clone(), "v1"), tagged(image, "v2")]);
    let layout = Layout::open(directory.path()).unwrap();
    assert!(layout.resolve(None).await.unwrap_err().to_string().contains("v1, v2"));
    assert!(layout.resolve(Some("v2")).await.is_ok());
}

#[tokio::test]
async fn what_docker_saved_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let diffs: Vec<_> = archives().iter().map(|archive| Digest::of(archive)).collect();
    let config = json!({ "os": "linux", "rootfs": { "diff_ids": diffs } }).to_string();
    let list = json!([
        { "Config": "c.json", "RepoTags": ["a/b:v1", "c:v2"], "Layers": ["one/layer.tar", "two/layer.tar"] },
        { "Config": "c.json", "RepoTags": null, "Layers": [] },
    ]);
    let path = directory.path().join("saved.tar");
    let [one, two]: [Vec<u8>; 2] = archives().try_into().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let archive = testing::Archive::new()
        .file("./manifest.json", &list.to_string())
        .file("c.json", &config)
        .file("one/layer.tar", &text(one))
        .file("two/layer.tar", &text(two));
    fs::write(&path, archive.bytes()).unwrap();
    let layout = Layout::open(&path).unwrap();
    let found = layout.resolve(Some("v2")).await.unwrap();
    assert_eq!(contents(&found), archives());
    let found: Vec<_> = found.pieces.into_iter().map(|piece| piece.expected.diff.unwrap()).collect();
    assert_eq!(found, diffs);
    assert!(layout.resolve(None).await.unwrap_err().to_string().contains("v1, v2"));
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut blobs = Blobs::default();
    let image = blobs.image(&archives());
    let manifest = digest_of(&image);
    let changed = blobs.0[&manifest].iter().map(|byte| if *byte == b'2' { b'3' } else { *byte }).collect();
    blobs.0 = HashMap::from([(manifest, changed)]);
    blobs.layout(directory.path(), &[image]);
    let refused = Layout::open(directory.path()).unwrap().resolve(None).await.unwrap_err();
    assert!(matches!(refused, crate::Error::Layout(Error::Digest { .. })), "{refused}");
}

#[tokio::test]
async fn what_is_no_layout_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Layout::open(directory.path()).unwrap().resolve(None).await.is_err());
    let file = directory.path().join("file");
    fs::write(&file, "no archive".repeat(100)).unwrap();
    assert!(matches!(Layout::open(&file), Err(Error::NotALayout { .. })));
    assert!(matches!(Layout::open(&directory.path().join("missing")), Err(Error::NotALayout { .. })));
}
