//! One layer, being made: a sandbox in which each manager installs its packages.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hands::{Execute, Ground, Hand, Limits, Network, Sandbox, Spec};
use packages::{Kind, Step, diagnose};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

/// Between two looks at what a step has said.
const LOOK: Duration = Duration::from_millis(300);

/// For a sandbox to say whether it lives. What runs in it may keep it from that.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pieces of what was said that are read before the next look at the time: a log may grow faster than it is read.
const PIECES: usize = 16;

/// How often a step is tried where the network may have been at fault.
const ATTEMPTS: u32 = 3;

/// Bytes at the end of what a step said, which say why it failed.
const TAIL: usize = 64 << 10;

/// Bytes of all that is written down of a build.
const LOG: u64 = 64 << 20;

const OUTPUTS: &str = "/mnt/session/outputs";

/// Why there is no layer. Each says what a user or an operator can do.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failed {
    #[error("{manager}: {message}")]
    Package { manager: &'static str, message: String },
    #[error("{0}")]
    Diagnosed(String),
    #[error("the packages could not be installed: {0}")]
    Other(String),
}

pub(crate) struct Build {
    pub(crate) sandbox: Arc<dyn Sandbox>,
    /// Of the sandbox, and unlike any session's.
    pub(crate) name: String,
    pub(crate) ground: Ground,
    pub(crate) into: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) network: Network,
    pub(crate) log: PathBuf,
    /// Names the calls: no two are the same.
    pub(crate) calls: AtomicU64,
}

impl Build {
    /// Runs the steps and makes a layer of what they leave.
    pub(crate) async fn run(&self, steps: &[Step]) -> Result<(), Failed> {
        let other = |error: &dyn std::fmt::Display| Failed::Other(error.to_string());
        let spec = Spec {
            name: self.name.clone(),
            ground: self.ground.clone(),
            limits: self.limits,
            network: Some(self.network.clone()),
            keep: Some(self.into.clone()),
            ..Spec::default()
        };
        self.sandbox.destroy(&self.name, None).await.map_err(|error| other(&error))?;
        let hand = self.sandbox.provision(&spec, 1).await.map_err(|error| other(&error))?;
        let installed = self.install(&*hand, steps).await;
        drop(hand);
        match installed {
            Ok(()) => self.sandbox.harvest(&self.name).await.map_err(|error| other(&error)),
            Err(failed) => {
                if let Err(error) = self.sandbox.destroy(&self.name, None).await {
                    tracing::warn!(build = self.name, %error, "the sandbox of a build could not be removed");
                }
                Err(failed)
            }
        }
    }

    async fn install(&self, hand: &dyn Hand, steps: &[Step]) -> Result<(), Failed> {
        for (number, step) in steps.iter().enumerate() {
            for attempt in 1.. {
                let manager = step.manager.name();
                tracing::info!(build = self.name, manager, attempt, "packages are being installed");
                self.note(&format!("--- {manager} (attempt {attempt})\n"));
                let said = match self.step(hand, step, &format!("{number}-{attempt}")).await? {
                    None => break,
                    Some(said) => said,
                };
                let failure = diagnose(step.manager, &said);
                let is_network = failure.as_ref().is_some_and(|failure| failure.kind == Kind::Network);
                if is_network && attempt < ATTEMPTS {
                    tracing::info!(build = self.name, manager, "a network failed; once more");
                    continue;
                }
                // A diagnosis names its manager itself.
                return Err(match failure {
                    Some(failure) => Failed::Diagnosed(failure.to_string()),
                    None => Failed::Package { manager, message: last_lines(&said) },
                });
            }
        }
        Ok(())
    }

    /// None if it succeeded, else the end of what it said.
    async fn step(&self, hand: &dyn Hand, step: &Step, name: &str) -> Result<Option<String>, Failed> {
        let script = format!("/workspace/{name}.sh");
        self.call(hand, "write", json!({ "file_path": script, "content": step.script })).await?;
        // In the background, for it may take longer than one call may.
        let start = format!(
            "(bash {script} > {OUTPUTS}/{name}.log 2>&1 < /dev/null; echo $? > {OUTPUTS}/{name}.unfinished; \
             mv {OUTPUTS}/{name}.unfinished {OUTPUTS}/{name}.status) > /dev/null 2>&1 &"
        );
        self.call(hand, "bash", json!({ "command": start })).await?;
        let until = Instant::now() + step.limit;
        let (mut said, mut read) = (Vec::new(), 0);
        loop {
            let status = fetch(hand, &format!("{name}.status"), 0).await;
            read += self.listen(hand, name, read, &mut said).await;
            match status.as_deref().map(|status| String::from_utf8_lossy(status).trim() == "0") {
                Some(true) => return Ok(None),
                Some(false) => return Ok(Some(String::from_utf8_lossy(&said).into_owned())),
                None if Instant::now() > until => {
                    let message = format!("it was given up after {} seconds", step.limit.as_secs());
                    return Err(Failed::Package { manager: step.manager.name(), message });
                }
                None => sleep(LOOK).await,
            }
            // The sandbox may have ended: then nothing will ever be said.
            let lives = timeout(PATIENCE, hand.look(Vec::new())).await;
            let lives = lives.map_err(|_| Failed::Other("its sandbox does not answer".into()))?;
            lives.map_err(|lost| Failed::Other(lost.to_string()))?;
        }
    }

    /// Takes in what has been said since, and returns how much that was.
    async fn listen(&self, hand: &dyn Hand, name: &str, from: u64, said: &mut Vec<u8>) -> u64 {
        let mut heard = 0;
        for _ in 0..PIECES {
            let bytes = fetch(hand, &format!("{name}.log"), from + heard).await.filter(|all| !all.is_empty());
            let Some(bytes) = bytes else { break };
            heard += bytes.len() as u64;
            self.note(&String::from_utf8_lossy(&bytes));
            said.extend_from_slice(&bytes);
            let surplus = said.len().saturating_sub(TAIL);
            said.drain(..surplus);
        }
        heard
    }

    /// What is written down is for people: that it cannot be written stops nothing.
    fn note(&self, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            tracing::debug!(build = self.name, "{line}");
        }
        let file = OpenOptions::new().append(true).create(true).open(&self.log);
        if let Ok(mut file) = file
            && file.metadata().is_ok_and(|found| found.len() < LOG)
        {
            let _ = file.write_all(text.as_bytes());
        }
    }

    async fn call(&self, hand: &dyn Hand, tool: &str, input: Value) -> Result<(), Failed> {
        let input = input.as_object().cloned().unwrap_or_default();
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        match hand.execute(Execute { call: format!("build-{number}"), tool: tool.into(), input }).await {
            Ok(outcome) if !outcome.is_error => Ok(()),
            Ok(outcome) => Err(Failed::Other(format!("{:?}", outcome.content))),
            Err(lost) => Err(Failed::Other(lost.to_string())),
        }
    }
}

async fn fetch(hand: &dyn Hand, path: &str, offset: u64) -> Option<Vec<u8>> {
    let fetched = timeout(PATIENCE, hand.fetch(path, offset, hands::MAX_CHUNK)).await;
    fetched.ok()?.ok().map(|(bytes, _)| bytes)
}

fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.iter().skip(lines.len().saturating_sub(3)).copied().collect::<Vec<_>>().join("; ");
    last.chars().take(600).collect()
}

/// Where what a build says is written.
pub(crate) fn log(directory: &Path, key: &str) -> PathBuf {
    directory.join(format!("{key}.log"))
}
