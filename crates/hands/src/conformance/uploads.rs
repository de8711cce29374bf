//! Input files: before a sandbox lives and while it does.

use std::fs;

use super::bench::{Bench, ONE, bash, id, run, spec};
use crate::{Address, Spec};

/// Paths that lead out of the uploads directory, or are none.
const NONE: [&str; 6] = ["", "/", "/../handd", "../x", "a/../../x", "a/"];

pub(super) async fn input_files_come_and_go(bench: &Bench) {
    let first = bench.file("first", "first");
    let spec = Spec { uploads: vec![(first.clone(), "/deep/first.txt".into())], ..spec(ONE) };
    let hand = bench.provision(&spec).await;
    let address = hand.address();
    bench.sandbox.upload(address, "/deep/second.txt", Some(&first)).await.expect("a file can be added");
    bench.sandbox.upload(address, "/deep/second.txt", Some(&bench.file("second", ""))).await.expect("and replaced");
    bench.sandbox.upload(address, "/deep/first.txt", None).await.expect("and taken away");
    bench.sandbox.upload(address, "/deep/first.txt", None).await.expect("what is not there is taken away already");
    for path in NONE {
        assert!(bench.sandbox.upload(address, path, Some(&first)).await.is_err(), "{path:?} is no path for a file");
        assert!(bench.sandbox.upload(address, path, None).await.is_err(), "{path:?} is no path to take away");
    }
    let missing = bench.sandbox.upload(address, "/x", Some(&bench.host("missing"))).await;
    assert!(missing.is_err(), "a file that is not there cannot be added");

    let gone = Address { incarnation: "another".into(), ..address.clone() };
    bench.sandbox.upload(&gone, "/x", Some(&first)).await.expect("a sandbox that is no more needs no files");
    bench.sandbox.destroy(ONE, None).await.unwrap();
    bench.sandbox.upload(address, "/x", Some(&first)).await.expect("a sandbox that is no more needs no files");
}

pub(super) async fn an_input_file_that_cannot_be_had_is_named(bench: &Bench) {
    let there = bench.file("there", "there");
    for (from, path) in [(bench.host("missing"), "/in/missing.txt"), (there.clone(), "/in/../../x"), (there, "")] {
        let refused = bench.refusal(&*bench.sandbox, &Spec { uploads: vec![(from, path.into())], ..spec(ONE) }).await;
        assert!(refused.to_string().contains(path.trim_start_matches('/')), "{path:?}: {refused}");
    }
}

pub(super) async fn input_files_show_inside_and_cannot_be_written(bench: &Bench) {
    let source = bench.file("source", "input");
    let spec = Spec { uploads: vec![(source.clone(), "/deep/data.csv".into())], ..spec(ONE) };
    let hand = bench.provision(&spec).await;
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/deep/data.csv").await, "input");
    for attempt in [
        "echo x > /mnt/session/uploads/new",
        "echo x >> /mnt/session/uploads/deep/data.csv",
        "rm -f /mnt/session/uploads/deep/data.csv",
        "mv /mnt/session/uploads/deep /mnt/session/uploads/other",
        "chmod 777 /mnt/session/uploads/deep",
    ] {
        let outcome = run(&*hand, &id(), attempt).await;
        assert!(outcome.is_error, "{attempt}: {outcome:?}");
    }
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/deep/data.csv").await, "input");
    assert_eq!(fs::read(&source).unwrap(), b"input");
    let _ = fs::remove_file(&source);
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/deep/data.csv").await, "input", "it needs its source no more");
}

pub(super) async fn a_later_server_brings_and_takes_files_too(bench: &Bench) {
    let hand = bench.hand().await;
    let (address, later) = (hand.address().clone(), bench.later().await);
    later.upload(&address, "/new/data.csv", Some(&bench.file("one", "one"))).await.unwrap();
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/new/data.csv").await, "one");
    later.upload(&address, "/new/data.csv", Some(&bench.file("two", "two"))).await.unwrap();
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/new/data.csv").await, "two", "the newest is seen");
    later.upload(&address, "/new/data.csv", None).await.unwrap();
    assert_eq!(bash(&*hand, "find /mnt/session/uploads -type f | wc -l").await, "0");
    let hand = later.adopt(&address, 2).await.unwrap();
    later.upload(&address, "/again", Some(&bench.file("three", "three"))).await.unwrap();
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/again").await, "three");
}

pub(super) async fn a_large_file_and_odd_names_come_in_whole(bench: &Bench) {
    let numbers: String = (0..1_000_000).map(|number| format!("{number}\n")).collect();
    let (large, small) = (bench.file("large", &numbers), bench.file("small", "x"));
    let names = ["new\nline", "it's", "-rf", "$HOME", "`id`", "a b", "...", "\u{1b}[2J", "ü"];
    let mut uploads: Vec<_> = names.iter().map(|name| (small.clone(), format!("/odd/{name}"))).collect();
    uploads.push((large.clone(), "/large".into()));
    let hand = bench.provision(&Spec { uploads, ..spec(ONE) }).await;
    let same = "cmp <(seq 0 999999) /mnt/session/uploads/";
    assert_eq!(bash(&*hand, &format!("{same}large && echo same")).await, "same");
    let count = "cd /mnt/session/uploads/odd; ls -A | wc -l; find . -type f -exec cat {} + | wc -c; cd /";
    // One of the names takes two lines.
    assert_eq!(bash(&*hand, count).await, "10\n9");
    bench.sandbox.upload(hand.address(), "/again", Some(&large)).await.unwrap();
    assert_eq!(bash(&*hand, &format!("{same}again && echo same")).await, "same");
    for name in names {
        let removed = bench.sandbox.upload(hand.address(), &format!("/odd/{name}"), None).await;
        removed.unwrap_or_else(|error| panic!("{name:?}: {error}"));
    }
    assert_eq!(bash(&*hand, "ls -A /mnt/session/uploads/odd 2> /dev/null | wc -l").await, "0");
    bench.sandbox.upload(hand.address(), "/odd", Some(&small)).await.unwrap();
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/odd").await, "x", "where a directory was");
}
