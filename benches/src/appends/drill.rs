//! What the sessions append: the rows of a typical step, again and again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use session::{Stored, Summary, Visibility};
use store::{AnyStore, Append, Clock, Lease, Node, Rng, SystemClock, SystemRng};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::session::Status;
use wire::{EventId, SessionId, ThreadId, Timestamp, WorkspaceId};

use super::SESSIONS;

/// Rows of one append.
pub(super) const ROWS: usize = KINDS.len();

/// What a step with a tool call in it leaves.
pub(super) const KINDS: [&str; 3] = ["agent.message", "agent.tool_use", "span.model_request_end"];

const WORKSPACE: WorkspaceId = WorkspaceId::from_bits(1);

/// Longer than any bench takes.
const LONG: Duration = Duration::from_secs(3_600);

/// A session that a node has the lease of.
pub(super) struct Held {
    pub(super) session: SessionId,
    pub(super) head: u64,
    epoch: u64,
}

/// The body of each row: about 300 bytes.
pub(super) fn body() -> String {
    let text = "I have read the file and see where the order of its fields is decided. ".repeat(3);
    format!(r#"{{"type":"agent.message","content":[{{"type":"text","text":"{text}"}}],"of":"step"}}"#)
}

/// What the header holds beside the position of the last row.
pub(super) fn summary(at: Timestamp) -> Summary {
    Summary { status: Status::Running, running_since: Some(at), updated_at: at, ..Summary::default() }
}

/// Makes the sessions, and a node that has the leases of all of them.
pub(super) async fn prepare(store: &AnyStore) -> Result<Vec<Held>> {
    let now = SystemClock.now();
    let owner = format!("{:032x}", SystemRng.bits());
    let (directory, machine, path) = ("bench".to_owned(), "bench".to_owned(), "bench".to_owned());
    store.join(Node { id: owner.clone(), directory, machine, path, address: None }, LONG).await?;
    let mut all = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let session = SessionId::from_bits(SystemRng.bits());
        let created = Append {
            session,
            expected_head: 0,
            lease: Lease::None,
            rows: [row(1, "session.created", &Arc::from(body()), now)].into(),
            summary: summary(now),
            runnable: true,
            changes: Vec::new(),
        };
        store.create_session(WORKSPACE, created.clone()).await?;
        let lease = Lease::Claim { owner: owner.clone() };
        let claimed = store.append(Append { expected_head: 1, lease, rows: Vec::new().into(), ..created }).await?;
        all.push(Held { session, head: claimed.head, epoch: claimed.epoch });
    }
    Ok(all)
}

/// Each session appends, one append after the other, all of them at once. Returns how many appends were durable before
/// the time was over.
pub(super) async fn appends(store: AnyStore, all: Vec<Held>, lasting: Duration) -> Result<u64> {
    let mut sessions = JoinSet::new();
    let end = Instant::now() + lasting;
    for held in all {
        sessions.spawn(append(store.clone(), held, end));
    }
    let mut appends = 0;
    while let Some(session) = sessions.join_next().await {
        appends += session.context("a session broke down")??;
    }
    Ok(appends)
}

async fn append(store: AnyStore, held: Held, end: Instant) -> Result<u64> {
    let Held { session, mut head, epoch } = held;
    let body: Arc<str> = body().into();
    let mut appends = 0;
    loop {
        let now = SystemClock.now();
        let rows = KINDS.iter().zip(head + 1..).map(|(kind, position)| row(position, kind, &body, now));
        let append = Append {
            session,
            expected_head: head,
            lease: Lease::Hold { epoch },
            rows: rows.collect(),
            summary: summary(now),
            runnable: true,
            changes: Vec::new(),
        };
        head = store.append(append).await?.head;
        // The one that the end has cut does not count.
        if Instant::now() > end {
            return Ok(appends);
        }
        appends += 1;
    }
}

fn row(position: u64, kind: &str, body: &Arc<str>, at: Timestamp) -> Stored {
    Stored {
        position,
        id: EventId::from_bits(SystemRng.bits()),
        thread: ThreadId::from_bits(1),
        at,
        kind: kind.to_owned(),
        visibility: Visibility::Shown,
        body: body.clone(),
        private: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_about_300_bytes_of_json() {
        let body = body();
        assert!((250..350).contains(&body.len()), "{} bytes", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
    }
}
