//! Blobs: bytes by their digest.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::fixture::{ELSEWHERE, WORKSPACE};
use crate::{BlobId, Blobs, Error, Rng, Store, SystemRng};

/// The digests of `abc` and of no bytes at all, as the standard has them.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

type Chunks = BoxStream<'static, std::io::Result<Bytes>>;

fn chunks(bytes: &[u8], size: usize) -> Chunks {
    let chunks: Vec<_> = bytes.chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    stream::iter(chunks).boxed()
}

async fn read(store: &dyn Store, id: &BlobId) -> Vec<u8> {
    let mut chunks = store.read(WORKSPACE, id).await.expect("a blob that was put can be read");
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.next().await {
        whole.extend_from_slice(&chunk.expect("a blob can be read to its end"));
    }
    whole
}

pub(super) async fn bytes_come_back_and_equal_bytes_have_equal_ids(store: &dyn Store) {
    let (id, size) = store.put(WORKSPACE, chunks(b"abc", 2)).await.unwrap();
    assert_eq!((id.0.as_str(), size), (ABC, 3), "a blob is named by its digest");
    let again = store.put(WORKSPACE, chunks(b"abc", 1)).await.unwrap();
    assert_eq!(again, (id.clone(), 3), "equal bytes have equal ids, however they come");
    assert_eq!(read(store, &id).await, b"abc", "the bytes come back");

    let (id, size) = store.put(WORKSPACE, chunks(b"", 1)).await.unwrap();
    assert_eq!((id.0.as_str(), size), (EMPTY, 0), "no bytes are a blob too");
    assert!(read(store, &id).await.is_empty(), "a blob of no bytes can be read");

    let large: Vec<u8> = (0..1_000_003_u32).map(|number| (number % 251) as u8).collect();
    let (id, size) = store.put(WORKSPACE, chunks(&large, 65_537)).await.unwrap();
    assert_eq!(size, large.len() as u64, "the size is told");
    assert!(read(store, &id).await == large, "a large blob comes back whole");
}

pub(super) async fn a_stream_that_fails_leaves_nothing(store: &dyn Store) {
    let broken = chunks(b"abc", 1).chain(stream::iter([Err(std::io::Error::other("the client has gone"))])).boxed();
    assert!(store.put(WORKSPACE, broken).await.is_err(), "a stream that fails makes no blob");
    let found = store.read(WORKSPACE, &BlobId(ABC.to_owned())).await;
    assert_eq!(found.err(), Some(Error::NotFound), "a stream that fails leaves nothing of what it brought");
}

pub(super) async fn blobs_of_other_workspaces_are_not_found(store: &dyn Store) {
    let (id, _) = store.put(WORKSPACE, chunks(b"abc", 3)).await.unwrap();
    let found = store.read(ELSEWHERE, &id).await;
    assert_eq!(found.err(), Some(Error::NotFound), "a blob is read in its own workspace only");
    for unknown in [EMPTY, "", "../../etc/passwd"] {
        let found = store.read(WORKSPACE, &BlobId(unknown.to_owned())).await;
        assert_eq!(found.err(), Some(Error::NotFound), "there is no blob {unknown:?}");
    }
}

pub(super) async fn a_blob_is_copied_to_a_file(store: &dyn Store) {
    let (id, _) = store.put(WORKSPACE, chunks(b"abc", 3)).await.unwrap();
    let file = |name: &str| std::env::temp_dir().join(format!("stead-{name}-{:032x}", SystemRng.bits()));
    let path = file("blob");
    Blobs::export(store, WORKSPACE, &id, &path).await.expect("a blob can be copied to a file");
    let copied = std::fs::read(&path);
    // Before the assertion, so that nothing stays behind if it fails.
    let removed = std::fs::remove_file(&path);
    assert_eq!(copied.unwrap(), b"abc", "the file has the blob's bytes");
    removed.unwrap();

    let path = file("absent");
    assert!(Blobs::export(store, ELSEWHERE, &id, &path).await.is_err(), "a blob of another workspace is not copied");
    assert!(!path.exists(), "what is not copied leaves no file");
}
