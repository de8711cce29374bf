//! One attack: a program, and what its head says of it.

use std::{fs, path::Path};

/// Below it a directory for each group, and what all of them share.
pub(crate) const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attacks/programs");

/// Written beside each program.
pub(crate) const SHARED: [&str; 3] = ["attack.py", "machine.py", "web.py"];

/// Programs that staged attacks start by name.
const STAGED: &str = "staged";

#[derive(Debug, Clone)]
pub(crate) struct Attack {
    pub(crate) group: String,
    pub(crate) name: String,
    /// What it tries, in a sentence.
    pub(crate) tries: String,
    pub(crate) kind: Kind,
    pub(crate) control: Control,
    /// It may not live to say how it went: that the next call is answered is all that is asked.
    pub(crate) is_silent: bool,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs among others of its group, and leaves nothing behind.
    Plain,
    /// Takes more memory than there is, in a small sandbox of its own.
    Glut,
    /// Takes all there is of something, while the host and the sandbox next door ask for a little of it.
    Hoard,
}

/// Where the program reaches its canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// On the host; without `is_sure` only with rights, or a kernel, that not every test has.
    Outside { is_sure: bool },
    /// In the sandbox whose things it wants.
    Neighbour,
    /// In the very sandbox that it exhausts.
    Inside,
    /// Nowhere, for a reason that its head gives.
    None,
}

impl Attack {
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }

    /// Its file's name, wherever it is put.
    pub(crate) fn file(&self) -> String {
        format!("{}_{}.py", self.group, self.name)
    }

    fn parse(group: &str, name: &str, text: &str) -> Self {
        let mut head = text.lines().map_while(|line| line.strip_prefix("# "));
        let tries = head.next().unwrap_or_else(|| panic!("{group}/{name} does not say what it tries"));
        let (mut kind, mut control, mut is_silent) = (Kind::Plain, None, false);
        for line in head {
            match line.split_once(": ") {
                Some(("kind", "glut")) => kind = Kind::Glut,
                Some(("kind", "hoard")) => kind = Kind::Hoard,
                Some(("judged by", _)) => is_silent = true,
                Some(("control", told)) => control = Control::parse(told),
                _ => panic!("{group}/{name} has a head that is not understood: {line}"),
            }
        }
        let control = control.unwrap_or_else(|| panic!("{group}/{name} does not say what its control is"));
        let (group, name) = (group.to_owned(), name.to_owned());
        Self { group, name, tries: tries.to_owned(), kind, control, is_silent, text: text.to_owned() }
    }
}

impl Control {
    fn parse(told: &str) -> Option<Self> {
        match told {
            "outside" => Some(Self::Outside { is_sure: true }),
            "outside if it can" => Some(Self::Outside { is_sure: false }),
            "neighbour" => Some(Self::Neighbour),
            "inside" => Some(Self::Inside),
            _ => told.starts_with("none, for ").then_some(Self::None),
        }
    }
}

/// All there are, by group and name.
pub(crate) fn all() -> Vec<Attack> {
    let mut attacks = Vec::new();
    let groups = names(Path::new(PROGRAMS)).into_iter().filter(|name| name != STAGED);
    // What was run here by hand leaves its cache behind.
    for group in groups.filter(|name| !name.ends_with(".py") && name != "__pycache__") {
        for file in names(&Path::new(PROGRAMS).join(&group)) {
            if let Some(name) = file.strip_suffix(".py") {
                attacks.push(Attack::parse(&group, name, &source(&format!("{group}/{file}"))));
            }
        }
    }
    attacks
}

/// The text of a file below the programs.
pub(crate) fn source(path: &str) -> String {
    let path = Path::new(PROGRAMS).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_program_says_what_it_tries_and_there_are_enough() {
    let attacks = all();
    assert!(attacks.len() >= 120, "{}", attacks.len());
    for attack in attacks {
        assert!(attack.tries.ends_with('.'), "{}", attack.title());
        assert_eq!(attack.kind == Kind::Hoard, attack.text.contains("hoard("), "{}", attack.title());
        assert_eq!(attack.kind == Kind::Glut, attack.text.contains("glut("), "{}", attack.title());
    }
}
