//! What a judge may know of a session. It is read from the log, because only there a user's words are told from
//! everything else that stands in the conversation.

use serde::Deserialize;
use serde_json::{Map, Value};
use session::{Cost, State};
use store::{Page, Read, SessionLog, Shown};
use wire::content::Content;
use wire::event::{Auto, Evaluation, Event, Permission, ReasonCode, Verdict};
use wire::{EventId, SessionId};

use crate::live::{Live, Sessions};

const MESSAGE: &str = "user.message";
const CALL: &str = "agent.tool_use";
const CUSTOM_CALL: &str = "agent.custom_tool_use";
const CONFIRMATION: &str = "user.tool_confirmation";
const RESULT: &str = "agent.tool_result";
const CUSTOM_RESULT: &str = "user.custom_tool_result";
const WORKER_RESULT: &str = "user.tool_result";

/// What tells of calls.
const OF_CALLS: [&str; 6] = [CALL, CUSTOM_CALL, CONFIRMATION, RESULT, CUSTOM_RESULT, WORKER_RESULT];

/// The most messages of the user that are read beside the first, the newest.
const MESSAGES: usize = 60;

/// The most events that tell of calls, the newest. A call has at most three, itself the first: what is told of a call
/// among them is told completely.
const EVENTS: usize = 120;

/// The most confirmations from before those events among which denials are looked for, the newest; and the most denials
/// whose calls are looked for. A denial that is not found is forgotten: the user is asked again.
const CONFIRMATIONS: usize = 500;
const DENIALS: usize = 20;

/// Calls right before a denial among which its own is looked for. They are of one answer, and few.
const NEAR: usize = 20;

#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// What the user said, oldest first, beginning with the first of all: nothing else says what the user wants.
    pub(crate) intent: Vec<String>,
    /// The agent's calls, oldest first: the newest, and before them those that the user has denied.
    pub(crate) calls: Vec<Earlier>,
    /// What is left of the budget; `None` if there is none.
    pub(crate) left: Option<Cost>,
}

/// A call of an earlier answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Earlier {
    pub(crate) tool: String,
    pub(crate) input: Map<String, Value>,
    pub(crate) outcome: Outcome,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nobody knows yet.
    Open,
    Succeeded,
    Failed,
    /// It waited for the user's word, which did not come.
    NotRun,
    DeniedByPolicy,
    DeniedByJudge,
    /// No judge could be asked.
    DeniedUnjudged,
    DeniedByUser(Denial),
}

/// The user's word on a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    /// Empty if the user gave no reason.
    pub(crate) said: String,
    /// The user's messages since: they may have changed it.
    pub(crate) messages_since: usize,
}

impl Outcome {
    /// As far as the call itself tells.
    fn of(permission: Permission, evaluation: Option<Evaluation>) -> Self {
        match (permission, evaluation) {
            (Permission::Allow, _) => Self::Open,
            (Permission::Ask, _) => Self::NotRun,
            (Permission::Deny, Some(Evaluation::Auto { evaluated_permission })) => match evaluated_permission {
                Auto::Deny { reason_code: ReasonCode::HighRisk } => Self::DeniedByJudge,
                Auto::Deny { .. } | Auto::Allow | Auto::Ask { .. } => Self::DeniedUnjudged,
            },
            (Permission::Deny, _) => Self::DeniedByPolicy,
        }
    }

    /// There is a result. A call that was denied has one too, which says no more than that.
    fn end(&mut self, is_error: bool) {
        if *self == Self::Open {
            *self = if is_error { Self::Failed } else { Self::Succeeded };
        }
    }

    pub(super) fn denial(&self) -> Option<&Denial> {
        match self {
            Self::DeniedByUser(denial) => Some(denial),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::NotRun => "not_run",
            Self::DeniedByPolicy => "denied_by_policy",
            Self::DeniedByJudge => "denied_by_judge",
            Self::DeniedUnjudged => "denied_unjudged",
            Self::DeniedByUser(_) => "denied_by_user",
        }
    }
}

impl Seen {
    /// As the log is when the model is asked: no call of its answer can be in it.
    pub(crate) async fn of(sessions: &Sessions, live: &Live) -> store::Result<Self> {
        let left = sessions.state(live, left).await;
        Self::read(&*sessions.store, live.id, left).await
    }

    async fn read(log: &dyn SessionLog, session: SessionId, left: Option<Cost>) -> store::Result<Self> {
        let said = said(log, session).await?;
        let events = newest(log, session, &OF_CALLS, EVENTS, None).await?;
        let mut trail = Trail::default();
        events.iter().rev().for_each(|event| trail.push(event, &said));
        let mut denials: Vec<_> = trail.denials.into_iter().rev().collect();
        if events.len() == EVENTS
            && let Some(oldest) = events.last()
        {
            let before = newest(log, session, &[CONFIRMATION], CONFIRMATIONS, Some(oldest.shown)).await?;
            denials.extend(before.iter().filter_map(|event| Denied::of(event, &said)));
        }
        denials.truncate(DENIALS);
        let mut calls = Vec::new();
        for denied in denials.into_iter().rev() {
            calls.extend(denied.call(log, session).await?);
        }
        calls.extend(trail.calls.into_iter().map(|(_, call)| call));
        Ok(Self { intent: said.into_iter().map(|said| said.text).collect(), calls, left })
    }

    /// Whether the user has denied just this call.
    pub(super) fn denies(&self, tool: &str, input: &Map<String, Value>) -> bool {
        let is_same = |call: &Earlier| call.tool == tool && call.input == *input;
        self.calls.iter().any(|call| call.outcome.denial().is_some() && is_same(call))
    }
}

/// What a model without a price has cost is not known, and may be all there was.
fn left(state: &State) -> Option<Cost> {
    let budget = state.budget?;
    let spent = if state.totals.unpriced { budget } else { state.totals.cost };
    Some(Cost(budget.0.saturating_sub(spent.0)))
}

/// A message of the user.
struct Said {
    /// Where it arrived.
    position: u64,
    text: String,
}

impl Said {
    fn of(page: &Page) -> Option<Self> {
        let Ok(Event::UserMessage { content }) = serde_json::from_str(&page.body) else { return None };
        let text = texts(&content);
        (!text.trim().is_empty()).then_some(Self { position: page.arrived, text })
    }
}

/// The user's messages that have any text, oldest first: the newest, and the first of all, which says what the work is.
async fn said(log: &dyn SessionLog, session: SessionId) -> store::Result<Vec<Said>> {
    let mut pages = newest(log, session, &[MESSAGE], MESSAGES, None).await?;
    if pages.len() == MESSAGES {
        let first = Read { kinds: vec![MESSAGE.to_owned()], limit: 1, ..Read::default() };
        let first = log.list(session, first).await?;
        let is_known = |page: &Page| pages.iter().any(|known| known.id == page.id);
        let missing: Vec<_> = first.into_iter().filter(|page| !is_known(page)).collect();
        pages.extend(missing);
    }
    Ok(pages.iter().rev().filter_map(Said::of).collect())
}

/// The newest before that one, the newest first.
async fn newest(
    log: &dyn SessionLog,
    session: SessionId,
    kinds: &[&str],
    limit: usize,
    before: Option<Shown>,
) -> store::Result<Vec<Page>> {
    let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    log.list(session, Read { kinds, descending: true, after: before, limit, ..Read::default() }).await
}

/// Calls, as one event after the other tells of them.
#[derive(Default)]
struct Trail {
    calls: Vec<(EventId, Earlier)>,
    /// Of calls from before.
    denials: Vec<Denied>,
}

/// All that is read of a result: what a tool returned must not reach a judge by any way.
#[derive(Deserialize)]
struct Ended {
    #[serde(alias = "custom_tool_use_id")]
    tool_use_id: EventId,
    is_error: bool,
}

impl Trail {
    fn push(&mut self, page: &Page, said: &[Said]) {
        match page.kind.as_str() {
            CALL | CUSTOM_CALL => self.calls.extend(called(page).map(|call| (page.id, call))),
            CONFIRMATION => self.confirmed(page, said),
            _ => {
                let Ok(Ended { tool_use_id, is_error }) = serde_json::from_str(&page.body) else { return };
                if let Some(call) = self.find(tool_use_id) {
                    call.outcome.end(is_error);
                }
            }
        }
    }

    fn confirmed(&mut self, page: &Page, said: &[Said]) {
        let Ok(Event::UserToolConfirmation { tool_use_id, .. }) = serde_json::from_str(&page.body) else { return };
        let denied = Denied::of(page, said);
        match self.find(tool_use_id) {
            Some(call) => {
                call.outcome = denied.map_or(Outcome::Open, |denied| Outcome::DeniedByUser(denied.denial));
            }
            None => self.denials.extend(denied),
        }
    }

    fn find(&mut self, id: EventId) -> Option<&mut Earlier> {
        self.calls.iter_mut().rev().find(|(call, _)| *call == id).map(|(_, call)| call)
    }
}

fn called(page: &Page) -> Option<Earlier> {
    match serde_json::from_str(&page.body) {
        Ok(Event::AgentToolUse { name, input, evaluated_permission, evaluation }) => {
            Some(Earlier { tool: name, input, outcome: Outcome::of(evaluated_permission, evaluation) })
        }
        Ok(Event::AgentCustomToolUse { name, input }) => Some(Earlier { tool: name, input, outcome: Outcome::Open }),
        _ => None,
    }
}

/// A denial, and the id of the call that it is of.
struct Denied {
    call: EventId,
    at: Shown,
    denial: Denial,
}

impl Denied {
    /// `None` if the user has allowed the call.
    fn of(page: &Page, said: &[Said]) -> Option<Self> {
        match serde_json::from_str(&page.body) {
            Ok(Event::UserToolConfirmation { tool_use_id, result: Verdict::Deny, deny_message }) => {
                let messages_since = said.iter().filter(|said| said.position > page.arrived).count();
                let denial = Denial { said: deny_message.unwrap_or_default(), messages_since };
                Some(Self { call: tool_use_id, at: page.shown, denial })
            }
            _ => None,
        }
    }

    async fn call(self, log: &dyn SessionLog, session: SessionId) -> store::Result<Option<Earlier>> {
        let near = newest(log, session, &[CALL], NEAR, Some(self.at)).await?;
        let call = near.iter().find(|page| page.id == self.call).and_then(called);
        Ok(call.map(|call| Earlier { outcome: Outcome::DeniedByUser(self.denial), ..call }))
    }
}

fn texts(content: &[Content]) -> String {
    let texts: Vec<_> = content
        .iter()
        .filter_map(|content| match content {
            Content::Text { text } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    texts.join("\n")
}

#[cfg(test)]
mod tests;
