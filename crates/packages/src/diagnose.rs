//! Which package was at fault, as the managers themselves say it.

mod apt;
mod cargo;
mod gem;
mod go;
mod npm;
mod output;
mod pip;
#[cfg(test)]
mod tests;

use wire::environment::Manager;

use self::output::Output;
use crate::recipe::{self, LACKS, TOO_LONG};

/// The most characters of a message.
const LONGEST: usize = 600;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// As the manager calls it, which is nearly always as the environment does.
    pub package: Option<String>,
    pub kind: Kind,
    /// One or two lines for people.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such package, or no such version of it.
    NotFound,
    /// It is there, but cannot be had along with what else there is: other packages, or the system itself.
    Conflict,
    /// Trying again later may help.
    Network,
    Space,
    Other,
}

impl Failure {
    fn new(kind: Kind, package: Option<String>, message: impl Into<String>) -> Self {
        let message: String = message.into();
        let message = message.chars().take(LONGEST).collect();
        Self { package, kind, message }
    }

    fn of(kind: Kind, package: &str, message: impl Into<String>) -> Self {
        Self::new(kind, Some(package.to_owned()), message)
    }
}

/// What the end of a failed step's output tells. None if nothing in it is known to be the reason.
pub fn diagnose(manager: Manager, output_tail: &str) -> Option<Failure> {
    let output = Output::of(output_tail);
    missing(manager, &output).or_else(|| space(manager, &output)).or_else(|| too_long(manager, &output)).or_else(|| {
        match manager {
            Manager::Apt => apt::diagnose(&output),
            Manager::Cargo => cargo::diagnose(&output),
            Manager::Gem => gem::diagnose(&output),
            Manager::Go => go::diagnose(&output),
            Manager::Npm => npm::diagnose(&output),
            Manager::Pip => pip::diagnose(&output),
        }
    })
}

fn missing(manager: Manager, output: &Output) -> Option<Failure> {
    let program = output.after(LACKS)?;
    Some(Failure::new(Kind::Other, None, recipe::missing(manager, program).to_string()))
}

fn space(manager: Manager, output: &Output) -> Option<Failure> {
    let signs = [
        "No space left on device",
        "no space left on device",
        "ENOSPC",
        "Disk quota exceeded",
        "You don't have enough free space",
        "not enough space",
    ];
    output.line_with_any(&signs)?;
    let name = manager.name();
    let message = format!("{name}: the disk of the environment was full before all packages were installed");
    Some(Failure::new(Kind::Space, None, message))
}

fn too_long(manager: Manager, output: &Output) -> Option<Failure> {
    let rest = output.after(TOO_LONG)?;
    let (time, program) = rest.split_once(": ").unwrap_or((rest, manager.name()));
    let message = format!("{}: `{program}` was not done after {time} and was ended", manager.name());
    Some(Failure::new(Kind::Other, None, message))
}
