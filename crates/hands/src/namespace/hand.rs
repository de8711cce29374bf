//! A sandbox as a [`Hand`]: each method is one question to its daemon.

use std::path::{Component, Path};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use hand_protocol::{Entry, Execute, Found, MAX_CHUNK, Outcome, Reply, Verb};

use crate::{
    Address, Hand, Lost,
    connection::{Connection, confused},
};

pub(super) struct SandboxHand {
    pub(super) address: Address,
    pub(super) connection: Connection,
}

#[async_trait]
impl Hand for SandboxHand {
    fn address(&self) -> &Address {
        &self.address
    }

    async fn execute(&self, call: Execute) -> Result<Outcome, Lost> {
        match self.connection.ask(Verb::Execute(call)).await? {
            Reply::Done { outcome } => Ok(outcome),
            _ => Err(confused()),
        }
    }

    async fn look(&self, calls: Vec<String>) -> Result<Vec<Found>, Lost> {
        let asked = calls.len();
        match self.connection.ask(Verb::Look { calls }).await? {
            Reply::Journal { found } if found.len() == asked => Ok(found),
            _ => Err(confused()),
        }
    }

    async fn cancel(&self, call: &str) -> Result<(), Lost> {
        match self.connection.ask(Verb::Cancel { call: call.to_owned() }).await? {
            Reply::Ok => Ok(()),
            _ => Err(confused()),
        }
    }

    async fn outputs(&self) -> Result<(Vec<Entry>, bool), Lost> {
        match self.connection.ask(Verb::Outputs).await? {
            // Only names, to be asked for again; but no caller should have to think of what `..` would do.
            Reply::Entries { entries, truncated } if entries.iter().all(|entry| is_below(&entry.path)) => {
                Ok((entries, truncated))
            }
            _ => Err(confused()),
        }
    }

    async fn fetch(&self, path: &str, offset: u64, length: u64) -> Result<(Vec<u8>, bool), Lost> {
        let length = length.min(MAX_CHUNK);
        match self.connection.ask(Verb::Fetch { path: path.to_owned(), offset, length }).await? {
            Reply::Chunk { data, eof } => match BASE64_STANDARD.decode(data) {
                Ok(bytes) if bytes.len() as u64 <= length => Ok((bytes, eof)),
                _ => Err(confused()),
            },
            _ => Err(confused()),
        }
    }
}

fn is_below(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_out_of_the_outputs_is_not_believed() {
        assert!(is_below("a/b.txt"));
        for path in ["", "/etc/passwd", "../x", "a/../../x"] {
            assert!(!is_below(path), "{path}");
        }
    }
}
