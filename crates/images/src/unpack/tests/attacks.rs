//! What archives try to get out of their directory.

use super::*;

/// Refused for a path, and nothing outside has changed.
fn assert_refused(case: &Case, layers: impl IntoIterator<Item = Archive>, reason: &str) {
    match case.unpack(layers) {
        Err(Error::Path { reason: given, .. }) => assert!(given.contains(reason), "{given}"),
        done => panic!("{reason}: {done:?}"),
    }
    case.assert_untouched();
}

#[test]
fn an_absolute_path_starts_at_the_root_of_the_image() {
    let case = Case::new();
    let outside = case.outside();
    case.unpack([Archive::new().file(&format!("{outside}/secret"), "mine").file("//etc/./file", "")]).unwrap();
    assert_eq!(case.read(&format!("{}/secret", &outside[1..])), "mine");
    assert!(case.inside("etc/file").is_file());
    case.assert_untouched();
}

#[test]
fn a_path_that_goes_up_ends_it_all() {
    for path in ["../outside/new", "a/../../outside/new", "/../outside/new", "a/.."] {
        assert_refused(&Case::new(), [Archive::new().file(path, "mine")], "goes up");
        assert_refused(&Case::new(), [Archive::new().directory(path)], "goes up");
    }
    let case = Case::new();
    let archive = Archive::new().extended(&[("path", b"../outside/new")]).file("fine", "mine");
    assert_refused(&case, [archive], "goes up");
}

#[test]
fn no_file_is_made_through_a_link() {
    let case = Case::new();
    let link = || Archive::new().symlink("way", &case.outside());
    let through = "goes through a link";
    assert_refused(&case, [link().file("way/new", "mine")], through);
    assert_refused(&case, [link().directory("way/new")], through);
    assert_refused(&case, [link().symlink("way/new", "x")], through);
    assert_refused(&case, [link().file("own", "").link("way/new", "own")], through);
    assert_refused(&case, [link(), Archive::new().file("way/deep/er", "mine")], through);
    assert_refused(&case, [Archive::new().symlink("way", "../outside").file("way/new", "mine")], through);
    assert_refused(&case, [Archive::new().symlink("self", ".").file("self/../new", "mine")], "goes up");
}

#[test]
fn a_directory_that_became_a_link_is_one() {
    let case = Case::new();
    let swapped = Archive::new().directory("a").file("a/in", "").symlink("a", &case.outside()).file("a/new", "mine");
    assert_refused(&case, [swapped], "goes through a link");
    // And a link that becomes a directory leads nowhere any more.
    let case = Case::new();
    let back = Archive::new().symlink("a", &case.outside()).directory("a").file("a/secret", "mine");
    case.unpack([back]).unwrap();
    assert_eq!(case.read("a/secret"), "mine");
    case.assert_untouched();
}

#[test]
fn a_file_replaces_the_link_of_its_name() {
    let case = Case::new();
    let secret = format!("{}/secret", case.outside());
    let link = Archive::new().symlink("a", &secret).symlink("b", &secret).symlink("c", &case.outside());
    let files = Archive::new().file("a", "mine").directory("b").entry(EntryType::Directory, "c", "", b"", |header| {
        header.set_mode(0o700);
        header.set_mtime(1);
    });
    case.unpack([link, files]).unwrap();
    assert!(case.stat("a").is_file() && case.stat("b").is_dir() && case.stat("c").is_dir());
    case.assert_untouched();
    assert_ne!(fs::metadata(case.outside()).unwrap().mtime(), 1);
}

#[test]
fn a_hard_link_leads_to_a_file_of_the_image() {
    let case = Case::new();
    let secret = format!("{}/secret", case.outside());
    assert_refused(&case, [Archive::new().link("l", &secret)], "not there");
    assert_refused(&case, [Archive::new().link("l", "../outside/secret")], "goes up");
    assert_refused(&case, [Archive::new().symlink("way", &case.outside()).link("l", "way/secret")], "through a link");
    assert_refused(&case, [Archive::new().directory("d").link("l", "d")], "not a file");
    assert_refused(&case, [Archive::new().link("l", "/")], "root");
    assert_refused(&case, [Archive::new().link("l", "l/in")], "not there");
}

#[test]
fn a_hard_link_to_a_link_is_a_link_and_nothing_is_written_through_it() {
    let case = Case::new();
    let secret = format!("{}/secret", case.outside());
    let link = Archive::new().symlink("s", &secret).link("l", "s");
    case.unpack([link, Archive::new().entry(EntryType::Regular, "l", "", b"mine", |header| header.set_mode(0o777))])
        .unwrap();
    assert!(case.stat("s").is_symlink() && case.stat("l").is_file());
    case.assert_untouched();
}

#[test]
fn writing_one_name_of_a_file_leaves_its_other_names_alone() {
    let case = Case::new();
    let lower = Archive::new().file("tool", "old").link("same", "tool").link("tool", "tool");
    case.unpack([lower, Archive::new().file("same", "new")]).unwrap();
    assert_eq!((case.read("tool"), case.read("same")), ("old".into(), "new".into()));
}

#[test]
fn a_whiteout_hides_no_directory_s_own_names_and_nothing_behind_a_link() {
    let case = Case::new();
    for path in [".wh.", ".wh..", ".wh...", "d/.wh..."] {
        assert_refused(&case, [Archive::new().file("kept", ""), Archive::new().file(path, "")], "not a file");
    }
    for path in ["way/.wh.secret", "way/.wh..wh..opq"] {
        let lower = Archive::new().symlink("way", &case.outside());
        assert_refused(&case, [lower, Archive::new().file(path, "")], "through a link");
    }
    // The link itself may be hidden.
    let lower = Archive::new().symlink("way", &case.outside());
    case.unpack([lower, Archive::new().file(".wh.way", "").file(".wh.missing", "")]).unwrap();
    assert_eq!(case.all(), ["kept"]);
    case.assert_untouched();
}

#[test]
fn names_that_cannot_be_are_refused() {
    let zero: &[u8] = b"a\0b";
    let case = Case::new();
    assert_refused(&case, [Archive::new().extended(&[("path", zero)]).file("a", "")], "zero byte");
    assert_refused(&case, [Archive::new().extended(&[("linkpath", zero)]).symlink("a", "b")], "link to nothing");
    assert_refused(&case, [Archive::new().symlink("a", "")], "link to nothing");
    assert_refused(&case, [Archive::new().symlink("/", "b")], "root");
    let long = "n".repeat(256);
    assert_refused(&case, [Archive::new().extended(&[("path", long.as_bytes())]).file("a", "")], "too long");
}
