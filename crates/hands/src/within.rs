//! What there is between a sandbox's processes and this machine's kernel, where it is not what the launcher makes itself.

use std::{io, sync::Arc};

use hand_protocol::{Serve, guest::Guest};

use crate::{Limits, ProvisionError, Spec, namespace::Fact, unconfined};

/// Makes what is in the launcher's namespaces: a kernel of its own, or a container runtime.
pub(crate) trait Engine: Send + Sync {
    /// The name that addresses have.
    fn backend(&self) -> &'static str;

    /// For the launcher. Writes the daemon's file if it is not there yet.
    fn guest(&self, spec: &Spec, serve: &Serve) -> io::Result<Guest>;

    /// What the groups around it must allow for these limits to be what its processes have.
    fn room(&self, limits: &Limits) -> Limits;

    /// What holds differs here, for `stead doctor`.
    fn facts(&self) -> Vec<Fact>;
}

pub(crate) enum Within {
    Engine(Arc<dyn Engine>),
    /// Nothing, and no namespaces either.
    Nothing,
}

impl Within {
    pub(crate) fn backend(&self) -> &'static str {
        match self {
            Self::Engine(engine) => engine.backend(),
            Self::Nothing => unconfined::BACKEND,
        }
    }

    pub(crate) fn engine(&self) -> Option<&dyn Engine> {
        match self {
            Self::Engine(engine) => Some(&**engine),
            Self::Nothing => None,
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// In the place of all others, where there is nothing, and else of those of the same part.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        match self {
            Self::Engine(engine) => engine.facts(),
            Self::Nothing => unconfined::facts(),
        }
    }

    /// Refuses what a sandbox cannot have here, rather than make it without.
    pub(crate) fn check(&self, spec: &Spec) -> Result<(), ProvisionError> {
        if self.is_nothing() { unconfined::check(spec) } else { Ok(()) }
    }
}
