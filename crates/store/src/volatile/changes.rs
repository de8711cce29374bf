//! Everything that a [`Change`] can change, so that several are made together.

use super::answers::Answers;
use super::catalog::Documents;
use super::queue::Items;
use crate::{Change, Result};

#[derive(Clone, Default)]
pub(super) struct Kept {
    pub(super) documents: Documents,
    pub(super) answers: Answers,
    pub(super) items: Items,
}

impl Kept {
    /// All of the changes or none: they are made to a copy, which takes the place of this if no change is refused.
    pub(super) fn apply(&mut self, changes: Vec<Change>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut copy = self.clone();
        for change in changes {
            match change {
                Change::Insert(document) => copy.documents.insert(document)?,
                Change::Update(document) => copy.documents.update(document)?,
                Change::Delete { workspace, kind, id } => copy.documents.delete(workspace, kind, id)?,
                Change::Remember(answer) => copy.answers.remember(answer)?,
                Change::Require { workspace, kind, id } => copy.documents.require(workspace, kind, id)?,
                Change::Enqueue(item) => copy.items.enqueue(item),
            }
        }
        *self = copy;
        Ok(())
    }
}
