//! Answers that are remembered, and which attempt at a request each of them was given to.

use serde::{Deserialize, Serialize};
use wire::{SessionId, Timestamp, WorkspaceId};

/// What a request was answered, kept so that the same request sent again has no second effect.
///
/// Law: it is kept in clear text, as it was sent, and so it holds no secret. An answer with a secret is not remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub workspace: WorkspaceId,
    /// Names the request: unique in the workspace.
    pub name: String,
    /// Of the request's body: another body under the same name is another request.
    pub fingerprint: String,
    pub attempt: Attempt,
    pub status: u16,
    pub body: String,
    pub at: Timestamp,
    pub expires_at: Timestamp,
    /// The session that it tells of: with that it is forgotten.
    pub subject: Option<SessionId>,
}

/// One send of a request, and what it found answered when it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Names it, and no other.
    pub id: String,
    /// The attempt whose answer it found, expired or not.
    pub follows: Option<String>,
    /// The last repetition that was answered, as far as it found; itself, if it is one.
    pub repetition: Option<String>,
}

impl Attempt {
    /// At a request of its own, also if the same was sent before.
    pub fn first(id: String, found: Option<&Answer>) -> Self {
        let found = found.map(|answer| answer.attempt.clone());
        let (follows, repetition) = found.map(|found| (found.id, found.repetition)).unzip();
        Self { id, follows, repetition: repetition.flatten() }
    }

    /// At a request that was sent before, as its sender says.
    pub fn again(id: String, found: Option<&Answer>) -> Self {
        Self { repetition: Some(id.clone()), ..Self::first(id, found) }
    }

    /// Whether its answer may take the place of this other's, by the law of [`Catalog`](crate::Catalog).
    pub fn may_follow(&self, other: &Self) -> bool {
        let has_found = self.follows.as_ref() == Some(&other.id);
        self.id != other.id && (has_found || self.repetition == other.repetition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(attempt: &Attempt) -> Answer {
        Answer {
            workspace: WorkspaceId::from_bits(1),
            name: "name".into(),
            fingerprint: "body".into(),
            attempt: attempt.clone(),
            status: 200,
            body: String::new(),
            at: Timestamp::from_millis(0),
            expires_at: Timestamp::from_millis(1),
            subject: None,
        }
    }

    fn first(id: &str, found: Option<&Attempt>) -> Attempt {
        Attempt::first(id.into(), found.map(answer).as_ref())
    }

    fn again(id: &str, found: Option<&Attempt>) -> Attempt {
        Attempt::again(id.into(), found.map(answer).as_ref())
    }

    #[test]
    fn a_first_attempt_follows_every_other_and_the_repetitions_that_it_found() {
        let (one, repeated) = (first("one", None), again("repeated", None));
        assert!(first("other", None).may_follow(&one));
        assert!(first("other", Some(&repeated)).may_follow(&repeated));
        assert!(first("other", Some(&repeated)).may_follow(&first("third", Some(&repeated))));
        assert!(!first("other", None).may_follow(&repeated), "it may be its own");
        assert!(!first("other", Some(&one)).may_follow(&again("late", Some(&one))), "it may be its own");
    }

    #[test]
    fn a_repetition_stays_known_behind_the_first_attempt_that_follows_it() {
        let repeated = again("repeated", None);
        let next = first("next", Some(&repeated));
        assert!(next.may_follow(&repeated));
        assert!(!first("slow", None).may_follow(&next));
    }

    #[test]
    fn a_repetition_follows_only_what_it_found() {
        let one = first("one", None);
        assert!(again("late", Some(&one)).may_follow(&one));
        assert!(!again("late", None).may_follow(&one));
        assert!(!again("late", Some(&one)).may_follow(&first("other", Some(&one))));
        assert!(!again("late", None).may_follow(&again("later", None)));
    }

    #[test]
    fn an_attempt_does_not_follow_itself() {
        for attempt in [first("one", None), again("late", None)] {
            assert!(!attempt.may_follow(&attempt));
        }
    }
}
