//! The sandbox of one session, on this machine, over all the items that the session has in time.
//!
//! A file names it, and is written before anything runs in it: whoever serves the session next finds the same one, and with
//! it the journal of its calls.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use hands::{Address, Execute, Found, Hand, Lost, Outcome, Spec};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tools::{is_repeatable, words};

use crate::docket::Call;
use crate::worker::{Made, Options};

/// Another process of this worker has the session's sandbox.
#[derive(Debug)]
pub(crate) struct Fenced;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// Of whoever served the session last.
    epoch: u64,
    address: Option<Address>,
}

impl Record {
    fn read(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Whole or not at all, and for good once it returns.
    fn write(&self, path: &Path) -> io::Result<()> {
        let unfinished = path.with_extension("unfinished");
        fs::write(&unfinished, serde_json::to_vec(self)?)?;
        fs::File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, path)?;
        path.parent().map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
    }
}

pub(crate) struct Place {
    options: Arc<Options>,
    session: String,
    path: PathBuf,
    record: Mutex<Record>,
    hand: Mutex<Option<Arc<dyn Hand>>>,
    /// What the model is yet to be told of its sandbox, with a command's result.
    notice: Mutex<Option<String>>,
}

impl Place {
    /// The session's, from now on under an epoch that is higher than any before.
    pub(crate) fn take(options: Arc<Options>, session: &str) -> io::Result<Self> {
        let path = path(&options.directory, session)?;
        let mut record = Record::read(&path)?;
        record.epoch += 1;
        record.write(&path)?;
        Ok(Self {
            options,
            session: session.to_owned(),
            path,
            record: Mutex::new(record),
            hand: Mutex::default(),
            notice: Mutex::default(),
        })
    }

    /// Runs a call, or finds what has become of it if it was begun before.
    pub(crate) async fn run(&self, call: &Call) -> Result<Outcome, Fenced> {
        let done = match self.hand().await {
            Ok(hand) => finish(&*hand, call).await,
            Err(lost) => Err(lost),
        };
        match done {
            Ok(mut outcome) => {
                if call.name == "bash"
                    && let Some(notice) = self.notice.lock().take()
                {
                    outcome.content.push(hands::Content::Text { text: notice });
                }
                Ok(outcome)
            }
            Err(Lost::Fenced(_)) => Err(Fenced),
            Err(Lost::Refused(reason)) => Ok(Outcome::error(reason)),
            Err(Lost::Gone(reason)) => {
                *self.hand.lock() = None;
                Ok(Outcome::error(words::lost(&call.name, &reason)))
            }
        }
    }

    /// Ends a call that runs, if it does.
    pub(crate) async fn cancel(&self, call: &str) {
        let hand = self.hand.lock().clone();
        if let Some(hand) = hand
            && let Err(lost) = hand.cancel(call).await
        {
            tracing::debug!(session = self.session, call, %lost, "a call could not be ended");
        }
    }

    /// Puts the sandbox away until the session has work again.
    pub(crate) async fn leave(&self) -> Option<Arc<dyn Hand>> {
        let hand = self.hand.lock().take()?;
        let epoch = self.record.lock().epoch;
        match self.options.sandbox.rest(hand.address(), epoch).await {
            Ok(checkpoint) => {
                tracing::info!(session = self.session, bytes = checkpoint.bytes, "its sandbox was put away");
                None
            }
            Err(Lost::Gone(_) | Lost::Fenced(_)) => None,
            Err(Lost::Refused(reason)) => {
                tracing::debug!(session = self.session, reason, "a sandbox is kept as it is");
                // It would end itself, and its files with it, if nobody held it.
                Some(hand)
            }
        }
    }

    async fn hand(&self) -> Result<Arc<dyn Hand>, Lost> {
        if let Some(hand) = self.hand.lock().clone() {
            return Ok(hand);
        }
        let (address, epoch) = {
            let record = self.record.lock();
            (record.address.clone(), record.epoch)
        };
        let sandbox = &self.options.sandbox;
        let hand: Arc<dyn Hand> = match &address {
            None => self.provision(None, epoch).await?,
            Some(address) => match sandbox.adopt(address, epoch).await {
                Ok(hand) => Arc::from(hand),
                Err(Lost::Gone(reason)) => {
                    let left = sandbox.checkpoint(address).await.map_err(|error| {
                        Lost::Refused(format!("The files of the last sandbox cannot be read just now: {error}"))
                    })?;
                    let notice = match &left {
                        Some(_) => words::RESTORED.to_owned(),
                        None => format!("[The sandbox was lost ({reason}). This is a new one, without its files.]"),
                    };
                    let hand = self.provision(left.map(|left| left.path), epoch).await?;
                    *self.notice.lock() = Some(notice);
                    if let Err(error) = sandbox.forget(address).await {
                        tracing::warn!(session = self.session, %error, "an earlier sandbox's files are left");
                    }
                    hand
                }
                Err(lost) => return Err(lost),
            },
        };
        *self.hand.lock() = Some(hand.clone());
        Ok(hand)
    }

    /// A new sandbox. An earlier one of the session ends; its journal is carried over.
    async fn provision(&self, restore: Option<PathBuf>, epoch: u64) -> Result<Arc<dyn Hand>, Lost> {
        let refused =
            |why: &dyn std::fmt::Display| Lost::Refused(format!("No sandbox could be started for this call: {why}"));
        let Made { ground, network } = self.options.grounds.ready().await.map_err(|why| refused(&why))?;
        let limits = self.options.limits;
        let spec = Spec { name: self.session.clone(), limits, ground, network, restore, ..Spec::default() };
        let hand = self.options.sandbox.provision(&spec, epoch).await.map_err(|error| refused(&error))?;
        let mut record = self.record.lock();
        record.address = Some(hand.address().clone());
        record.write(&self.path).map_err(|error| refused(&error))?;
        Ok(Arc::from(hand))
    }
}

async fn finish(hand: &dyn Hand, call: &Call) -> Result<Outcome, Lost> {
    let found = hand.look(vec![call.id.clone()]).await?;
    match found.into_iter().next() {
        Some(Found::Finished { outcome }) => Ok(outcome),
        Some(Found::Unknown) if is_repeatable(&call.name) => Ok(Outcome::error(words::RESTARTED)),
        Some(Found::Unknown) => Ok(Outcome::error(words::UNKNOWN)),
        // One that runs is waited for: the hand does not run an id twice.
        Some(Found::NeverReceived | Found::Running) | None => {
            let execute = Execute { call: call.id.clone(), tool: call.name.clone(), input: call.input.clone() };
            hand.execute(execute).await
        }
    }
}

/// The session's file. Its name comes from a server, and must not lead elsewhere.
fn path(directory: &Path, session: &str) -> io::Result<PathBuf> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if session.is_empty() || session.len() > 100 || !session.bytes().all(is_plain) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{session:?} is no session's id")));
    }
    fs::create_dir_all(directory)?;
    Ok(directory.join(format!("{session}.json")))
}

/// Removes what sessions have here that have had no work for as long as it is kept, but for those that are being served.
pub(crate) async fn expire(options: &Options, is_served: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
    let mut gone = Vec::new();
    let entries = match fs::read_dir(&options.directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(gone),
        Err(error) => return Err(error),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let Some(session) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else { continue };
        let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        if path.extension().is_none_or(|extension| extension != "json") || age < options.keep || is_served(&session) {
            continue;
        }
        options.sandbox.destroy(&session, None).await?;
        fs::remove_file(&path)?;
        gone.push(session);
    }
    Ok(gone)
}
