//! From a source to a directory, once, whoever asks and whatever breaks.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::{Arc, mpsc},
    time::Duration,
};

use futures::future::{Either, join_all, select};
use parking_lot::Mutex;
use tar::EntryType;

use super::*;
use crate::testing::{Archive, Blobs, digest_of, gzip, tagged};

fn quiet() -> OnProgress {
    Arc::new(|_| {})
}

/// A place for sources and a store.
struct Case(tempfile::TempDir);

impl Case {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn open(&self) -> Images {
        self.open_with(Options::default())
    }

    fn open_with(&self, options: Options) -> Images {
        Images::open(&self.path("store"), options).unwrap()
    }

    fn tarball(&self, name: &str, bytes: &[u8]) -> Source {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        Source::Tar(path)
    }

    /// An image of one file of this content.
    fn image(&self, content: &str) -> Source {
        self.tarball(content, &Archive::new().file("content", content).bytes())
    }

    /// What lies in the store, but for locks.
    fn kept(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("store/images")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".lock")).collect()
    }
}

fn content(image: &Image) -> String {
    fs::read_to_string(image.rootfs.join("content")).unwrap()
}

#[tokio::test]
async fn a_tarball_may_be_compressed_in_any_way() {
    let case = Case::new();
    let archive = Archive::new().file("content", "same").bytes();
    let mut xz = Vec::new();
    io::Read::read_to_end(&mut liblzma::read::XzEncoder::new(archive.as_slice(), 1), &mut xz).unwrap();
    let zstd = zstd::stream::encode_all(archive.as_slice(), 1).unwrap();
    let images = case.open();
    let packed = [archive.clone(), gzip(&archive), zstd, xz];
    for (number, bytes) in packed.iter().enumerate() {
        let source = case.tarball(&number.to_string(), bytes);
        let image = images.ensure(&source, quiet()).await.unwrap();
        assert_eq!(content(&image), "same");
    }
    assert_eq!(images.list().unwrap().len(), packed.len());
    assert!(images.ensure(&Source::Tar(case.path("missing")), quiet()).await.is_err());
    assert!(images.ensure(&Source::Tar(case.path("")), quiet()).await.is_err());
}

#[tokio::test]
async fn layers_of_a_layout_become_one_directory_with_a_record() {
    let case = Case::new();
    let layers = [
        Archive::new().file("content", "old").file("gone", "").directory("d").file("d/hidden", "").bytes(),
        Archive::new().file("content", "new").file(".wh.gone", "").file("d/.wh..wh..opq", "").bytes(),
        Archive::new().file("d/top", "").entry(EntryType::Fifo, "pipe", "", b"", |_| {}).bytes(),
    ];
    let mut blobs = Blobs::default();
    let image = blobs.image(&layers);
    blobs.layout(&case.path("layout"), &[tagged(image.clone(), "v1")]);
    let source: Source = format!("oci:{}:v1", case.path("layout").display()).parse().unwrap();
    let images = case.open();
    let made = images.ensure(&source, quiet()).await.unwrap();
    assert_eq!(content(&made), "new");
    assert!(made.rootfs.join("d/top").exists());
    assert!(!made.rootfs.join("gone").exists() && !made.rootfs.join("d/hidden").exists());
    assert_eq!(made.config.env, ["PATH=/bin"]);
    assert_eq!(made.config.user, "app");
    assert_eq!(fs::metadata(&made.rootfs).unwrap().mode() & 0o777, 0o755);

    let kept = images.list().unwrap();
    let record = &kept[0].record;
    assert_eq!((record.source.as_str(), &record.digest), (source.to_string().as_str(), &made.digest));
    assert_eq!(record.manifests, [digest_of(&image)]);
    assert_eq!(record.layers, layers.iter().map(|layer| Digest::of(layer)).collect::<Vec<_>>());
    assert_eq!((record.files, record.skipped.special_files), (3, 1));
    assert!(record.created_at > 1_600_000_000_000);
    // The same layers from elsewhere are the same image.
    let other: Source = format!("oci:{}", case.path("layout").display()).parse().unwrap();
    assert_eq!(images.ensure(&other, quiet()).await.unwrap().rootfs, made.rootfs);
}

#[tokio::test]
async fn however_many_ask_at_once_it_is_made_once() {
    let case = Case::new();
    let source = case.image("content");
    let unpacked: Arc<Mutex<Vec<usize>>> = Arc::default();
    // Each of them stands for a process of its own.
    let stores: Vec<_> = (0..5).map(|_| case.open()).collect();
    let asked = stores.iter().enumerate().map(|(asker, images)| {
        let unpacked = Arc::clone(&unpacked);
        let source = &source;
        async move { images.ensure(source, Arc::new(move |_| unpacked.lock().push(asker))).await.unwrap() }
    });
    let made = join_all(asked).await;
    assert!(made.iter().all(|image| image.rootfs == made[0].rootfs && content(image) == "content"));
    let mut askers = unpacked.lock().clone();
    askers.dedup();
    assert_eq!(askers.len(), 1, "{askers:?}");
}

#[tokio::test]
async fn what_a_killed_process_left_is_in_nobody_s_way() {
    let case = Case::new();
    let source = case.image("content");
    let made = case.open().ensure(&source, quiet()).await.unwrap();
    let place = made.rootfs.parent().unwrap().to_owned();
    drop(made);
    // As if the process had died at its last step.
    fs::rename(&place, place.with_extension("building")).unwrap();
    fs::write(place.with_extension("building").join("rootfs/content"), "half").unwrap();
    let images = case.open();
    assert_eq!(case.kept(), Vec::<String>::new());
    assert_eq!(content(&images.ensure(&source, quiet()).await.unwrap()), "content");
}

#[tokio::test]
async fn what_cannot_be_unpacked_leaves_nothing() {
    let case = Case::new();
    let images = case.open();
    let hostile = Archive::new().file("fine", "").file("../escape", "").bytes();
    let refused = images.ensure(&case.tarball("hostile", &hostile), quiet()).await;
    assert!(matches!(refused, Err(Error::Unpack(unpack::Error::Path { .. }))), "{refused:?}");
    assert_eq!(case.kept(), Vec::<String>::new());
    assert!(!case.path("escape").exists() && !case.path("store/escape").exists());
    // Content that changed since it was named.
    let mut blobs = Blobs::default();
    let image = blobs.image(&[Archive::new().file("content", "right").bytes()]);
    let layer = Digest::of(&gzip(&Archive::new().file("content", "right").bytes()));
    blobs.0.insert(layer, gzip(&Archive::new().file("content", "wrong").bytes()));
    blobs.layout(&case.path("layout"), &[image]);
    let refused = images.ensure(&Source::Layout { path: case.path("layout"), tag: None }, quiet()).await;
    assert!(matches!(refused, Err(Error::Unpack(unpack::Error::Digest { .. }))), "{refused:?}");
    assert_eq!(case.kept(), Vec::<String>::new());
}

#[tokio::test]
async fn nobody_waits_so_nothing_is_made() {
    let case = Case::new();
    let source = case.image("content");
    let images = case.open();
    let (started, told) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let stuck: OnProgress = Arc::new(move |_| {
        let _ = started.send(());
        let _ = released.lock().recv();
    });
    let mut making = Box::pin(images.ensure(&source, stuck));
    // It is at work, and stands still.
    while told.try_recv().is_err() {
        let turn = Box::pin(tokio::task::yield_now());
        assert!(matches!(select(&mut making, turn).await, Either::Right(_)));
    }
    drop(making);
    drop(release);
    let unpacked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&unpacked);
    let made = images.ensure(&source, Arc::new(move |_| *count.lock() += 1)).await.unwrap();
    assert_eq!(content(&made), "content");
    assert!(*unpacked.lock() > 0, "the first one went on");
}

#[tokio::test]
async fn time_is_bounded() {
    let case = Case::new();
    let mut options = Options::default();
    options.limits.time = Duration::ZERO;
    let refused = case.open_with(options).ensure(&case.image("content"), quiet()).await;
    assert!(matches!(refused, Err(Error::TimedOut(_) | Error::Unpack(unpack::Error::TimedOut(_)))), "{refused:?}");
}

#[tokio::test]
async fn what_is_held_or_kept_stays() {
    let case = Case::new();
    let images = case.open();
    let mut digests = Vec::new();
    for name in ["one", "two", "three"] {
        digests.push(images.ensure(&case.image(name), quiet()).await.unwrap().digest);
    }
    let held = images.known(&Source::Tar(case.path("one"))).unwrap().unwrap();
    assert_eq!(held.digest, digests[0]);
    // One is held, two is kept: three is all that may go.
    assert_eq!(images.remove_unused(&digests[1..2], 0).unwrap(), digests[2..]);
    drop(held);
    assert!(images.remove_unused(&[], u64::MAX).unwrap().is_empty());
    let mut gone = images.remove_unused(&[], 0).unwrap();
    gone.sort();
    digests.truncate(2);
    digests.sort();
    assert_eq!(gone, digests);
    assert!(images.list().unwrap().is_empty() && case.kept().is_empty());
}

#[tokio::test]
async fn other_rules_make_another_image() {
    let case = Case::new();
    let su = Archive::new().entry(EntryType::Regular, "su", "", b"", |header| header.set_mode(0o4755));
    let source = case.tarball("su", &su.bytes());
    let strict = case.open().ensure(&source, quiet()).await.unwrap();
    let options = Options { special_bits: true, ..Options::default() };
    let loose = case.open_with(options).ensure(&source, quiet()).await.unwrap();
    assert_ne!(strict.digest, loose.digest);
    let mode = |image: &Image| fs::metadata(image.rootfs.join("su")).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&strict), mode(&loose)), (0o755, 0o4755));
    // What was made by other rules is not given out, though it came from the same source.
    assert_eq!(case.open().known(&source).unwrap().unwrap().digest, strict.digest);
}

#[tokio::test]
async fn a_directory_is_used_in_place_and_named_by_its_state() {
    let case = Case::new();
    let directory = case.path("root");
    fs::create_dir_all(directory.join("etc")).unwrap();
    fs::write(directory.join("etc/file"), "one").unwrap();
    let source = Source::Directory(directory.clone());
    let images = case.open();
    let first = images.ensure(&source, quiet()).await.unwrap();
    assert_eq!(first.rootfs, directory);
    assert_eq!(images.ensure(&source, quiet()).await.unwrap().digest, first.digest);
    fs::write(directory.join("etc/file"), "changed").unwrap();
    let second = images.ensure(&source, quiet()).await.unwrap().digest;
    assert_ne!(second, first.digest);
    // With a marker, nothing else counts.
    fs::write(directory.join(".stead-base"), "1").unwrap();
    let marked = images.ensure(&source, quiet()).await.unwrap().digest;
    fs::write(directory.join("etc/file"), "changed again").unwrap();
    assert_eq!(images.ensure(&source, quiet()).await.unwrap().digest, marked);
    fs::write(directory.join(".stead-base"), "2").unwrap();
    assert_ne!(images.ensure(&source, quiet()).await.unwrap().digest, marked);
    assert!(images.list().unwrap().is_empty());
}

#[tokio::test]
async fn the_host_s_own_root_is_no_image() {
    let case = Case::new();
    let images = case.open();
    std::os::unix::fs::symlink("/", case.path("root")).unwrap();
    for path in ["/", "/usr/..", case.path("root").to_str().unwrap(), case.path("missing").to_str().unwrap()] {
        let refused = images.ensure(&Source::Directory(path.into()), quiet()).await;
        assert!(matches!(refused, Err(Error::Disk { .. })), "{path}: {refused:?}");
    }
}
