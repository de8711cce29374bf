//! A session's log, folded: the state, and the conversation once a model is to see it.

use std::sync::Arc;

use context::Transcript;
use model::Message;
use session::{Row, State, Stored, Thread, Visibility};
use store::{Error, Snapshot};
use tokio::sync::MutexGuard;
use wire::{Event, SessionId};

use super::{Live, Sessions};

/// Rows read at a time while folding a log.
const BATCH: usize = 2_000;

/// Rows after which a snapshot is taken anew.
const SNAPSHOT: u64 = 500;

pub(super) struct Folded {
    pub(super) state: State,
    /// The conversation up to the state's head; made when it is first asked for.
    transcript: Option<Transcript>,
    /// The position of the last snapshot.
    snapshot_at: u64,
}

impl Folded {
    /// Of a session whose rows so far are no part of the conversation.
    pub(super) fn new(state: State) -> Self {
        Self { state, transcript: Some(Transcript::default()), snapshot_at: 0 }
    }

    /// Adds rows that the state holds already to the conversation.
    pub(super) fn view(&mut self, rows: &[Row]) {
        if let Some(transcript) = &mut self.transcript {
            rows.iter().for_each(|row| transcript.push(row));
        }
    }

    pub(super) fn snapshot_due(&mut self) -> Option<Snapshot> {
        let position = self.state.head;
        if position < self.snapshot_at + SNAPSHOT {
            return None;
        }
        self.snapshot_at = position;
        let body = serde_json::to_string(&self.state).ok()?;
        Some(Snapshot { position, format: State::FORMAT, body })
    }
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Failed(error.to_string())
}

impl Sessions {
    /// Folds the log from its snapshot on, or from its beginning.
    pub(super) async fn wake(&self, id: SessionId) -> store::Result<Folded> {
        let snapshot = self.store.snapshot(id).await?;
        let mut folded = match snapshot.and_then(|snapshot| restore(id, &snapshot)) {
            Some(folded) => folded,
            None => {
                let first = self.store.rows(id, 0, 1).await?.into_iter().next().ok_or(Error::NotFound)?;
                let first = Row::load(&first, |_| None).map_err(unreadable)?;
                let state = State::begin(&first)
                    .ok_or_else(|| Error::Failed(format!("the log of {id} does not begin with its creation")))?;
                Folded::new(state)
            }
        };
        loop {
            let rows = self.store.rows(id, folded.state.head, BATCH).await?;
            if rows.is_empty() {
                return Ok(folded);
            }
            let rows = fold(&mut folded.state, &rows)?;
            folded.view(&rows);
        }
    }

    /// Folds what others have appended, and publishes it here.
    pub(super) async fn catch_up(&self, live: &Live, folded: &mut Folded) -> store::Result<()> {
        loop {
            let stored = self.store.rows(live.id, folded.state.head, BATCH).await?;
            if stored.is_empty() {
                return Ok(());
            }
            let rows = fold(&mut folded.state, &stored)?;
            self.taken_in(live, folded, &rows, &stored);
        }
    }

    /// What the model sees of the session.
    pub async fn conversation(&self, live: &Live) -> store::Result<Vec<Arc<Message>>> {
        let folded = self.viewed(live).await?;
        Ok(folded.transcript.as_ref().map(Transcript::messages).unwrap_or_default())
    }

    /// The part of it that a summary is to take the place of.
    pub(crate) async fn summed_up(&self, live: &Live) -> store::Result<Vec<Arc<Message>>> {
        let folded = self.viewed(live).await?;
        let keeps = folded.state.threads.get(&folded.state.primary).is_some_and(Thread::keeps);
        let part = if keeps { Transcript::answered } else { Transcript::messages };
        Ok(folded.transcript.as_ref().map(part).unwrap_or_default())
    }

    async fn viewed<'a>(&self, live: &'a Live) -> store::Result<MutexGuard<'a, Folded>> {
        let mut folded = live.folded.lock().await;
        if folded.transcript.is_none() {
            let from = folded.state.threads.get(&folded.state.primary).map_or(0, |thread| thread.view_from);
            folded.transcript = Some(self.read_view(live.id, from, folded.state.head).await?);
        }
        Ok(folded)
    }

    /// The conversation from the row at `from`, where its view begins, to `head`.
    async fn read_view(&self, id: SessionId, from: u64, head: u64) -> store::Result<Transcript> {
        let mut transcript = Transcript::default();
        // Inputs by the position at which they came.
        let mut inputs = std::collections::HashMap::new();
        let mut position = from.saturating_sub(1);
        while position < head {
            let stored = self.store.rows(id, position, BATCH).await?;
            let Some(last) = stored.last() else { break };
            position = last.position;
            for stored in stored.iter().take_while(|stored| stored.position <= head) {
                match stored.visibility {
                    Visibility::Waiting => {
                        let event: Event = serde_json::from_str(&stored.body).map_err(unreadable)?;
                        inputs.insert(stored.position, Arc::new(event));
                    }
                    Visibility::Processes(of) if !inputs.contains_key(&of) => {
                        inputs.insert(of, self.input(id, of).await?);
                    }
                    _ => {}
                }
                let row = Row::load(stored, |of| inputs.remove(&of)).map_err(unreadable)?;
                transcript.push(&row);
            }
        }
        Ok(transcript)
    }

    /// The event of the input that came before the view began.
    async fn input(&self, id: SessionId, position: u64) -> store::Result<Arc<Event>> {
        let rows = self.store.rows(id, position.saturating_sub(1), 1).await?;
        let row: &Stored = rows.first().ok_or(Error::NotFound)?;
        serde_json::from_str(&row.body).map(Arc::new).map_err(unreadable)
    }
}

/// `None` for a snapshot that this version cannot read: the log has it all.
fn restore(id: SessionId, snapshot: &Snapshot) -> Option<Folded> {
    if snapshot.format != State::FORMAT {
        return None;
    }
    match serde_json::from_str::<State>(&snapshot.body) {
        Ok(state) if state.head == snapshot.position => {
            Some(Folded { state, transcript: None, snapshot_at: snapshot.position })
        }
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(session = %id, %error, "a snapshot cannot be read; the log is folded from its beginning");
            None
        }
    }
}

fn fold(state: &mut State, stored: &[Stored]) -> store::Result<Vec<Row>> {
    let mut rows = Vec::with_capacity(stored.len());
    for stored in stored {
        let row = Row::load(stored, |position| state.waiting(position)).map_err(unreadable)?;
        state.fold(&row);
        rows.push(row);
    }
    Ok(rows)
}
