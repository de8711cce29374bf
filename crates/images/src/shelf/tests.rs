use std::fs::FileTimes;

use super::*;

const KEY: &str = "k1";

fn shelf() -> (tempfile::TempDir, Shelf) {
    let directory = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(directory.path().join("shelf")).unwrap();
    (directory, shelf)
}

fn again(shelf: &Shelf) -> Shelf {
    Shelf::open(shelf.directory.clone()).unwrap()
}

async fn place(shelf: &Shelf, key: &str) -> Place {
    match shelf.lock(key).await.unwrap() {
        Locked::Empty(place) => place,
        Locked::Made(held) => panic!("{held:?} is there"),
    }
}

async fn make(shelf: &Shelf, key: &str, text: &str) -> Held {
    let place = place(shelf, key).await;
    fs::write(place.building().join("text"), text).unwrap();
    place.commit().unwrap()
}

/// As if it had been used that many seconds after 1970.
fn used_at(shelf: &Shelf, key: &str, seconds: u64) {
    let lock = File::options().write(true).open(shelf.beside(key, LOCK)).unwrap();
    lock.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))).unwrap();
}

#[tokio::test]
async fn what_was_committed_is_found_by_everybody_and_after_a_restart() {
    let (_directory, shelf) = shelf();
    assert!(shelf.find(KEY).unwrap().is_none());
    let held = make(&shelf, KEY, "hello").await;
    for shelf in [&shelf, &again(&shelf)] {
        let found = shelf.find(KEY).unwrap().unwrap();
        assert_eq!(fs::read_to_string(found.path().join("text")).unwrap(), "hello");
        assert!(matches!(shelf.lock(KEY).await.unwrap(), Locked::Made(_)));
    }
    assert_eq!(fs::metadata(&shelf.directory).unwrap().mode() & 0o777, 0o700);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn the_second_waits_for_the_first_and_makes_nothing() {
    let (_directory, shelf) = shelf();
    let first = place(&shelf, KEY).await;
    // A shelf of its own stands for another process: locks belong to opened files, not to processes.
    let other = again(&shelf);
    assert!(first.building().is_dir(), "opening a shelf takes nothing from one at work");
    let second = async { other.lock(KEY).await.unwrap() };
    let commit = async {
        tokio::time::sleep(10 * LOOK).await;
        first.commit().unwrap()
    };
    let (second, _first) = tokio::join!(second, commit);
    assert!(matches!(second, Locked::Made(_)));
}

#[tokio::test]
async fn an_unfinished_directory_goes_and_another_may_make_it() {
    let (_directory, shelf) = shelf();
    let building = {
        let place = place(&shelf, KEY).await;
        fs::write(place.building().join("half"), "").unwrap();
        place.building().to_owned()
    };
    assert!(!building.exists());
    let place = place(&shelf, KEY).await;
    assert_eq!(fs::read_dir(place.building()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_a_killed_process_left_is_cleared_at_the_next_start() {
    let (_directory, shelf) = shelf();
    drop(make(&shelf, "kept", "").await);
    for left in ["k2.building", "k3.removed"] {
        fs::create_dir_all(shelf.directory.join(left).join("deep/er")).unwrap();
    }
    fs::write(shelf.directory.join("k4.lock"), "").unwrap();
    let shelf = again(&shelf);
    let mut names: Vec<_> = fs::read_dir(&shelf.directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["kept", "kept.lock"]);
}

#[tokio::test]
async fn the_longest_unused_goes_first_and_what_is_held_or_kept_stays() {
    let (_directory, shelf) = shelf();
    let held = make(&shelf, "held", "").await;
    for (key, seconds) in [("old", 1), ("kept", 2), ("middle", 3), ("new", 4)] {
        drop(make(&shelf, key, "").await);
        used_at(&shelf, key, seconds);
    }
    used_at(&shelf, "held", 0);
    let gone = shelf.evict(3, |key| key == "kept", |_| 1).unwrap();
    assert_eq!(gone, ["old", "middle"]);
    let left: Vec<_> = shelf.list().unwrap().into_iter().map(|(key, ..)| key).collect();
    assert_eq!(left, ["held", "kept", "new"]);
    assert!(!shelf.beside("old", LOCK).exists());
    drop(held);
    assert_eq!(shelf.evict(2, |key| key == "kept", |_| 1).unwrap(), ["held"]);
}

#[tokio::test]
async fn finding_is_using() {
    let (_directory, shelf) = shelf();
    for key in ["one", "two"] {
        drop(make(&shelf, key, "").await);
    }
    used_at(&shelf, "one", 1);
    used_at(&shelf, "two", 2);
    drop(shelf.find("one").unwrap());
    assert_eq!(shelf.evict(1, |_| false, |_| 1).unwrap(), ["two"]);
}

#[test]
fn a_lock_that_was_removed_is_not_taken_for_the_new_one() {
    let (_directory, shelf) = shelf();
    let path = shelf.beside(KEY, LOCK);
    let old = acquire(&path, FlockOperation::NonBlockingLockExclusive).unwrap().unwrap();
    assert!(is_at(&old, &path).unwrap());
    fs::remove_file(&path).unwrap();
    assert!(!is_at(&old, &path).unwrap());
    let new = acquire(&path, FlockOperation::NonBlockingLockExclusive).unwrap().unwrap();
    assert!(is_at(&new, &path).unwrap() && !is_at(&old, &path).unwrap());
}
