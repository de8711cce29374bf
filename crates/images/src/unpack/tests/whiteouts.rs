//! Layers over layers.

use super::*;

fn base() -> Archive {
    Archive::new()
        .directory("d")
        .file("d/one", "1")
        .file("d/two", "2")
        .directory("d/deep")
        .file("d/deep/er", "")
        .file("top", "")
}

#[test]
fn a_whiteout_hides_a_file_or_a_whole_directory() {
    let case = Case::new();
    case.unpack([base(), Archive::new().file("d/.wh.one", ""), Archive::new().file("d/.wh.deep", "")]).unwrap();
    assert_eq!(case.all(), ["d", "d/two", "top"]);
}

#[test]
fn what_was_hidden_may_come_back() {
    let case = Case::new();
    let back = Archive::new().directory("d").file("d/one", "again");
    case.unpack([base(), Archive::new().file(".wh.d", ""), back]).unwrap();
    assert_eq!(case.all(), ["d", "d/one", "top"]);
    assert_eq!(case.read("d/one"), "again");
}

#[test]
fn an_opaque_directory_hides_all_that_lower_layers_have_in_it_and_nothing_of_its_own_layer() {
    // Wherever in its layer the mark stands.
    let before = Archive::new().file("d/.wh..wh..opq", "").file("d/new", "").file("d/deep/own", "");
    let after = Archive::new().file("d/new", "").file("d/deep/own", "").file("d/.wh..wh..opq", "");
    for layer in [before, after] {
        let case = Case::new();
        case.unpack([base(), layer]).unwrap();
        assert_eq!(case.all(), ["d", "d/deep", "d/deep/own", "d/new", "top"]);
    }
}

#[test]
fn a_whiteout_does_not_hide_what_its_own_layer_has() {
    for own in [
        Archive::new().file("d/one", "own").file("d/.wh.one", ""),
        Archive::new().file("d/.wh.one", "").file("d/one", "own"),
    ] {
        let case = Case::new();
        case.unpack([base(), own]).unwrap();
        assert_eq!(case.read("d/one"), "own");
    }
    let case = Case::new();
    case.unpack([base(), Archive::new().directory("d").file("d/own", "").file(".wh.d", "")]).unwrap();
    assert_eq!(case.all(), ["d", "d/own", "top"]);
    // A hard link to a lower layer's file is the layer's own, too.
    let case = Case::new();
    case.unpack([base(), Archive::new().link("d/linked", "d/one").file("d/.wh..wh..opq", "")]).unwrap();
    assert_eq!(case.all(), ["d", "d/linked", "top"]);
}

#[test]
fn whiteouts_of_what_is_not_there_hide_nothing() {
    let case = Case::new();
    let odd = Archive::new().file(".wh.missing", "").file("no/where/.wh.x", "").file(".wh..wh.plnk", "");
    case.unpack([odd, base()]).unwrap();
    assert_eq!(case.all(), ["d", "d/deep", "d/deep/er", "d/one", "d/two", "top"]);
}

#[test]
fn a_layer_changes_a_directory_and_keeps_what_is_in_it() {
    let case = Case::new();
    let change = Archive::new().entry(EntryType::Directory, "d", "", b"", |header| {
        header.set_mode(0o700);
        header.set_mtime(7);
    });
    case.unpack([base(), change]).unwrap();
    assert_eq!((case.stat("d").mode() & 0o7777, case.stat("d").mtime()), (0o700, 7));
    assert_eq!(case.read("d/one"), "1");
}
