//! `glob`: paths that match a pattern, the newest first.

use std::{
    cmp::Reverse,
    collections::VecDeque,
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use hand_protocol::Outcome;
use rustix::fs::{FileType, Stat};
use serde_json::{Map, Value};

use super::{Call, Failed, Result, input::Input};
use crate::{places::clean, reach};

/// Paths in a result.
const SHOWN: usize = 200;
/// Names looked at before the walk gives up.
const LOOKED_AT: usize = 50_000;
/// The longest pattern, in bytes.
const PATTERN: usize = 4_096;
/// Large, and never what is looked for unless it is named.
const SKIPPED: [&str; 2] = [".git", "node_modules"];

pub(super) fn run(call: &Call<'_>, input: &Map<String, Value>) -> Result {
    let input = Input::new("glob", input, &["pattern", "path"])?;
    let pattern = input.required("pattern")?;
    if pattern.len() > PATTERN {
        return Err(input.fault(&format!("pattern is over {PATTERN} bytes")));
    }
    let base = call.places.resolve(input.text("path")?.unwrap_or_default());
    // An absolute pattern replaces the base.
    let search = Search::new(&base.join(pattern)).map_err(|error| input.fault(&format!("pattern: {error}")))?;
    let found = search.walk(call)?;
    Ok(Outcome::text(found.render()))
}

/// A pattern in two parts: the directory down to which it is literal, and what must match from there on.
struct Search {
    root: PathBuf,
    matcher: GlobSet,
    /// Levels of directories that can hold a match.
    depth: usize,
    /// Names from [`SKIPPED`] that the pattern itself has.
    named: Vec<&'static str>,
}

#[derive(Default)]
struct Found {
    /// By modification time in nanoseconds, so that the largest is the newest.
    paths: Vec<(i128, PathBuf)>,
    cut: bool,
}

impl Search {
    fn new(pattern: &Path) -> std::result::Result<Self, globset::Error> {
        let pattern = clean(pattern);
        let (root, rest) = split(&pattern);
        let depth = if rest.contains("**") || rest.contains('{') { usize::MAX } else { rest.split('/').count() };
        let glob = GlobBuilder::new(&rest).literal_separator(true).empty_alternates(true).build()?;
        // A set, though of one: its building reports a pattern that is too large, where a single glob's panics.
        let matcher = GlobSetBuilder::new().add(glob).build()?;
        let named = SKIPPED.into_iter().filter(|name| pattern.to_string_lossy().contains(*name)).collect();
        Ok(Self { root, matcher, depth, named })
    }

    fn walk(&self, call: &Call<'_>) -> std::result::Result<Found, Failed> {
        let mut found = Found::default();
        let mut looked_at = 0;
        // Breadth first: where not all can be looked at, what is near comes before what is deep.
        let mut directories = VecDeque::from([(self.root.clone(), 1)]);
        while let Some((directory, level)) = directories.pop_front() {
            call.check()?;
            let Ok(entries) = reach::directory(&directory).and_then(reach::names) else { continue };
            for (name, stat) in entries {
                looked_at += 1;
                if looked_at > LOOKED_AT {
                    found.cut = true;
                    return Ok(found);
                }
                let path = directory.join(&name);
                // A symbolic link may match, and is not followed.
                if path.strip_prefix(&self.root).is_ok_and(|relative| self.matcher.is_match(relative)) {
                    found.paths.push((modified(&stat), path.clone()));
                }
                let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                if is_directory && level < self.depth && !self.skips(&name) {
                    directories.push_back((path, level + 1));
                }
            }
        }
        Ok(found)
    }

    fn skips(&self, name: &OsStr) -> bool {
        SKIPPED.iter().any(|skipped| name == *skipped && !self.named.contains(skipped))
    }
}

impl Found {
    fn render(mut self) -> String {
        if self.paths.is_empty() && !self.cut {
            return "no matches".to_owned();
        }
        self.paths.sort_by(|(one_at, one), (other_at, other)| {
            Reverse(one_at).cmp(&Reverse(other_at)).then_with(|| one.cmp(other))
        });
        let mut lines: Vec<String> =
            self.paths.iter().take(SHOWN).map(|(_, path)| path.to_string_lossy().into_owned()).collect();
        if self.paths.len() > SHOWN {
            lines.push(format!("[the newest {SHOWN} of {} matches]", self.paths.len()));
        }
        if self.cut {
            lines.push(format!("[stopped after {LOOKED_AT} names: there may be more]"));
        }
        lines.join("\n")
    }
}

/// Parts an absolute pattern where its first wildcard is. The last name is never literal, so that there is one to
/// match.
fn split(pattern: &Path) -> (PathBuf, String) {
    let mut root = PathBuf::from("/");
    let mut rest = Vec::new();
    let names: Vec<&OsStr> =
        pattern.components().filter(|part| matches!(part, Component::Normal(_))).map(Component::as_os_str).collect();
    for (place, name) in (1..).zip(&names) {
        let text = name.to_string_lossy();
        if rest.is_empty() && place < names.len() && !text.contains(['*', '?', '[', '{', '\\']) {
            root.push(name);
        } else {
            rest.push(text.into_owned());
        }
    }
    (root, rest.join("/"))
}

fn modified(stat: &Stat) -> i128 {
    i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        time::{Duration, SystemTime},
    };

    use super::*;

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for directory in ["src/deep", ".git/objects", "node_modules/lib"] {
            fs::create_dir_all(tree.path().join(directory)).unwrap();
        }
        let files =
            ["src/a.rs", "src/deep/b.rs", "src/deep/c.txt", ".git/objects/d.rs", "node_modules/lib/e.rs", ".hidden.rs"];
        for (age, file) in (0..).zip(files) {
            let file = File::create(tree.path().join(file)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age)).unwrap();
        }
        tree
    }

    fn matches(tree: &Path, pattern: &str) -> Vec<String> {
        let search = Search::new(&tree.join(pattern)).unwrap();
        let places = crate::places::Places::below(tree);
        let deadline = crate::clock::now() + Duration::from_secs(60);
        let allowance = crate::limits::Allowance::of(60);
        let call = Call { id: "c", places: &places, cancel: std::sync::Arc::default(), deadline, allowance };
        let Ok(found) = search.walk(&call) else { panic!("the walk was stopped") };
        let shown = found.render().replace(&format!("{}/", tree.display()), "");
        shown.lines().map(str::to_owned).collect()
    }

    #[test]
    fn double_stars_go_down_and_the_newest_comes_first() {
        let tree = tree();
        assert_eq!(matches(tree.path(), "**/*.rs"), ["src/a.rs", "src/deep/b.rs", ".hidden.rs"]);
        assert_eq!(matches(tree.path(), "src/**/*.{rs,txt}"), ["src/a.rs", "src/deep/b.rs", "src/deep/c.txt"]);
    }

    #[test]
    fn one_star_stays_in_its_directory() {
        let tree = tree();
        assert_eq!(matches(tree.path(), "src/*.rs"), ["src/a.rs"]);
        assert_eq!(matches(tree.path(), "*/deep/?.rs"), ["src/deep/b.rs"]);
        assert_eq!(matches(tree.path(), "*.txt"), ["no matches"]);
    }

    #[test]
    fn what_is_skipped_is_found_when_it_is_named() {
        let tree = tree();
        assert_eq!(matches(tree.path(), "node_modules/**/*.rs"), ["node_modules/lib/e.rs"]);
        assert_eq!(matches(tree.path(), "**/.git/**/*.rs"), [".git/objects/d.rs"]);
    }

    #[test]
    fn a_path_without_wildcards_matches_itself() {
        let tree = tree();
        assert_eq!(matches(tree.path(), "src/a.rs"), ["src/a.rs"]);
        assert_eq!(matches(tree.path(), "src/../src/./a.rs"), ["src/a.rs"]);
        assert_eq!(matches(tree.path(), "src/none.rs"), ["no matches"]);
    }

    #[test]
    fn a_pattern_is_parted_at_its_first_wildcard() {
        assert_eq!(split(Path::new("/usr/lib/*/a?/b")), (PathBuf::from("/usr/lib"), "*/a?/b".to_owned()));
        assert_eq!(split(Path::new("/usr/lib")), (PathBuf::from("/usr"), "lib".to_owned()));
    }

    #[test]
    fn a_pattern_that_cannot_be_is_an_error() {
        assert!(Search::new(Path::new("/a/[b")).is_err());
    }

    #[test]
    fn only_so_many_are_shown() {
        let paths = (0..300).map(|number| (number, PathBuf::from(format!("/{number}")))).collect();
        let shown = Found { paths, cut: true }.render();
        assert!(shown.starts_with("/299\n/298\n"));
        assert!(
            shown.ends_with("/100\n[the newest 200 of 300 matches]\n[stopped after 50000 names: there may be more]")
        );
    }
}
