//! A machine for one case, and commands in a few words.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hand_protocol::{Content, Execute, Found, Outcome};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{Machine, Supports};
use crate::{Gate, Hand, Kept, Limits, Lost, ProvisionError, Sandbox, Spec};

/// Nothing that a case asks for takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Enough for every command here, and little enough to be met.
pub(super) const LIMITS: Limits = Limits {
    memory: 512 << 20,
    processes: 64,
    disk: 64 << 20,
    cpus: 0,
    open_files: 65_536,
    call_seconds: 600,
    orphan_seconds: 30,
};

/// The name of the sandbox where a case has only one.
pub(super) const ONE: &str = "one";

pub(super) struct Bench {
    machine: Arc<dyn Machine>,
    pub(super) supports: Supports,
    /// The first server's.
    pub(super) sandbox: Arc<dyn Sandbox>,
}

impl Bench {
    pub(super) async fn on(machine: Arc<dyn Machine>) -> Self {
        let (supports, sandbox) = (machine.supports(), machine.open(None).await);
        Self { machine, supports, sandbox }
    }

    /// Another server on the same data directory.
    pub(super) async fn later(&self) -> Arc<dyn Sandbox> {
        self.machine.open(None).await
    }

    pub(super) async fn with_gate(&self, gate: Arc<dyn Gate>) -> Arc<dyn Sandbox> {
        self.machine.open(Some(gate)).await
    }

    pub(super) async fn hand(&self) -> Box<dyn Hand> {
        self.provision(&spec(ONE)).await
    }

    pub(super) async fn hand_with(&self, limits: Limits) -> Box<dyn Hand> {
        self.provision(&Spec { limits, ..spec(ONE) }).await
    }

    pub(super) async fn provision(&self, spec: &Spec) -> Box<dyn Hand> {
        provision(&*self.sandbox, spec).await
    }

    /// Why a sandbox is not made. None is left of it.
    pub(super) async fn refusal(&self, sandbox: &dyn Sandbox, spec: &Spec) -> ProvisionError {
        let made = timeout(PATIENCE, sandbox.provision(spec, 1)).await.expect("it is refused in time");
        let refused = made.err().expect("a sandbox is refused that cannot be had");
        // What is left may be a directory with the end of a log in it, and never a sandbox.
        for kept in sandbox.kept().await {
            sandbox.destroy(&kept.name, None).await.expect("what is left of it can be destroyed");
        }
        refused
    }

    /// A path inside that commands may write to.
    pub(super) fn inside(&self, name: &str) -> String {
        self.supports.workspace.join(name).display().to_string()
    }

    /// A new file of the host's.
    pub(super) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.machine.scratch().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A path of the host's where there is nothing yet.
    pub(super) fn host(&self, name: &str) -> PathBuf {
        self.machine.scratch().join(name)
    }

    /// Destroys what there is.
    pub(super) async fn end(self) {
        for Kept { name, .. } in self.sandbox.kept().await {
            self.sandbox.destroy(&name, None).await.expect("a sandbox can be destroyed");
        }
        assert_eq!(names(&*self.sandbox).await, [""; 0], "what was destroyed is not kept");
    }
}

pub(super) fn spec(name: &str) -> Spec {
    Spec { name: name.to_owned(), limits: LIMITS, ..Spec::default() }
}

pub(super) async fn provision(sandbox: &dyn Sandbox, spec: &Spec) -> Box<dyn Hand> {
    let made = timeout(PATIENCE, sandbox.provision(spec, 1)).await.expect("a sandbox is made in time");
    made.unwrap_or_else(|error| panic!("a sandbox is made: {error}"))
}

/// Of all sandboxes that are kept, in order.
pub(super) async fn names(sandbox: &dyn Sandbox) -> Vec<String> {
    let mut names: Vec<_> = sandbox.kept().await.into_iter().map(|kept| kept.name).collect();
    names.sort();
    names
}

pub(super) fn call(id: &str, command: &str) -> Execute {
    of_tool(id, "bash", json!({ "command": command }))
}

pub(super) fn of_tool(id: &str, tool: &str, input: Value) -> Execute {
    let Value::Object(input) = input else { panic!("an input is an object") };
    Execute { call: id.to_owned(), tool: tool.to_owned(), input }
}

/// An id that no call of this process had before.
pub(super) fn id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("call_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The only text of an outcome.
pub(super) fn text(outcome: &Outcome) -> String {
    let [Content::Text { text }] = outcome.content.as_slice() else { panic!("not one text: {outcome:?}") };
    text.trim_end().to_owned()
}

pub(super) async fn ask(hand: &dyn Hand, execute: Execute) -> Result<Outcome, Lost> {
    timeout(PATIENCE, hand.execute(execute)).await.expect("a call ends in time")
}

pub(super) async fn run(hand: &dyn Hand, id: &str, command: &str) -> Outcome {
    ask(hand, call(id, command)).await.unwrap_or_else(|lost| panic!("{command}: {lost}"))
}

/// What a command prints, on either stream.
pub(super) async fn bash(hand: &dyn Hand, command: &str) -> String {
    text(&run(hand, &id(), command).await)
}

pub(super) async fn tool(hand: &dyn Hand, tool: &str, input: Value) -> Outcome {
    ask(hand, of_tool(&id(), tool, input)).await.unwrap_or_else(|lost| panic!("{tool}: {lost}"))
}

pub(super) async fn look(hand: &dyn Hand, id: &str) -> Found {
    hand.look(vec![id.to_owned()]).await.expect("calls can be looked up").remove(0)
}

/// Waits for what a call of another tool shows when it has come about: commands would wait for each other.
pub(super) async fn until_there(hand: &dyn Hand, path: &str) {
    let there = async {
        while tool(hand, "read", json!({ "file_path": path })).await.is_error {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, there).await.unwrap_or_else(|_| panic!("{path} never comes about"));
}

/// The sandbox at this address is known to be no more.
pub(super) async fn assert_gone(sandbox: &dyn Sandbox, address: &crate::Address, epoch: u64) {
    let adopted = timeout(PATIENCE, sandbox.adopt(address, epoch)).await.expect("an adoption ends in time");
    match adopted {
        Err(Lost::Gone(_)) => {}
        Err(lost) => panic!("a sandbox that is no more is gone, and not: {lost}"),
        Ok(_) => panic!("a sandbox that is no more cannot be adopted"),
    }
    assert!(matches!(sandbox.dial(address).await, Err(Lost::Gone(_))), "nor can it be dialled");
}
