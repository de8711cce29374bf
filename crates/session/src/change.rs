//! The API's own changes to a session: its creation, its update, its archiving.

use wire::ThreadId;
use wire::event::Event;
use wire::read::Metadata;
use wire::session::Status;

use crate::admit::{Refusal, admit_all};
use crate::row::{Entry, Note, Row};
use crate::state::State;
use crate::writer::{Stamp, Writer};
use wire::event::ClientEvent;

/// The rows of a new session, with the events that its creator sends along.
pub fn create(
    agent_name: &str,
    thread: ThreadId,
    events: Vec<ClientEvent>,
    stamp: &mut dyn Stamp,
) -> Result<(State, Vec<Row>), Refusal> {
    let entry = Entry::Note(Note::Created { agent_name: agent_name.to_owned() });
    let first = Row { position: 1, id: stamp.event_id(), thread, at: stamp.now(), entry };
    let Some(state) = State::begin(&first) else {
        return Err(Refusal::invalid("", "a session begins with its creation"));
    };
    let mut writer = Writer::new(&state, stamp);
    admit_all(&mut writer, events, "initial_events")?;
    let state = writer.state.clone();
    let mut rows = vec![first];
    rows.extend(writer.rows());
    Ok((state, rows))
}

/// The row that tells of an update: only what changed, and no row if nothing did.
pub fn update(
    state: &State,
    title: Option<Option<String>>,
    metadata: Option<Metadata>,
    stamp: &mut dyn Stamp,
) -> Vec<Row> {
    if title.is_none() && metadata.is_none() {
        return Vec::new();
    }
    let mut writer = Writer::new(state, stamp);
    // Metadata that was cleared to nothing is left out of the event.
    let metadata = metadata.filter(|metadata| !metadata.is_empty());
    writer.event(state.primary, Event::SessionUpdated { title, metadata, agent: None });
    writer.rows()
}

/// The rows that end a session for good. Not while it works.
pub fn archive(state: &State, stamp: &mut dyn Stamp) -> Result<Vec<Row>, Refusal> {
    match state.status {
        Status::Terminated => return Ok(Vec::new()),
        Status::Running | Status::Rescheduling => {
            return Err(Refusal::invalid("", "The session is running. Send user.interrupt and wait until it is idle"));
        }
        Status::Idle => {}
    }
    let mut writer = Writer::new(state, stamp);
    let threads: Vec<_> = state.threads.iter().map(|(id, thread)| (*id, thread.agent_name.clone())).collect();
    for (thread, agent_name) in threads {
        writer.event(thread, Event::ThreadStatusTerminated { session_thread_id: thread, agent_name });
    }
    writer.event(state.primary, Event::SessionStatusTerminated {});
    Ok(writer.rows())
}
