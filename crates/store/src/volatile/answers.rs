//! Remembered answers by workspace and name.

use std::collections::BTreeMap;

use wire::{SessionId, Timestamp, WorkspaceId};

use crate::{Answer, Error, Result};

#[derive(Clone, Default)]
pub(super) struct Answers(BTreeMap<(WorkspaceId, String), Answer>);

impl Answers {
    pub(super) fn all(&self) -> impl Iterator<Item = &Answer> {
        self.0.values()
    }

    pub(super) fn find(&self, workspace: WorkspaceId, name: &str) -> Option<&Answer> {
        self.0.get(&(workspace, name.to_owned()))
    }

    /// Keeps the answer, unless another stands in its way.
    pub(super) fn remember(&mut self, answer: Answer) -> Result<()> {
        let standing = self.find(answer.workspace, &answer.name);
        if standing.is_some_and(|standing| !answer.attempt.may_follow(&standing.attempt)) {
            return Err(Error::Exists);
        }
        self.keep(answer);
        Ok(())
    }

    /// Keeps the answer, whatever is there.
    pub(super) fn keep(&mut self, answer: Answer) {
        self.0.insert((answer.workspace, answer.name.clone()), answer);
    }

    /// Removes what has expired. Returns how many.
    pub(super) fn forget(&mut self, now: Timestamp) -> u64 {
        let before = self.0.len();
        self.0.retain(|_, answer| answer.expires_at > now);
        (before - self.0.len()) as u64
    }

    /// Removes what tells of a session.
    pub(super) fn forget_session(&mut self, session: SessionId) {
        self.0.retain(|_, answer| answer.subject != Some(session));
    }
}
