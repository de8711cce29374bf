//! A data directory of its own for each test, and commands in a few words.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hands::{
    Content, Execute, Found, Hand, Kept, Limits, Outcome, Sandbox, Spec,
    namespace::{Namespace, Options},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

/// No test's command takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const LIMITS: Limits = Limits {
    memory: 512 << 20,
    processes: 64,
    disk: 64 << 20,
    cpus: 0,
    open_files: 65_536,
    call_seconds: 600,
    orphan_seconds: 20,
};

pub(crate) struct Bench {
    pub(crate) data: TempDir,
    pub(crate) sandbox: Namespace,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let data = TempDir::new().unwrap();
        let sandbox = open(data.path());
        Self { data, sandbox }
    }

    pub(crate) async fn hand(&self) -> Box<dyn Hand> {
        self.hand_with(LIMITS).await
    }

    pub(crate) async fn hand_with(&self, limits: Limits) -> Box<dyn Hand> {
        self.provision(&Spec { name: "one".into(), limits, ..Spec::default() }).await
    }

    pub(crate) async fn provision(&self, spec: &Spec) -> Box<dyn Hand> {
        timeout(PATIENCE, self.sandbox.provision(spec, 1)).await.unwrap().unwrap()
    }

    /// Ends every sandbox. A test that fails before leaves that to their orphan time.
    pub(crate) async fn end(self) {
        for Kept { name, .. } in self.sandbox.kept().await {
            self.sandbox.destroy(&name, None).await.unwrap();
        }
    }
}

pub(crate) fn open(data: &Path) -> Namespace {
    Namespace::new(Options { data_dir: data.join("data"), home: "here".into() })
}

pub(crate) fn call(id: &str, command: &str) -> Execute {
    let input = json!({ "command": command }).as_object().unwrap().clone();
    Execute { call: id.into(), tool: "bash".into(), input }
}

/// An id that no call had before.
pub(crate) fn id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("call_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn text(outcome: &Outcome) -> String {
    let [Content::Text { text }] = outcome.content.as_slice() else { panic!("not one text: {outcome:?}") };
    text.trim_end().to_owned()
}

pub(crate) async fn run(hand: &dyn Hand, id: &str, command: &str) -> Outcome {
    timeout(PATIENCE, hand.execute(call(id, command))).await.expect("the command takes too long").unwrap()
}

/// What a command prints, on either stream.
pub(crate) async fn bash(hand: &dyn Hand, command: &str) -> String {
    text(&run(hand, &id(), command).await)
}

pub(crate) async fn look(hand: &dyn Hand, id: &str) -> Found {
    hand.look(vec![id.to_owned()]).await.unwrap().remove(0)
}

/// Waits for what some other process is about to make true.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let reached = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), reached).await.expect(what);
}

/// Whether a process on this machine, inside a sandbox or not, has this in its command line.
pub(crate) fn runs(marker: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(marker))
}
