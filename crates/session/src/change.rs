//! The API's own changes to a session: its creation, its update, its archiving.

use wire::agent::Snapshot;
use wire::event::{ClientEvent, Event};
use wire::read::Metadata;
use wire::session::Status;
use wire::{ThreadId, WorkId};

use crate::admit::{Refusal, admit_all};
use crate::row::{Entry, Note, Row};
use crate::state::{Phase, State};
use crate::totals::Cost;
use crate::writer::{Stamp, Writer};

/// The rows of a new session, with the events that its creator sends along.
pub fn create(
    agent_name: &str,
    thread: ThreadId,
    budget: Option<Cost>,
    events: Vec<ClientEvent>,
    stamp: &mut dyn Stamp,
) -> Result<(State, Vec<Row>), Refusal> {
    let created = Note::Created { agent_name: agent_name.to_owned(), budget, is_self_hosted: false };
    begin(created, thread, None, events, stamp)
}

/// The same of a session whose built-in calls are run by workers. The work item brings it the first one.
pub fn create_self_hosted(
    agent_name: &str,
    thread: ThreadId,
    budget: Option<Cost>,
    work: WorkId,
    events: Vec<ClientEvent>,
    stamp: &mut dyn Stamp,
) -> Result<(State, Vec<Row>), Refusal> {
    let created = Note::Created { agent_name: agent_name.to_owned(), budget, is_self_hosted: true };
    begin(created, thread, Some(work), events, stamp)
}

fn begin(
    created: Note,
    thread: ThreadId,
    work: Option<WorkId>,
    events: Vec<ClientEvent>,
    stamp: &mut dyn Stamp,
) -> Result<(State, Vec<Row>), Refusal> {
    let first = Row { position: 1, id: stamp.event_id(), thread, at: stamp.now(), entry: Entry::Note(created) };
    let Some(state) = State::begin(&first) else {
        return Err(Refusal::invalid("", "a session begins with its creation"));
    };
    let mut writer = Writer::new(&state, stamp);
    admit_all(&mut writer, events, "initial_events")?;
    if let Some(work) = work {
        writer.note(thread, Note::WorkQueued { work });
    }
    let state = writer.state.clone();
    let mut rows = vec![first];
    rows.extend(writer.rows());
    Ok((state, rows))
}

/// What an update changes. What is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub title: Option<Option<String>>,
    pub metadata: Option<Metadata>,
    /// The agent as it is from the next turn on.
    pub agent: Option<Box<Snapshot>>,
    /// `Some(None)` removes the budget, for good.
    pub budget: Option<Option<Cost>>,
    /// Whether a model that the session would ask has no list price, its judge included: then a budget can only be
    /// removed.
    pub is_unpriced: bool,
}

/// The rows that tell of an update: only what changed, and none if nothing did. Work that the budget held back goes on
/// when it is raised far enough or removed.
pub fn update(state: &State, change: Change, stamp: &mut dyn Stamp) -> Result<Vec<Row>, Refusal> {
    if state.status == Status::Terminated {
        return Err(Refusal::ended("The session is archived and cannot be changed"));
    }
    let Change { title, metadata, agent, budget, is_unpriced } = change;
    // The present one is no change, unless the session is stopped by it: then it is asked to be enough, and is not.
    let budget = budget.filter(|budget| *budget != state.budget || state.is_at_cap());
    if let Some(Some(budget)) = budget {
        check_budget(state, budget, is_unpriced)?;
    }
    if agent.is_some() && state.status != Status::Idle {
        let message = "The agent changes only while the session is idle. Send user.interrupt and wait until it is";
        return Err(Refusal::invalid("agent", message));
    }
    if title.is_none() && metadata.is_none() && agent.is_none() && budget.is_none() {
        return Ok(Vec::new());
    }
    let mut writer = Writer::new(state, stamp);
    // Metadata that was cleared to nothing is left out of the event.
    let metadata = metadata.filter(|metadata| !metadata.is_empty());
    let told = budget.map(|budget| budget.map(Cost::budget));
    writer.event(state.primary, Event::SessionUpdated { title, metadata, agent, budget: told });
    if budget.is_some() {
        resume(&mut writer, state.primary);
    }
    Ok(writer.rows())
}

fn check_budget(state: &State, budget: Cost, is_unpriced: bool) -> Result<(), Refusal> {
    if state.budget.is_none() {
        let message = "A budget can be set only when the session is created; one that was removed does not come back";
        return Err(Refusal::coded("budget_create_only", "budget", message));
    }
    if state.totals.unpriced || is_unpriced {
        let message = "The session uses a model without a list price: its budget can only be removed";
        return Err(Refusal::coded("model_not_budgetable", "budget", message));
    }
    if budget <= state.totals.cost {
        let message = "budget.max_list_cost must be greater than the session's consumed list cost";
        return Err(Refusal::coded("budget_not_raised", "", message));
    }
    Ok(())
}

/// Goes on with what the old budget held back, if the new one does not: a turn that it stopped, or messages that came
/// before the turn that used it up had ended.
fn resume(writer: &mut Writer<'_>, thread: ThreadId) {
    if writer.state.status != Status::Idle || writer.state.is_over_budget() {
        return;
    }
    match writer.state.threads.get(&thread).map(|thread| &thread.phase) {
        Some(Phase::Paused) => writer.running(thread),
        Some(Phase::Resting) => writer.start_queued(thread),
        _ => {}
    }
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
