//! Requests to the model: for the next answer, and for a summary.

use std::sync::Arc;

use context::{Surroundings, compaction, system};
use futures::FutureExt;
use model::{Effort, Request};
use serde_json::{Map, Value};
use session::Input;
use store::Read;
use tools::Offer;
use wire::content::Content;
use wire::event::{Event, FailureKind};
use wire::session::Resource;
use wire::{SessionId, ThreadId};

use super::{Ended, Run};
use crate::asking::Asking;
use crate::judge::Seen;
use crate::live::Sessions;
use crate::routes::Route;

/// The most messages of a user, and the most calls, that a judge is shown.
const SHOWN: usize = 60;

/// A character of the conversation is about a third of a token.
const CHARS_PER_TOKEN: u64 = 3;

/// Tokens that a request for a summary may have where nobody knows the model's window.
const UNKNOWN_ROOM: u64 = 30_000;

impl Run {
    pub(super) async fn ask(&mut self, thread: ThreadId) -> store::Result<()> {
        self.flight.asking = true;
        let record = self.live.record();
        let agent = &record.agent.definition;
        let Some(route) = self.route() else { return Ok(()) };
        let offer = Offer::of(&agent.tools);
        let surroundings = Surroundings { has_sandbox: offer.needs_sandbox(), uploads: self.uploads() };
        let sessions = &self.brain.sessions;
        let seen = if offer.is_judged() { seen(sessions, self.live.id).await? } else { Seen::default() };
        let request = Request {
            model: route.model.clone().unwrap_or_else(|| agent.model.id.clone()),
            system: system(agent.system.as_deref(), &surroundings),
            messages: sessions.conversation(&self.live).await?,
            tools: offer.tools(),
            max_tokens: route.max_tokens,
            effort: route.takes_effort.then(|| effort(agent.model.effort)),
        };
        let attempts = self.attempts(thread).await;
        let asking = self.asking(thread, route, offer, seen);
        self.under_way.push(async move { Ended::Asked(asking.ask(request, attempts).await) }.boxed());
        Ok(())
    }

    /// Has the conversation summed up, so that it fits the model's window again.
    pub(super) async fn compact(&mut self, thread: ThreadId) -> store::Result<()> {
        self.flight.asking = true;
        let Some(route) = self.route() else { return Ok(()) };
        let record = self.live.record();
        let messages = self.brain.sessions.conversation(&self.live).await?;
        let room = route.policy.window.map(|window| window.saturating_sub(route.max_tokens.into()));
        let room = room.unwrap_or(UNKNOWN_ROOM).saturating_mul(CHARS_PER_TOKEN);
        let request = Request {
            model: route.model.clone().unwrap_or_else(|| record.agent.definition.model.id.clone()),
            system: compaction::SYSTEM.to_owned(),
            messages: compaction::request_view(&messages, usize::try_from(room).ok()),
            tools: Vec::new(),
            max_tokens: route.max_tokens,
            effort: None,
        };
        let attempts = self.attempts(thread).await;
        let asking = self.asking(thread, route, Offer::of(&[]), Seen::default());
        self.under_way.push(async move { Ended::Asked(asking.compact(request, attempts).await) }.boxed());
        Ok(())
    }

    /// The agent's route; without one, the request has failed already.
    fn route(&mut self) -> Option<Arc<Route>> {
        let model = self.live.record().agent.definition.model.id.clone();
        let route = self.brain.routes.find(&model).cloned();
        if route.is_none() {
            let message = format!("No route is configured for the model {model} any more");
            let kind = FailureKind::ModelRequestFailedError;
            let failed = session::Failed { kind, message, retry_at: None, too_long: false };
            self.under_way.push(std::future::ready(Ended::Asked(Input::Failed(failed))).boxed());
        }
        route
    }

    fn asking(&self, thread: ThreadId, route: Arc<Route>, offer: Offer, seen: Seen) -> Asking {
        let brain = self.brain.clone();
        Asking { brain, live: self.live.clone(), thread, route, offer, seen }
    }

    async fn attempts(&mut self, thread: ThreadId) -> u32 {
        let attempts = |state: &session::State| state.threads.get(&thread).map_or(0, |thread| thread.attempts);
        self.brain.sessions.state(&self.live, attempts).await
    }

    fn uploads(&self) -> Vec<String> {
        let path = |mount: &crate::Mount| {
            let Resource::File { mount_path, .. } = &mount.resource;
            mount_path.clone()
        };
        self.live.record().resources.iter().map(path).collect()
    }
}

/// What a judge may know of the session: what the user said, and which calls there were. Read from the log, because only
/// there a user's words are told from everything else that stands in the conversation.
async fn seen(sessions: &Sessions, session: SessionId) -> store::Result<Seen> {
    let read = |kinds: &[&str]| {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        sessions.store.list(session, Read { kinds, descending: true, limit: SHOWN, ..Read::default() })
    };
    let said = read(&["user.message"]).await?;
    let called = read(&["agent.tool_use", "agent.custom_tool_use"]).await?;
    let events = |pages: Vec<store::Page>| {
        pages.into_iter().rev().filter_map(|page| serde_json::from_str::<Event>(&page.body).ok())
    };
    let intent = events(said).filter_map(|event| match event {
        Event::UserMessage { content } => Some(texts(&content)),
        _ => None,
    });
    let calls = events(called).filter_map(|event| match event {
        Event::AgentToolUse { name, input, .. } | Event::AgentCustomToolUse { name, input } => Some((name, input)),
        _ => None,
    });
    Ok(Seen { intent: intent.collect(), calls: calls.collect::<Vec<(String, Map<String, Value>)>>() })
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

fn effort(effort: wire::agent::Effort) -> Effort {
    match effort {
        wire::agent::Effort::Low => Effort::Low,
        wire::agent::Effort::Medium => Effort::Medium,
        wire::agent::Effort::High => Effort::High,
        wire::agent::Effort::Xhigh => Effort::Xhigh,
        wire::agent::Effort::Max => Effort::Max,
    }
}
