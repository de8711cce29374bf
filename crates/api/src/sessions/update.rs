//! `POST /v1/sessions/{id}`

use axum::extract::{Path, State};
use brain::{SessionRecord, Write, WriteError};
use store::{Change, Error, Kind, Lease};
use wire::agent::Snapshot;
use wire::read::Patch;
use wire::session::Update;
use wire::{Invalid, Problem};

use super::{after, budget, compose, open, refused, unwritten};
use crate::app::App;
use crate::body::Body;
use crate::documents::{self, find, parse};
use crate::idempotency::Once;
use crate::reply::{Outcome, Refused, Text, json};

pub(crate) async fn update(
    State(app): State<App>,
    Path(id): Path<String>,
    once: Once,
    Body(update): Body<Update>,
) -> Outcome {
    let live = open(&app, &id).await?;
    let budget = match &update.budget {
        Patch::Absent => None,
        Patch::Null => Some(None),
        Patch::Value(budget) => Some(Some(budget::cost(budget)?)),
    };
    loop {
        let document = find(&app, Kind::Session, &id).await?.document;
        if document.archived_at.is_some() {
            return Err(Problem::invalid(format!("The session {id} is archived")).into());
        }
        let before: SessionRecord = parse(&document)?;
        let record = over(&update, &before)?;
        let change = session::Change {
            title: (record.title != before.title).then(|| record.title.clone()),
            metadata: (record.metadata != before.metadata).then(|| record.metadata.clone()),
            agent: (record.agent != before.agent).then(|| Box::new(record.agent.clone())),
            budget,
            is_unpriced: budget::is_unpriced(&app, &record.agent.definition),
        };
        // The budget is the log's alone.
        let next =
            if record == before { None } else { Some(documents::next(&document, json(&record)?, app.now(), None)) };
        let decide = |state: &session::State, stamp: &mut dyn session::Stamp| {
            let rows = session::update(state, change.clone(), stamp).map_err(refused)?;
            let (now, summary) = (stamp.now(), after(state, &rows).summary());
            let session = compose(live.id, record.clone(), &summary, document.created_at, None, now);
            let body = json(&session)?;
            let remember = once.remember_of(live.id, now, &body);
            let changes = next.clone().map(Change::Update).into_iter().chain([remember]).collect();
            Ok::<_, Refused>(Write { rows, lease: Lease::None, changes, value: body })
        };
        match app.brain.sessions().write(&live, decide).await {
            Ok((body, _)) => return Ok(Text(body)),
            Err(WriteError::Store(Error::Stale { .. })) => {}
            Err(error) => return Err(unwritten(error, &id)),
        }
    }
}

/// What the session's document holds after the update. Equal to what came in if nothing in it changes.
fn over(update: &Update, before: &SessionRecord) -> Result<SessionRecord, Invalid> {
    let agent = match update.agent.clone() {
        None => before.agent.clone(),
        Some(agent) => Snapshot { definition: agent.over(&before.agent.definition), ..before.agent.clone() },
    };
    Ok(SessionRecord {
        title: update.title.clone().over(before.title.clone()),
        metadata: update.metadata.clone().over(before.metadata.clone(), "metadata")?,
        agent,
        ..before.clone()
    })
}
