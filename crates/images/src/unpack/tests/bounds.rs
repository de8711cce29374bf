//! What archives try to use up.

use std::time::Duration;

use super::*;

const SMALL: &str = "a line that comes many times.";

#[test]
fn the_bytes_of_all_layers_are_bounded() {
    let mut case = Case::new();
    case.limits.bytes = 1000;
    let content = SMALL.repeat(20);
    case.unpack([Archive::new().file("a", &content)]).unwrap();
    let again = [Archive::new().file("a", &content), Archive::new().file("a", &content)];
    assert!(matches!(case.unpack(again), Err(Error::Bytes(1000))));
}

#[test]
fn a_size_is_refused_before_anything_of_it_is_read() {
    for size in [1 << 50, u64::MAX - 4096] {
        let case = Case::new();
        let archive = Archive::new().entry(EntryType::Regular, "a", "", b"", |header| header.set_size(size));
        assert!(matches!(case.unpack([archive]), Err(Error::Bytes(_))), "{size}");
        assert_eq!(case.all(), Vec::<String>::new());
    }
}

#[test]
fn holes_count_as_what_they_unpack_to() {
    let case = Case::new();
    let archive = Archive::new().entry(EntryType::GNUSparse, "a", "", b"", |header| {
        let gnu = header.as_gnu_mut().unwrap();
        gnu.set_real_size(1 << 50);
        gnu.sparse[0].set_offset(1 << 50);
        gnu.sparse[0].set_length(0);
    });
    assert!(matches!(case.unpack([archive]), Err(Error::Bytes(_))));
}

#[test]
fn the_bytes_of_what_is_skipped_are_bounded_too() {
    let mut case = Case::new();
    (case.limits.bytes, case.limits.files) = (1000, 3);
    let archive = Archive::new().entry(EntryType::new(b'Z'), "a", "", &[0; 20_000], |_| {});
    assert!(matches!(case.unpack([archive]), Err(Error::Bytes(1000))));
}

#[test]
fn entries_are_bounded_whatever_they_are() {
    let mut case = Case::new();
    case.limits.files = 3;
    let three = || Archive::new().file("a", "").file("a", "").entry(EntryType::Fifo, "b", "", b"", |_| {});
    case.unpack([three()]).unwrap();
    assert!(matches!(case.unpack([three(), Archive::new().file("c", "")]), Err(Error::Files(3))));
}

#[test]
fn paths_are_bounded() {
    let mut case = Case::new();
    case.limits.path = 10;
    case.unpack([Archive::new().file("0123456789", "")]).unwrap();
    assert!(matches!(case.unpack([Archive::new().file("0123456789a", "")]), Err(Error::Path { .. })));
}

#[test]
fn names_and_attributes_are_not_read_without_end() {
    let much = vec![b'a'; METADATA as usize + 1];
    let name = Archive::new().entry(EntryType::GNULongName, "././@LongLink", "", &much, |_| {});
    let attributes = Archive::new().extended(&[("comment", &much)]);
    for archive in [name, attributes] {
        let case = Case::new();
        assert!(matches!(case.unpack([archive.file("a", "")]), Err(Error::Metadata(METADATA))));
    }
}

#[test]
fn a_bomb_is_not_unpacked_to_its_end() {
    let case = Case::new();
    let zeros = vec![0; 100 << 20];
    let archive = Archive::new().entry(EntryType::Regular, "zeros", "", &zeros, |_| {}).bytes();
    let packed = zstd::stream::encode_all(archive.as_slice(), 1).unwrap();
    assert!(packed.len() < 100 << 10);
    assert!(matches!(case.unpack_bytes([packed.as_slice()]), Err(Error::Ratio(200))));
    assert!(case.stat("zeros").len() < 90 << 20);
    // As it is, it is no bomb.
    case.unpack_bytes([archive.as_slice()]).unwrap();
}

#[test]
fn an_archive_that_is_cut_short_is_refused() {
    let archive = Archive::new().file("a", &SMALL.repeat(100)).bytes();
    for length in [1, 600, 1500] {
        let case = Case::new();
        assert!(matches!(case.unpack_bytes([&archive[..length]]), Err(Error::Archive(_))), "{length}");
    }
    let packed = crate::testing::gzip(&archive);
    let cut = &packed[..packed.len() - 4];
    assert!(matches!(Case::new().unpack_bytes([cut]), Err(Error::Archive(_))));
    assert!(matches!(Case::new().unpack_bytes([[b'x'; 2000].as_slice()]), Err(Error::Archive(_))));
}

#[test]
fn time_is_bounded_and_nobody_has_to_wait_for_it() {
    let mut case = Case::new();
    case.limits.time = Duration::ZERO;
    assert!(matches!(case.unpack([Archive::new().file("a", "")]), Err(Error::TimedOut(_))));

    let cancelled = CancellationToken::new();
    let watch = Watch::start(Limits::default(), cancelled.clone());
    let mut unpacker = Unpacker::new(&case.inside(""), case.rules, &watch).unwrap();
    cancelled.cancel();
    let archive = Archive::new().file("a", "").bytes();
    let done = unpacker.layer(archive.as_slice(), &Expected::default(), &|_| {});
    assert!(matches!(done, Err(Error::Cancelled)), "{done:?}");
}
