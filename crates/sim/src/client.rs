//! Clients: each talks to one session, through whichever node it finds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brain::{Brain, Write};
use session::{Change, Cost, Refusal, State};
use store::{Error, Lease};
use wire::content::Content;
use wire::event::{ClientEvent, Verdict};
use wire::session::Status;
use wire::{EventId, SessionId};

use crate::check::{self, Audit};
use crate::dice::Dice;
use crate::node::{Common, Node};
use crate::time::pass;

/// A client does not wait for ever for a node that is frozen or dead.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    pub(crate) session: SessionId,
    pub(crate) nodes: Arc<Vec<Node>>,
    pub(crate) common: Common,
    pub(crate) dice: Dice,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Through,
    /// Refused, lost, or nobody knows.
    Otherwise,
}

impl Client {
    /// Says and does this and that for a while.
    pub(crate) async fn live(&self, deeds: u64) {
        for _ in 0..deeds {
            pass(self.dice.between(10, 20_000)).await;
            let deed = self.dice.below(20);
            match deed {
                0..10 => self.send(vec![self.message()]).await,
                10..12 => self.send(vec![ClientEvent::Interrupt { thread: None }]).await,
                12 => self.send(vec![self.message(), self.message()]).await,
                13 => self.send(vec![self.message(), ClientEvent::SystemMessage { content: text("be brief") }]).await,
                14 => self.raise_budget(self.dice.between(1, 5_000_000_000)).await,
                15 => self.rename().await,
                _ => self.answer(self.dice.in_thousand(500)).await,
            };
        }
    }

    /// Answers whatever is asked and pays whatever it costs, until the session rests. Whether it does.
    pub(crate) async fn settle(&self) -> bool {
        // An hour: longer than any back-off, call or lease.
        for _ in 0..3_600 {
            pass(1_000).await;
            let Ok((state, _)) = check::read(&self.common.store, self.session).await else { continue };
            let is_asked = state.threads.values().any(|thread| !thread.asked().is_empty());
            match state.status {
                Status::Terminated => return true,
                Status::Idle if is_asked => {
                    self.answer(false).await;
                }
                Status::Idle
                    if state.is_over_budget() && state.threads.values().any(|thread| !thread.inputs.is_empty()) =>
                {
                    self.raise_budget(1_000_000_000_000).await;
                }
                Status::Idle => return true,
                Status::Running | Status::Rescheduling => {}
            }
        }
        false
    }

    fn message(&self) -> ClientEvent {
        ClientEvent::Message { content: text(&format!("message {:x}", self.dice.next())) }
    }

    fn brain(&self) -> Option<Brain> {
        let node = self.dice.below(self.nodes.len() as u64) as usize;
        self.nodes.get(node).and_then(Node::brain)
    }

    async fn send(&self, events: Vec<ClientEvent>) -> Came {
        self.write(|state, stamp| session::admit(state, events.clone(), stamp)).await
    }

    /// What waits for this client, and whether it is a custom tool's; `None` if nobody tells.
    async fn asked(&self) -> Option<BTreeMap<EventId, bool>> {
        let brain = self.brain()?;
        let ask = async {
            let live = brain.sessions().open(self.session).await.ok()?;
            brain.sessions().fresh(&live).await.ok()?;
            let asked = |state: &State| {
                let calls = state.threads.values().flat_map(|thread| &thread.calls);
                let asked = calls.filter(|call| call.state == session::CallState::Asked);
                asked.map(|call| (call.id, call.custom)).collect()
            };
            Some(brain.sessions().state(&live, asked).await)
        };
        tokio::time::timeout(PATIENCE, ask).await.ok().flatten()
    }

    /// Answers one of what is asked, or all of it.
    async fn answer(&self, only_one: bool) -> Came {
        let Some(asked) = self.asked().await else { return Came::Otherwise };
        let answers = asked.into_iter().take(if only_one { 1 } else { usize::MAX }).map(|(id, custom)| {
            if custom {
                let content = text("an answer");
                ClientEvent::CustomToolResult { custom_tool_use_id: id.to_string(), content, is_error: false }
            } else {
                let verdict = if self.dice.in_thousand(700) { Verdict::Allow } else { Verdict::Deny };
                ClientEvent::Confirmation { tool_use_id: id.to_string(), verdict, deny_message: None }
            }
        });
        let answers: Vec<_> = answers.collect();
        if answers.is_empty() { Came::Otherwise } else { self.send(answers).await }
    }

    async fn raise_budget(&self, by: u64) -> Came {
        let change = |state: &State| Change {
            title: None,
            metadata: None,
            agent: None,
            budget: state.budget.map(|_| Some(Cost(state.totals.cost.0.saturating_add(by)))),
            is_unpriced: false,
        };
        self.write(|state, stamp| session::update(state, change(state), stamp)).await
    }

    async fn rename(&self) -> Came {
        let title = Some(Some(format!("{:x}", self.dice.next())));
        let change = || Change { title: title.clone(), metadata: None, agent: None, budget: None, is_unpriced: false };
        self.write(|state, stamp| session::update(state, change(), stamp)).await
    }

    async fn write(
        &self,
        mut decide: impl FnMut(&State, &mut dyn session::Stamp) -> Result<Vec<session::Row>, Refusal>,
    ) -> Came {
        let Some(brain) = self.brain() else { return Came::Otherwise };
        let written = async {
            let live = brain.sessions().open(self.session).await?;
            let decide = |state: &State, stamp: &mut dyn session::Stamp| {
                let rows = decide(state, stamp)?;
                let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
                Ok::<_, Refusal>(Write { rows, lease: Lease::None, changes: Vec::new(), value: ids })
            };
            brain.sessions().write(&live, decide).await.map_err(|error| match error {
                brain::WriteError::Store(error) => error,
                brain::WriteError::Refused(refusal) => Error::Failed(refusal.message),
            })
        };
        match tokio::time::timeout(PATIENCE, written).await {
            Ok(Ok((ids, _))) => {
                let audit: &Audit = &self.common.audit;
                audit.acknowledged(self.session, ids);
                Came::Through
            }
            _ => Came::Otherwise,
        }
    }
}

fn text(text: &str) -> Vec<Content> {
    vec![Content::text(text)]
}
