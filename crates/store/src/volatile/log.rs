//! Session logs as vectors of rows: the row at position `n` is the `n`th.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use session::{Stored, Summary, Visibility};
use wire::{SessionId, Timestamp, WorkspaceId};

use super::{Memory, Volatile, failed};
use crate::{Append, Appended, Error, Lease, Page, Read, Result, SessionHead, SessionLog, Shown, Snapshot};

#[derive(Clone)]
pub(super) struct Log {
    pub(super) workspace: WorkspaceId,
    pub(super) rows: Vec<Stored>,
    pub(super) epoch: u64,
    /// The node that has the lease, if any.
    pub(super) owner: Option<String>,
    pub(super) summary: Summary,
    pub(super) runnable: bool,
    /// Per key, the position up to which its clients have seen the inputs.
    pub(super) covered: BTreeMap<String, u64>,
    snapshot: Option<Snapshot>,
}

impl Log {
    /// Without rows.
    pub(super) fn new(workspace: WorkspaceId, summary: Summary, runnable: bool) -> Self {
        Self {
            workspace,
            rows: Vec::new(),
            epoch: 0,
            owner: None,
            summary,
            runnable,
            covered: BTreeMap::new(),
            snapshot: None,
        }
    }

    pub(super) fn head(&self) -> u64 {
        self.rows.len() as u64
    }

    fn row(&self, position: u64) -> Option<&Stored> {
        let index = usize::try_from(position).ok()?.checked_sub(1)?;
        self.rows.get(index)
    }

    /// The epoch and the owner after an append with this lease.
    fn lease(&self, lease: &Lease, lives: impl Fn(&str) -> bool) -> Result<(u64, Option<String>)> {
        let is_held = |epoch: u64| epoch == self.epoch && self.owner.as_deref().is_some_and(&lives);
        let is_free_for = |claimant: &String| self.owner.as_ref().is_none_or(|owner| owner == claimant);
        match lease {
            Lease::None => Ok((self.epoch, self.owner.clone())),
            Lease::Claim { owner } if is_free_for(owner) && lives(owner) => Ok((self.epoch + 1, Some(owner.clone()))),
            Lease::Hold { epoch } if is_held(*epoch) => Ok((self.epoch, self.owner.clone())),
            Lease::Release { epoch } if is_held(*epoch) => Ok((self.epoch, None)),
            Lease::Claim { .. } | Lease::Hold { .. } | Lease::Release { .. } => {
                Err(Error::Fenced { epoch: self.epoch })
            }
        }
    }

    /// What clients see, in ascending order: what is processed by the row that shows it, then what waits.
    fn shown(&self) -> Vec<Page> {
        let taken_up = |row: &Stored| match row.visibility {
            Visibility::Processes(of) => Some(of),
            _ => None,
        };
        let taken_up: BTreeSet<u64> = self.rows.iter().filter_map(taken_up).collect();
        let processed = self.rows.iter().filter_map(|row| match row.visibility {
            Visibility::Shown => Some(page(row, Shown::At(row.position), Some(row.at))),
            Visibility::Processes(of) => self.row(of).map(|input| page(input, Shown::At(row.position), Some(row.at))),
            Visibility::Private | Visibility::Waiting => None,
        });
        let waiting = self.rows.iter().filter_map(|row| match row.visibility {
            Visibility::Waiting if !taken_up.contains(&row.position) => {
                Some(page(row, Shown::Waiting(row.position), None))
            }
            _ => None,
        });
        processed.chain(waiting).collect()
    }
}

fn page(row: &Stored, shown: Shown, processed_at: Option<Timestamp>) -> Page {
    let Stored { position, id, thread, kind, body, .. } = row.clone();
    Page { shown, arrived: position, id, thread, kind, body, processed_at }
}

/// What waits has no time, so that no filter by time lets it pass.
fn is_wanted(page: &Page, read: &Read) -> bool {
    let beyond = |after: Shown| if read.descending { page.shown < after } else { page.shown > after };
    read.thread.is_none_or(|thread| page.thread == thread)
        && (read.kinds.is_empty() || read.kinds.contains(&page.kind))
        && read.from.is_none_or(|from| page.processed_at.is_some_and(|at| at >= from))
        && read.to.is_none_or(|to| page.processed_at.is_some_and(|at| at <= to))
        && read.after.is_none_or(beyond)
}

fn check_numbers(head: u64, rows: &[Stored]) -> Result<()> {
    match rows.iter().zip(head + 1..).find(|(row, number)| row.position != *number) {
        Some((row, number)) => Err(failed(format!("the row for position {number} says {}", row.position))),
        None => Ok(()),
    }
}

#[async_trait]
impl SessionLog for Volatile {
    async fn create_session(&self, workspace: WorkspaceId, append: Append) -> Result<Appended> {
        let mut memory = self.memory.lock();
        if memory.logs.contains_key(&append.session) {
            return Err(failed(format!("the session {} exists", append.session)));
        }
        check_numbers(0, &append.rows)?;
        memory.kept.apply(append.changes)?;
        // From here on nothing is refused.
        let mut log = Log::new(workspace, append.summary, append.runnable);
        log.rows.extend(append.rows.iter().cloned());
        let appended = Appended { head: log.head(), epoch: log.epoch };
        memory.logs.insert(append.session, log);
        Ok(appended)
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        let mut memory = self.memory.lock();
        let now = self.clock.now();
        let Memory { kept, logs, nodes, .. } = &mut *memory;
        let log = logs.get_mut(&append.session).ok_or(Error::NotFound)?;
        let (epoch, owner) = log.lease(&append.lease, |node| nodes.lives(node, now))?;
        if append.expected_head != log.head() {
            return Err(Error::Conflict { head: log.head() });
        }
        check_numbers(log.head(), &append.rows)?;
        kept.apply(append.changes)?;
        // From here on nothing is refused.
        log.rows.extend(append.rows.iter().cloned());
        log.epoch = epoch;
        log.owner = owner;
        log.summary = append.summary;
        log.runnable = append.runnable;
        Ok(Appended { head: log.head(), epoch })
    }

    async fn rows(&self, session: SessionId, after: u64, limit: usize) -> Result<Vec<Stored>> {
        let memory = self.memory.lock();
        let rows = memory.logs.get(&session).map(|log| log.rows.as_slice()).unwrap_or_default();
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(rows.iter().skip(after).take(limit).cloned().collect())
    }

    async fn list(&self, session: SessionId, read: Read) -> Result<Vec<Page>> {
        let memory = self.memory.lock();
        let mut pages = memory.logs.get(&session).map(Log::shown).unwrap_or_default();
        if read.descending {
            pages.reverse();
        }
        pages.retain(|page| is_wanted(page, &read));
        pages.truncate(read.limit);
        Ok(pages)
    }

    async fn head(&self, session: SessionId) -> Result<SessionHead> {
        let memory = self.memory.lock();
        let log = memory.logs.get(&session).ok_or(Error::NotFound)?;
        let Log { workspace, epoch, summary, runnable, .. } = *log;
        Ok(SessionHead { workspace, head: log.head(), epoch, summary, runnable })
    }

    async fn heads(&self, sessions: Vec<SessionId>) -> Result<Vec<(SessionId, u64)>> {
        let memory = self.memory.lock();
        let found = sessions.into_iter().filter_map(|session| Some((session, memory.logs.get(&session)?.head())));
        Ok(found.collect())
    }

    async fn snapshot(&self, session: SessionId) -> Result<Option<Snapshot>> {
        let memory = self.memory.lock();
        Ok(memory.logs.get(&session).and_then(|log| log.snapshot.clone()))
    }

    async fn keep_snapshot(&self, session: SessionId, snapshot: Snapshot) -> Result<()> {
        let mut memory = self.memory.lock();
        let Some(log) = memory.logs.get_mut(&session) else { return Ok(()) };
        if log.snapshot.as_ref().is_none_or(|kept| snapshot.position >= kept.position) {
            log.snapshot = Some(snapshot);
        }
        Ok(())
    }

    async fn runnable(&self, limit: usize) -> Result<Vec<SessionId>> {
        let memory = self.memory.lock();
        let free = memory.logs.iter().filter(|(_, log)| log.runnable && log.owner.is_none());
        Ok(free.map(|(session, _)| *session).take(limit).collect())
    }

    async fn leased(&self, owner: &str) -> Result<Vec<SessionId>> {
        let memory = self.memory.lock();
        let leased = memory.logs.iter().filter(|(_, log)| log.runnable && log.owner.as_deref() == Some(owner));
        Ok(leased.map(|(session, _)| *session).collect())
    }

    async fn cover(&self, session: SessionId, key: &str, position: u64) -> Result<()> {
        let mut memory = self.memory.lock();
        if let Some(log) = memory.logs.get_mut(&session) {
            let covered = log.covered.entry(key.to_owned()).or_default();
            *covered = position.max(*covered);
        }
        Ok(())
    }

    async fn covered(&self, session: SessionId, key: &str) -> Result<u64> {
        let memory = self.memory.lock();
        let log = memory.logs.get(&session);
        Ok(log.and_then(|log| log.covered.get(key)).copied().unwrap_or(0))
    }

    async fn first_input_after(&self, session: SessionId, position: u64) -> Result<Option<u64>> {
        let memory = self.memory.lock();
        let Some(log) = memory.logs.get(&session) else { return Ok(None) };
        let is_input = |row: &&Stored| match row.visibility {
            Visibility::Waiting => true,
            // What was processed as it came, such as a tool's result.
            Visibility::Shown => row.kind.starts_with("user."),
            Visibility::Private | Visibility::Processes(_) => false,
        };
        let mut later = log.rows.iter().filter(|row| row.position > position);
        Ok(later.find(is_input).map(|row| row.position))
    }

    async fn delete_session(&self, session: SessionId) -> Result<()> {
        let mut memory = self.memory.lock();
        let Log { workspace, runnable, .. } = *memory.logs.get(&session).ok_or(Error::NotFound)?;
        if runnable {
            return Err(Error::InUse);
        }
        memory.logs.remove(&session);
        memory.kept.documents.forget_session(workspace, &session.to_string());
        memory.kept.answers.forget_session(session);
        Ok(())
    }
}
