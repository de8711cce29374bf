//! What is left for the user: listed, and fetched in pieces.

use std::time::Duration;

use hand_protocol::MAX_CHUNK;
use tokio::time::timeout;

use super::bench::{Bench, bash};
use crate::{Hand, Lost};

/// A listing or a piece of a file is there at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// The numbers to this one are a file of 23 MB, of which no two stretches are alike.
const NUMBERS: u32 = 3_000_000;

async fn list(hand: &dyn Hand) -> (Vec<(String, u64)>, bool) {
    let listed = timeout(PATIENCE, hand.outputs()).await.expect("a listing is not waited for");
    let (entries, is_cut) = listed.expect("outputs can be listed");
    (entries.into_iter().map(|entry| (entry.path, entry.size)).collect(), is_cut)
}

async fn fetch(hand: &dyn Hand, path: &str, offset: u64, length: u64) -> Result<(Vec<u8>, bool), Lost> {
    timeout(PATIENCE, hand.fetch(path, offset, length)).await.expect("a piece is not waited for")
}

async fn assert_refused(hand: &dyn Hand, path: &str) {
    match fetch(hand, path, 0, 100).await {
        Err(Lost::Refused(_)) => {}
        other => panic!("{path:?} is not one of the outputs: {other:?}"),
    }
}

pub(super) async fn outputs_are_listed_and_fetched(bench: &Bench) {
    let hand = bench.hand().await;
    assert_eq!(list(&*hand).await, (Vec::new(), false), "at first there are none");
    let leave = "cd /mnt/session/outputs; mkdir -p deep/er; echo result > deep/file.txt; : > empty; echo b > deep/er/b";
    bash(&*hand, leave).await;
    let expected = [("deep/er/b", 2), ("deep/file.txt", 7), ("empty", 0)].map(|(path, size)| (path.to_owned(), size));
    assert_eq!(list(&*hand).await, (expected.to_vec(), false));
    let (entries, _) = hand.outputs().await.unwrap();
    assert!(entries.iter().all(|entry| entry.modified > 1_600_000_000_000_000_000), "in nanoseconds: {entries:?}");
    assert_eq!(fetch(&*hand, "deep/file.txt", 2, 3).await.unwrap(), (b"sul".to_vec(), false));
    assert_eq!(fetch(&*hand, "deep/file.txt", 5, 100).await.unwrap(), (b"t\n".to_vec(), true));
    assert_eq!(fetch(&*hand, "empty", 0, 1).await.unwrap(), (Vec::new(), true));
    for beyond in [7, 8, 1 << 40] {
        assert_eq!(fetch(&*hand, "deep/file.txt", beyond, 1).await.unwrap(), (Vec::new(), true), "{beyond}");
    }
    for path in ["nothing", "deep", "", "/", "deep/../../uploads", "../outputs/empty", "/etc/passwd", "empty/"] {
        assert_refused(&*hand, path).await;
    }
    bash(&*hand, "rm -r /mnt/session/outputs/*").await;
    assert_eq!(list(&*hand).await, (Vec::new(), false));
}

pub(super) async fn a_large_file_comes_whole_in_pieces(bench: &Bench) {
    let hand = bench.hand().await;
    bash(&*hand, &format!("seq {NUMBERS} > /mnt/session/outputs/numbers")).await;
    let (listed, _) = list(&*hand).await;
    let [(path, size)] = listed.as_slice() else { panic!("{listed:?}") };
    let (mut whole, mut ends) = (Vec::new(), false);
    while !ends {
        // Whatever is asked for, a piece is bounded.
        let (piece, is_last) = fetch(&*hand, path, whole.len() as u64, u64::MAX).await.unwrap();
        assert!(piece.len() as u64 <= MAX_CHUNK && (is_last || !piece.is_empty()), "{} bytes at once", piece.len());
        whole.extend(piece);
        ends = is_last;
    }
    assert_eq!(whole.len() as u64, *size);
    let mut lines = whole.split(|byte| *byte == b'\n');
    assert!((1..=NUMBERS).all(|number| lines.next() == Some(number.to_string().as_bytes())), "in its order");
}

pub(super) async fn more_than_is_listed_is_said(bench: &Bench) {
    let hand = bench.hand().await;
    bash(&*hand, "cd /mnt/session/outputs; for n in {1..3000}; do : > $n; done").await;
    let (listed, is_cut) = list(&*hand).await;
    assert!(is_cut && !listed.is_empty() && listed.len() < 3_000, "{} are listed", listed.len());
}

pub(super) async fn only_files_are_listed_and_no_link_is_followed(bench: &Bench) {
    let hand = bench.hand().await;
    let leave = "cd /mnt/session/outputs; echo secret > /workspace/secret; echo real > real; mkfifo pipe; \
                 ln -s /workspace/secret link; ln -s /workspace directory; ln -s / root; ln -s . loop; \
                 ln -s link chain; ln -s /proc/self/environ environment; ln -s /nowhere broken; cat link";
    assert_eq!(bash(&*hand, leave).await, "secret", "inside, the link leads there");
    assert_eq!(list(&*hand).await, (vec![("real".to_owned(), 5)], false));
    let through = ["directory/secret", "root/workspace/secret", "loop/real", "root/etc/passwd"];
    for path in ["link", "chain", "pipe", "directory", "environment", "broken"].into_iter().chain(through) {
        assert_refused(&*hand, path).await;
    }
    assert_eq!(fetch(&*hand, "real", 0, 100).await.unwrap(), (b"real\n".to_vec(), true));
}

pub(super) async fn a_link_in_the_place_of_the_outputs_leads_nowhere(bench: &Bench) {
    let hand = bench.hand().await;
    bash(&*hand, "cd /mnt/session && rm -rf outputs && ln -s /etc outputs && ls outputs/passwd").await;
    let listed = timeout(PATIENCE, hand.outputs()).await.expect("a listing is not waited for");
    assert!(listed.is_err() || listed.is_ok_and(|(entries, _)| entries.is_empty()), "nothing is listed through it");
    assert_refused(&*hand, "passwd").await;
    bash(&*hand, "cd /mnt/session && rm outputs && mkdir outputs && echo back > outputs/back").await;
    assert_eq!(list(&*hand).await, (vec![("back".to_owned(), 5)], false));
}

pub(super) async fn every_name_that_is_listed_can_be_fetched(bench: &Bench) {
    let hand = bench.hand().await;
    let long = "a".repeat(255);
    let names = [
        "new\nline",
        "tab\there",
        "quoted\"},{\"path\":\"passwd\",\"size\":1,\"modified\":1",
        "\u{1b}]0;title\u{7}",
        "back\\slash",
        "...",
        " ",
        "-rf",
        "%2e%2e%2fetc",
        "$HOME",
        "`id`",
        "it's",
        "\u{202e}gnp.exe",
        "ü",
        &long,
    ];
    for name in names {
        let quoted = name.replace('\'', "'\\''");
        bash(&*hand, &format!("printf x > /mnt/session/outputs/'{quoted}'")).await;
    }
    // One that is no text, and so cannot be asked for.
    bash(&*hand, "printf x > /mnt/session/outputs/$'\\xff\\xfe'").await;
    let (listed, is_cut) = list(&*hand).await;
    let mut expected: Vec<_> = names.iter().map(|name| ((*name).to_owned(), 1)).collect();
    expected.sort();
    assert_eq!((listed, is_cut), (expected, false));
    for name in names {
        assert_eq!(fetch(&*hand, name, 0, 100).await.unwrap(), (b"x".to_vec(), true), "{name:?}");
    }
}
