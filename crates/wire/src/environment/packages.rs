//! What is installed into an environment before an agent starts.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::read::{Fields, Invalid, Read};

/// The most packages of one manager.
const MOST: usize = 200;

/// The most characters of one entry.
const LONGEST: usize = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manager {
    Apt,
    Cargo,
    Gem,
    Go,
    Npm,
    Pip,
}

impl Manager {
    /// In the order in which they install.
    pub const ALL: [Self; 6] = [Self::Apt, Self::Cargo, Self::Gem, Self::Go, Self::Npm, Self::Pip];

    pub fn name(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::Cargo => "cargo",
            Self::Gem => "gem",
            Self::Go => "go",
            Self::Npm => "npm",
            Self::Pip => "pip",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packages {
    r#type: String,
    apt: Vec<String>,
    cargo: Vec<String>,
    gem: Vec<String>,
    go: Vec<String>,
    npm: Vec<String>,
    pip: Vec<String>,
}

impl Default for Packages {
    fn default() -> Self {
        let none = Vec::new;
        Self {
            r#type: "packages".into(),
            apt: none(),
            cargo: none(),
            gem: none(),
            go: none(),
            npm: none(),
            pip: none(),
        }
    }
}

impl Packages {
    /// As the manager's own command line names them.
    pub fn of(&self, manager: Manager) -> &[String] {
        match manager {
            Manager::Apt => &self.apt,
            Manager::Cargo => &self.cargo,
            Manager::Gem => &self.gem,
            Manager::Go => &self.go,
            Manager::Npm => &self.npm,
            Manager::Pip => &self.pip,
        }
    }

    pub fn is_empty(&self) -> bool {
        Manager::ALL.iter().all(|manager| self.of(*manager).is_empty())
    }

    fn of_mut(&mut self, manager: Manager) -> &mut Vec<String> {
        match manager {
            Manager::Apt => &mut self.apt,
            Manager::Cargo => &mut self.cargo,
            Manager::Gem => &mut self.gem,
            Manager::Go => &mut self.go,
            Manager::Npm => &mut self.npm,
            Manager::Pip => &mut self.pip,
        }
    }
}

/// What a client says of them: a manager that is left out stays as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct PackagesChange([Option<Vec<String>>; 6]);

impl PackagesChange {
    pub(super) fn over(self, mut current: Packages) -> Packages {
        for (manager, change) in Manager::ALL.into_iter().zip(self.0) {
            if let Some(packages) = change {
                *current.of_mut(manager) = packages;
            }
        }
        current
    }
}

impl Read for PackagesChange {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        fields.ignore("type");
        let mut change = Self::default();
        for (manager, place) in Manager::ALL.into_iter().zip(&mut change.0) {
            *place = fields
                .optional(manager.name())?
                .map(|entries| check(entries, &fields.at(manager.name())))
                .transpose()?;
        }
        fields.end()?;
        Ok(change)
    }
}

/// Each is one argument of a command, and must not be taken for an option of it. Whether there is such a package is found
/// out when it is installed.
fn check(entries: Vec<String>, path: &str) -> Result<Vec<String>, Invalid> {
    if entries.len() > MOST {
        return Err(Invalid::new(path, format!("List should have at most {MOST} items")));
    }
    for (index, entry) in entries.iter().enumerate() {
        let is_plain = entry.bytes().all(|byte| byte.is_ascii_graphic());
        if entry.is_empty() || entry.len() > LONGEST || entry.starts_with('-') || !is_plain {
            let message = format!(
                "Input should be a package as its manager names it: 1 to {LONGEST} characters without spaces, not beginning with '-'"
            );
            return Err(Invalid::new(format!("{path}.{index}"), message));
        }
    }
    Ok(entries)
}
