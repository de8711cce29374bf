//! A registry over real sockets, good, bad and half dead.

mod debian;
mod fake;
mod ways;

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use serde_json::json;

use super::*;
use crate::{
    Digest, Image, Images, OnProgress, Options, Progress, Source, Step,
    testing::{Archive, Blobs, digest_of, gzip},
};
use fake::{Asked, Fake, Reply, serving};

fn quiet() -> OnProgress {
    Arc::new(|_| {})
}

/// A store, empty at first, whose default registry is the fake.
struct Store {
    directory: tempfile::TempDir,
    options: Options,
}

impl Store {
    fn new(fake: &Fake) -> Self {
        let mut options = Options::default();
        options.registries.default = Some(fake.host());
        Self { directory: tempfile::tempdir().unwrap(), options }
    }

    fn open(&self) -> Images {
        Images::open(self.directory.path(), self.options.clone()).unwrap()
    }

    async fn ensure(&self, source: &str) -> Result<Image, crate::Error> {
        self.open().ensure(&source.parse().unwrap(), quiet()).await
    }

    /// The reason why there is no image, and that nothing of it is left.
    async fn refused(&self, source: &str) -> Error {
        let error = match self.ensure(source).await {
            Err(crate::Error::Registry(error)) => error,
            done => panic!("{done:?}"),
        };
        let left: Vec<_> = fs::read_dir(self.directory.path().join("images")).unwrap().flatten().collect();
        assert!(left.iter().all(|entry| entry.path().extension().is_some_and(|kind| kind == "lock")), "{left:?}");
        error
    }
}

fn archives() -> Vec<Vec<u8>> {
    // Nothing that compresses well: it is to take several parts on the wire.
    let noise: String = (0..8000_u32).map(|number| Digest::of(&number.to_le_bytes()).hex().to_owned()).collect();
    vec![
        Archive::new().file("a", "1").file("noise", &noise).bytes(),
        Archive::new().file("b", "2").file(".wh.a", "").bytes(),
    ]
}

/// An image under the tag v1, and what a registry needs to have it.
fn image() -> (Blobs, Digest) {
    let mut blobs = Blobs::default();
    let digest = digest_of(&blobs.image(&archives()));
    (blobs, digest)
}

fn good() -> Fake {
    let (blobs, digest) = image();
    Fake::start(serving(blobs, [("v1", digest)]))
}

/// Of the first layer, as stored.
fn first_layer() -> (Digest, usize) {
    let bytes = gzip(&archives()[0]);
    (Digest::of(&bytes), bytes.len())
}

#[tokio::test]
async fn an_image_is_fetched_once() {
    let fake = good();
    let store = Store::new(&fake);
    let seen: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let log = Arc::clone(&seen);
    let source: Source = "app:v1".parse().unwrap();
    let images = store.open();
    let image = images.ensure(&source, Arc::new(move |progress| log.lock().push(progress))).await.unwrap();
    assert_eq!(fs::read_to_string(image.rootfs.join("b")).unwrap(), "2");
    assert!(!image.rootfs.join("a").exists());
    assert_eq!(image.config.user, "app");
    for step in [Step::Download, Step::Unpack] {
        for layer in 0..2 {
            let seen = seen.lock();
            let last = seen.iter().rfind(|seen| (seen.step, seen.layer) == (step, layer)).unwrap();
            assert_eq!((last.done, last.layers), (last.total, 2), "{last:?}");
        }
    }
    let layer = format!("/v2/app/blobs/{}", first_layer().0);
    assert_eq!(fake.count(&layer), 1);
    let again = images.ensure(&source, quiet()).await.unwrap();
    assert_eq!((again.digest, &again.rootfs), (image.digest, &image.rootfs));
    assert_eq!(fake.count(&layer), 1);
    let place = again.rootfs.parent().unwrap();
    assert!(place.join("image.json").exists() && !place.join("blobs").exists());
}

#[tokio::test]
async fn what_is_named_by_its_digest_needs_no_registry_twice() {
    let (blobs, digest) = image();
    let fake = Fake::start(serving(blobs, [("v1", digest.clone())]));
    let store = Store::new(&fake);
    let made = store.ensure(&format!("app:v1@{digest}")).await.unwrap();
    let asked = fake.all().len();
    assert_eq!(store.ensure(&format!("app@{digest}")).await.unwrap().digest, made.digest);
    assert_eq!(fake.all().len(), asked);
    let source = format!("app:v1@{digest}").parse().unwrap();
    assert_eq!(store.open().known(&source).unwrap().unwrap().digest, made.digest);
    assert!(store.open().known(&"app:v1".parse().unwrap()).unwrap().is_none());
}

#[tokio::test]
async fn an_index_leads_to_the_image_of_this_machine() {
    let mut blobs = Blobs::default();
    let other = blobs.image_for(&[Archive::new().file("other", "").bytes()], "other");
    let ours = blobs.image(&archives());
    let kind = "application/vnd.docker.distribution.manifest.list.v2+json";
    let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": [other, ours] });
    let digest = digest_of(&blobs.add(kind, index.to_string().into_bytes()));
    let fake = Fake::start(serving(blobs, [("v1", digest.clone())]));
    let store = Store::new(&fake);
    let image = store.ensure("app:v1").await.unwrap();
    assert!(image.rootfs.join("b").exists());
    assert_eq!(store.open().list().unwrap()[0].record.manifests, [digest, digest_of(&ours)]);
}

#[tokio::test]
async fn bytes_that_are_not_what_was_asked_for_are_refused() {
    let (blobs, manifest) = image();
    let (layer, _) = first_layer();
    for wrong in [&manifest, &layer] {
        let mut blobs = blobs.clone();
        blobs.0.get_mut(wrong).unwrap()[20] ^= 1;
        let fake = Fake::start(serving(blobs, []));
        let error = Store::new(&fake).refused(&format!("app@{manifest}")).await;
        assert!(matches!(&error, Error::Digest { expected, .. } if expected == wrong), "{error}");
    }
}

#[tokio::test]
async fn no_more_is_taken_than_was_announced_or_is_allowed() {
    let (blobs, digest) = image();
    let (layer, size) = first_layer();
    let mut longer = blobs.clone();
    longer.0.get_mut(&layer).unwrap().push(0);
    let fake = Fake::start(serving(longer, [("v1", digest.clone())]));
    let error = Store::new(&fake).refused("app:v1").await;
    assert!(matches!(error, Error::TooLarge { limit, .. } if limit == size as u64), "{error}");

    let fake = Fake::start(serving(blobs, [("v1", digest)]));
    let mut store = Store::new(&fake);
    store.options.limits.download = size as u64;
    assert!(matches!(store.refused("app:v1").await, Error::TooLarge { .. }));
    assert_eq!(fake.count(&format!("/v2/app/blobs/{layer}")), 0);

    let fake = Fake::start(|_: &Asked| Reply::ok(vec![b' '; crate::manifest::MAX_DOCUMENT + 1]));
    assert!(matches!(Store::new(&fake).refused("app:v1").await, Error::TooLarge { .. }));
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_stopped() {
    let (blobs, digest) = image();
    let (layer, size) = first_layer();
    let served = serving(blobs, [("v1", digest)]);
    let cuts = AtomicUsize::new(0);
    let path = format!("/v2/app/blobs/{layer}");
    let fake = Fake::start(move |asked| {
        let reply = served(asked);
        // Each time it gets a bit further, more often than it would be tried without getting anywhere.
        if asked.path.ends_with(&layer.to_string()) && cuts.fetch_add(1, Ordering::Relaxed) < 10 {
            return reply.cut(20_000);
        }
        reply
    });
    let store = Store::new(&fake);
    let image = store.ensure("app:v1").await.unwrap();
    assert!(image.rootfs.join("noise").exists());
    let asked = fake.all().into_iter().filter(|asked| asked.path == path);
    let ranges: Vec<_> = asked.map(|asked| asked.range()).collect();
    assert_eq!(ranges.len(), 11);
    assert_eq!(ranges[0], None);
    assert!(ranges[1..].is_sorted() && ranges[1].is_some_and(|start| start > 0), "{ranges:?}");
    assert!(ranges[10].unwrap() <= size as u64);
}

#[tokio::test]
async fn a_server_that_cannot_go_on_may_start_anew() {
    for way in 0..3 {
        let (blobs, digest) = image();
        let (layer, size) = first_layer();
        let served = serving(blobs, [("v1", digest)]);
        let whole = AtomicUsize::new(0);
        let fake = Fake::start(move |asked| {
            if !asked.path.ends_with(&layer.to_string()) {
                return served(asked);
            }
            let plain = served(&Asked { headers: HashMap::new(), ..asked.clone() });
            match (asked.range(), way) {
                (None, _) if whole.fetch_add(1, Ordering::Relaxed) == 0 => plain.cut(size / 2),
                (None, _) => plain,
                // It knows no ranges; or says that there is none; or gives another.
                (Some(_), 0) => plain,
                (Some(_), 1) => Reply::status(416),
                (Some(_), _) => {
                    Reply { status: 206, ..Reply::ok(vec![0; 10]) }.header("content-range", "bytes 1-10/99")
                }
            }
        });
        assert!(Store::new(&fake).ensure("app:v1").await.is_ok(), "{way}");
    }
}

#[tokio::test]
async fn a_registry_that_is_down_for_a_moment_is_waited_for() {
    let (blobs, digest) = image();
    let served = serving(blobs, [("v1", digest)]);
    let turns = AtomicUsize::new(0);
    let fake = Fake::start(move |asked| match turns.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(503),
        1 => Reply::status(429).header("retry-after", "0"),
        2 => Reply::ok(vec![b'x'; 100]).cut(10),
        _ => served(asked),
    });
    assert!(Store::new(&fake).ensure("app:v1").await.is_ok());
}

#[tokio::test]
async fn a_registry_that_stays_down_is_given_up_and_one_that_says_no_is_asked_once() {
    let fake = Fake::start(|_: &Asked| Reply::status(500));
    assert!(matches!(Store::new(&fake).refused("app:v1").await, Error::Busy { status: 500, .. }));
    assert_eq!(fake.all().len(), 6);

    let fake = Fake::start(|_: &Asked| Reply::status(404));
    assert!(matches!(Store::new(&fake).refused("app:v1").await, Error::NotFound { .. }));
    assert_eq!(fake.all().len(), 1);

    let fake = Fake::start(|_: &Asked| Reply { status: 400, ..Reply::ok(b"name\x1b[31m unknown".to_vec()) });
    let error = Store::new(&fake).refused("app:v1").await;
    assert!(matches!(&error, Error::Refused { status: 400, message, .. } if message == "name[31m unknown"), "{error}");
    assert_eq!(fake.all().len(), 1);
}
