//! A data directory of its own, and each backend that can work on it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use hands::{
    Gate, Sandbox,
    conformance::{Bounds, Machine, Supports},
    gvisor::Gvisor,
    namespace::{Namespace, Options, Report},
    oci::{self, Runtime},
    unconfined,
};
use tempfile::TempDir;
use testkit::programs;

use crate::pooled::Pooled;

/// Those that are tried here. **This is where others join**: a variant, its place in [`ALL`], its arms below, and a test
/// in `main` that is named after it. Each is then held to the law by this user, by an ordinary one and over a server's
/// death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Namespace,
    Gvisor,
    /// gVisor from a pool.
    Pooled,
    Crun,
    Runc,
    None,
}

pub(crate) const ALL: [Backend; 6] =
    [Backend::Namespace, Backend::Gvisor, Backend::Pooled, Backend::Crun, Backend::Runc, Backend::None];

/// One whose program is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) backend: Backend,
    program: Option<PathBuf>,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Gvisor => "gvisor",
            Self::Pooled => "gvisor from a pool",
            Self::Crun => "crun",
            Self::Runc => "runc",
            Self::None => "none",
        }
    }

    /// The program that its sandboxes need, besides our own.
    fn program(self) -> Option<&'static str> {
        match self {
            Self::Namespace | Self::None => None,
            Self::Gvisor | Self::Pooled => Some("runsc"),
            Self::Crun => Some("crun"),
            Self::Runc => Some("runc"),
        }
    }

    /// None if its program is missing, which is said.
    pub(crate) fn found(self) -> Option<Found> {
        let Some(name) = self.program() else { return Some(Found { backend: self, program: None }) };
        let program = programs::find(name).unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        if program.is_none() {
            eprintln!("skipped: the backend {}", self.name());
        }
        program.map(|program| Found { backend: self, program: Some(program) })
    }
}

impl Found {
    /// The backend as a server has it on this directory.
    pub(crate) async fn open(&self, data: &Path, gate: Option<Arc<dyn Gate>>) -> Arc<dyn Sandbox> {
        match self.backend {
            Backend::Namespace => gated(Namespace::new(options(data)), gate),
            Backend::Crun => gated(self.oci(Runtime::Crun, data).await, gate),
            Backend::Runc => gated(self.oci(Runtime::Runc, data).await, gate),
            // A gate has nothing to do there.
            Backend::None => Arc::new(unconfined::new(options(data))),
            Backend::Gvisor => Arc::new(self.gvisor(data, gate).await),
            Backend::Pooled => Arc::new(Pooled::over(self.gvisor(data, gate).await)),
        }
    }

    async fn gvisor(&self, data: &Path, gate: Option<Arc<dyn Gate>>) -> Gvisor {
        let found = Gvisor::find(options(data), self.program.clone()).await;
        let gvisor = found.unwrap_or_else(|error| panic!("{error}"));
        match gate {
            Some(gate) => gvisor.with_gate(gate),
            None => gvisor,
        }
    }

    async fn oci(&self, runtime: Runtime, data: &Path) -> Namespace {
        let found = oci::find(options(data), runtime, self.program.clone()).await;
        found.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn supports(&self, data: &Path) -> Supports {
        let all = Supports::everything();
        let with = |processors: bool| Supports { bounds: Bounds { processors, ..all.bounds }, ..all };
        match self.backend {
            Backend::Namespace => with(bounds_processors(&Namespace::new(options(data)).doctor().await)),
            Backend::Gvisor | Backend::Pooled => with(bounds_processors(&self.gvisor(data, None).await.doctor().await)),
            Backend::Crun | Backend::Runc => {
                let runtime = if self.backend == Backend::Crun { Runtime::Crun } else { Runtime::Runc };
                with(bounds_processors(&self.oci(runtime, data).await.doctor().await))
            }
            Backend::None => Supports {
                apart: false,
                network: false,
                layers: false,
                rests: false,
                open: true,
                bounds: Bounds { memory: true, open_files: true, ..Bounds::default() },
                ..Supports::everything()
            },
        }
    }
}

fn gated(namespace: Namespace, gate: Option<Arc<dyn Gate>>) -> Arc<dyn Sandbox> {
    Arc::new(match gate {
        Some(gate) => namespace.with_gate(gate),
        None => namespace,
    })
}

fn options(data: &Path) -> Options {
    Options { data_dir: data.to_owned(), home: "here".into() }
}

/// As the doctor says: it takes groups, which not every machine and not every user has.
fn bounds_processors(report: &Report) -> bool {
    report.facts.iter().any(|fact| fact.part == "processors" && fact.better.is_none())
}

/// What all cases of a backend share: what lies below every sandbox takes a while to make.
pub(crate) struct Place {
    found: Found,
    supports: Supports,
    data: TempDir,
}

impl Place {
    pub(crate) async fn new(found: Found) -> Arc<Self> {
        let data = TempDir::new().unwrap();
        let supports = found.supports(data.path()).await;
        Arc::new(Self { found, supports, data })
    }
}

pub(crate) struct Local {
    place: Arc<Place>,
    scratch: TempDir,
}

impl Local {
    pub(crate) fn new(place: &Arc<Place>) -> Self {
        Self { place: Arc::clone(place), scratch: TempDir::new().unwrap() }
    }
}

#[async_trait]
impl Machine for Local {
    fn supports(&self) -> Supports {
        self.place.supports.clone()
    }

    fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    async fn open(&self, gate: Option<Arc<dyn Gate>>) -> Arc<dyn Sandbox> {
        self.place.found.open(self.place.data.path(), gate).await
    }
}
