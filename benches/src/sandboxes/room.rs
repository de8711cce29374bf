//! Sandboxes as sessions have them: limits, a way to a gate, and all the rest.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use hands::namespace::{Namespace, Options};
use hands::{Content, Execute, Gate, Hand, Network, Pass, Reach, Sandbox, Socket, Spec};
use parking_lot::Mutex;
use serde_json::json;
use tempfile::TempDir;

pub(super) struct Room {
    pub(super) sandbox: Namespace,
    _directory: TempDir,
}

/// Keeps what it is given, and serves nobody.
#[derive(Default)]
struct Silent(Mutex<Vec<OwnedFd>>);

#[async_trait]
impl Gate for Silent {
    async fn open(&self, _: Pass<'_>, sockets: Vec<(Socket, OwnedFd)>) -> io::Result<()> {
        self.0.lock().extend(sockets.into_iter().map(|(_, socket)| socket));
        Ok(())
    }

    async fn close(&self, _: &str) -> io::Result<()> {
        self.0.lock().clear();
        Ok(())
    }
}

pub(super) fn gate() -> Arc<dyn Gate> {
    Arc::<Silent>::default()
}

pub(super) fn spec(name: &str) -> Spec {
    let network = Some(Network { reach: Reach::Unrestricted, egress: None });
    Spec { name: name.into(), network, ..Spec::default() }
}

impl Room {
    /// With the base made, so that nobody's first sandbox is measured with it.
    pub(super) async fn open(directory: &Path) -> Result<Self> {
        let directory = TempDir::new_in(directory)?;
        let options = Options { data_dir: directory.path().join("data"), home: "bench".into() };
        let sandbox = Namespace::new(options).with_gate(gate());
        sandbox.prepare().await?;
        Ok(Self { sandbox, _directory: directory })
    }

    pub(super) async fn provision(&self, name: &str, restore: Option<PathBuf>) -> Result<Box<dyn Hand>> {
        self.make(&Spec { restore, ..spec(name) }).await
    }

    pub(super) async fn make(&self, spec: &Spec) -> Result<Box<dyn Hand>> {
        Ok(self.sandbox.provision(spec, 1).await?)
    }

    pub(super) async fn close(self) -> Result<()> {
        for kept in self.sandbox.kept().await {
            self.sandbox.destroy(&kept.name, None).await?;
        }
        Ok(())
    }
}

pub(super) async fn command(hand: &dyn Hand, command: &str) -> Result<String> {
    call(hand, "bash", json!({ "command": command })).await
}

pub(super) async fn call(hand: &dyn Hand, tool: &str, input: serde_json::Value) -> Result<String> {
    static NEXT: Mutex<u64> = Mutex::new(0);
    let number = {
        let mut next = NEXT.lock();
        *next += 1;
        *next
    };
    let input = input.as_object().cloned().unwrap_or_default();
    let outcome = hand.execute(Execute { call: format!("call_{number}"), tool: tool.into(), input }).await?;
    ensure!(!outcome.is_error, "{tool} failed: {:?}", outcome.content);
    let texts = outcome.content.into_iter().filter_map(|content| match content {
        Content::Text { text } => Some(text),
        _ => None,
    });
    Ok(texts.collect())
}
