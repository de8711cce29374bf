//! A sandbox as a [`Hand`], over whatever stream reaches its daemon: each method is one question.
//!
//! A connection is not the sandbox. Where one breaks, another is made, and what was asked is asked again: the daemon
//! runs a call id at most once, and answers a repeated one with its outcome.

use std::{
    path::{Component, Path},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use hand_protocol::{Entry, Execute, Found, MAX_CHUNK, Outcome, Reply, Verb};
use tokio::{sync::Mutex, time::sleep};

use crate::{
    Address, BoxedStream, Hand, Lost,
    connection::{Connection, Failure, confused, gone},
};

/// How long to wait before each attempt to make a connection again. Together they outlast the restart of a node.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5)];

/// A way to one sandbox's daemon, to be gone again whenever a connection breaks.
///
/// Law: ends within seconds. [`Lost::Gone`] only if the sandbox is known to be no more; [`Lost::Refused`] if it cannot
/// be reached just now.
#[async_trait]
pub trait Dial: Send + Sync {
    async fn dial(&self) -> Result<BoxedStream, Lost>;
}

/// The hand at this address, if it is that very one which answers. From now on it heeds no lower epoch. Tries once:
/// [`Lost::Refused`] means that it could not be reached just now, and says nothing of the sandbox.
pub async fn attach(dial: Arc<dyn Dial>, address: Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
    let stream = dial.dial().await?;
    let hand = SandboxHand::over(stream, dial, address, epoch).await.map_err(|failure| match failure {
        Failure::Ended(why) => Lost::Refused(why),
        Failure::Lost(lost) => lost,
    })?;
    Ok(Box::new(hand))
}

pub(crate) struct SandboxHand {
    address: Address,
    epoch: u64,
    dial: Arc<dyn Dial>,
    /// The latest one. Locked while another is being made, so that all who lost the same one share the next.
    connection: Mutex<Arc<Connection>>,
}

impl SandboxHand {
    /// Greets over a stream that `dial` has given, or would give.
    pub(crate) async fn over(
        stream: BoxedStream,
        dial: Arc<dyn Dial>,
        address: Address,
        epoch: u64,
    ) -> Result<Self, Failure> {
        let connection = Mutex::new(Arc::new(greet(stream, &address, epoch).await?));
        Ok(Self { address, epoch, dial, connection })
    }

    async fn ask(&self, verb: Verb) -> Result<Reply, Lost> {
        let mut connection = self.connection.lock().await.clone();
        let mut asked = connection.ask(verb.clone()).await;
        for pause in PAUSES {
            let why = match asked {
                Ok(reply) => return Ok(reply),
                Err(Failure::Lost(lost)) => return Err(lost),
                Err(Failure::Ended(why)) => why,
            };
            let sandbox = self.address.directory.display();
            tracing::debug!(%sandbox, why, "the connection to a sandbox has ended, and is made again");
            sleep(pause).await;
            asked = match self.instead_of(&connection).await {
                Ok(next) => {
                    connection = next;
                    connection.ask(verb.clone()).await
                }
                // Not of this request, but of the attempt to reach the sandbox: the next may fare better.
                Err(Failure::Lost(Lost::Refused(why))) => Err(Failure::Ended(why)),
                Err(failure) => Err(failure),
            };
        }
        asked.map_err(|failure| match failure {
            Failure::Lost(lost) => lost,
            Failure::Ended(why) => Lost::Refused(format!(
                "the connection to the sandbox was lost, and it cannot be reached just now ({why}). What was asked of \
                 it may have been done wholly, in part or not at all: check before you repeat it"
            )),
        })
    }

    /// A connection that is not this one, which has ended.
    async fn instead_of(&self, ended: &Arc<Connection>) -> Result<Arc<Connection>, Failure> {
        let mut latest = self.connection.lock().await;
        if Arc::ptr_eq(&latest, ended) {
            let stream = self.dial.dial().await?;
            *latest = Arc::new(greet(stream, &self.address, self.epoch).await?);
        }
        Ok(latest.clone())
    }
}

async fn greet(stream: BoxedStream, address: &Address, epoch: u64) -> Result<Connection, Failure> {
    let (connection, incarnation) = Connection::greet(stream, epoch).await?;
    if incarnation != address.incarnation {
        return Err(gone("another one has taken its place").into());
    }
    Ok(connection)
}

#[async_trait]
impl Hand for SandboxHand {
    fn address(&self) -> &Address {
        &self.address
    }

    async fn execute(&self, call: Execute) -> Result<Outcome, Lost> {
        match self.ask(Verb::Execute(call)).await? {
            Reply::Done { outcome } => Ok(outcome),
            _ => Err(confused()),
        }
    }

    async fn look(&self, calls: Vec<String>) -> Result<Vec<Found>, Lost> {
        let asked = calls.len();
        match self.ask(Verb::Look { calls }).await? {
            Reply::Journal { found } if found.len() == asked => Ok(found),
            _ => Err(confused()),
        }
    }

    async fn cancel(&self, call: &str) -> Result<(), Lost> {
        match self.ask(Verb::Cancel { call: call.to_owned() }).await? {
            Reply::Ok => Ok(()),
            _ => Err(confused()),
        }
    }

    async fn outputs(&self) -> Result<(Vec<Entry>, bool), Lost> {
        match self.ask(Verb::Outputs).await? {
            // Only names, to be asked for again; but no caller should have to think of what `..` would do.
            Reply::Entries { entries, truncated } if entries.iter().all(|entry| is_below(&entry.path)) => {
                Ok((entries, truncated))
            }
            _ => Err(confused()),
        }
    }

    async fn fetch(&self, path: &str, offset: u64, length: u64) -> Result<(Vec<u8>, bool), Lost> {
        let length = length.min(MAX_CHUNK);
        match self.ask(Verb::Fetch { path: path.to_owned(), offset, length }).await? {
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
mod tests;
