//! Requests to the model: for the next answer, and for a summary.

use std::sync::Arc;

use context::compaction::{self, View, request_view};
use context::{Surroundings, system};
use futures::FutureExt;
use model::{Effort, Request};
use session::Input;
use tools::Offer;
use wire::ThreadId;
use wire::event::FailureKind;
use wire::session::Resource;

use super::{Ended, Run};
use crate::asking::Asking;
use crate::judge::Seen;
use crate::routes::Route;
use crate::tenure::Over;

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
        let sessions = &self.brain.sessions;
        // Of the machine of a worker nothing is known here.
        let is_ours = !sessions.state(&self.live, |state| state.is_self_hosted).await;
        let surroundings = Surroundings { has_sandbox: is_ours && offer.needs_sandbox(), uploads: self.uploads() };
        let seen = if offer.is_judged() { Seen::of(sessions, &self.live).await? } else { Seen::default() };
        let request = Request {
            model: route.model.clone().unwrap_or_else(|| agent.model.id.clone()),
            system: system(agent.system.as_deref(), &surroundings),
            messages: sessions.conversation(&self.live).await?,
            tools: offer.tools(),
            max_tokens: route.max_tokens,
            effort: route.takes_effort.then(|| effort(agent.model.effort)),
        };
        let attempts = self.thread(thread, |thread| thread.attempts).await;
        let asking = self.asking(thread, route, offer, seen);
        self.request(asking.ask(request, attempts));
        Ok(())
    }

    /// Has the conversation summed up, so that it fits the model's window again.
    pub(super) async fn compact(&mut self, thread: ThreadId) -> store::Result<()> {
        self.flight.asking = true;
        let Some(route) = self.route() else { return Ok(()) };
        let record = self.live.record();
        let messages = self.brain.sessions.summed_up(&self.live).await?;
        let (attempts, halvings) = self.thread(thread, |thread| (thread.attempts, thread.halvings)).await;
        let room = route.policy.window.map(|window| window.saturating_sub(route.max_tokens.into()));
        let room = room.unwrap_or(UNKNOWN_ROOM).saturating_mul(CHARS_PER_TOKEN);
        let View { messages, is_least } = request_view(&messages, usize::try_from(room).ok(), halvings);
        let request = Request {
            model: route.model.clone().unwrap_or_else(|| record.agent.definition.model.id.clone()),
            system: compaction::SYSTEM.to_owned(),
            messages,
            tools: Vec::new(),
            max_tokens: route.max_tokens,
            effort: None,
        };
        let asking = self.asking(thread, route, Offer::of(&[]), Seen::default());
        self.request(asking.compact(request, attempts, is_least));
        Ok(())
    }

    /// Nothing is sent, and paid for, that the node may not start any more: it may have stood still since it decided to.
    fn request(&mut self, asked: impl Future<Output = Input> + Send + 'static) {
        let tenure = self.tenure.clone();
        let request = async move {
            match tenure.ready().await {
                Ok(()) => Ended::Asked(asked.await),
                // The run ends with its tenure.
                Err(Over) => std::future::pending().await,
            }
        };
        self.under_way.push(request.boxed());
    }

    /// The agent's route; without one, the request has failed already.
    fn route(&mut self) -> Option<Arc<Route>> {
        let model = self.live.record().agent.definition.model.id.clone();
        let route = self.brain.routes.find(&model).cloned();
        if route.is_none() {
            let message = format!("No route is configured for the model {model} any more");
            let kind = FailureKind::ModelRequestFailedError;
            let failed = session::Failed { kind, message, retry_at: None, too_long: false, spent: None };
            self.under_way.push(std::future::ready(Ended::Asked(Input::Failed(failed))).boxed());
        }
        route
    }

    fn asking(&self, thread: ThreadId, route: Arc<Route>, offer: Offer, seen: Seen) -> Asking {
        let brain = self.brain.clone();
        Asking { brain, live: self.live.clone(), thread, route, offer, seen }
    }

    async fn thread<T: Default>(&mut self, thread: ThreadId, read: impl FnOnce(&session::Thread) -> T + Send) -> T {
        let read = |state: &session::State| state.threads.get(&thread).map(read).unwrap_or_default();
        self.brain.sessions.state(&self.live, read).await
    }

    fn uploads(&self) -> Vec<String> {
        let path = |mount: &crate::Mount| {
            let Resource::File { mount_path, .. } = &mount.resource;
            mount_path.clone()
        };
        self.live.record().resources.iter().map(path).collect()
    }
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
