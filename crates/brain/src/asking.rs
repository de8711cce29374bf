//! Asking the model: its stream becomes previews, its end becomes an input of the step.

mod answering;

use std::collections::HashMap;
use std::sync::Arc;

use bus::Preview;
use context::compaction::summary_of;
use futures::StreamExt;
use model::{Block, Client, Error, Event, Kind, Request, Response};
use session::{Compaction, Failed, Input, Spent, Tokens};
use tools::Offer;
use wire::event::FailureKind;
use wire::{EventId, ThreadId, Timestamp};

use self::answering::Answering;
use crate::brain::Inner;
use crate::judge::{Court, Seen, Withheld};
use crate::live::Live;
use crate::routes::Route;

/// The most text of one answer, in bytes. No model says that much; a stream without an end does.
const MAX_TEXT: usize = 8 << 20;

/// Everything that one request needs, apart from the session's state.
pub(crate) struct Asking {
    pub(crate) brain: Arc<Inner>,
    pub(crate) live: Arc<Live>,
    pub(crate) thread: ThreadId,
    pub(crate) route: Arc<Route>,
    pub(crate) offer: Offer,
    /// For the judge of the answer's calls.
    pub(crate) seen: Seen,
}

impl Asking {
    /// Runs one request to its end, and has the answer's calls judged. Dropping the future ends all of it.
    pub(crate) async fn ask(self, request: Request, attempts: u32) -> Input {
        let withheld = Withheld::of(&request.messages);
        let mut ids = HashMap::new();
        let response = whole(&*self.route.client, request, |event| self.preview(event, &mut ids)).await;
        let response = match response {
            Ok(response) => response,
            Err(error) => return Input::Failed(self.failed(&error, attempts)),
        };
        let (brain, record) = (&self.brain, self.live.record());
        let court = Court {
            judge: &brain.judge,
            routes: &brain.routes,
            rng: &*brain.sessions.rng,
            backoff: brain.options.backoff,
            session: self.live.id,
            model: &record.agent.definition.model.id,
            route: &self.route,
            seen: &self.seen,
            withheld,
        };
        let answering = Answering { offer: &self.offer, ids: &ids, court };
        Input::Answered(answering.answer(response).await)
    }

    /// Runs a request for a summary to its end. Nobody is shown how it comes about. If the request `is_least`, none
    /// that is shorter can be made.
    pub(crate) async fn compact(self, request: Request, attempts: u32, is_least: bool) -> Input {
        match compaction(&self.route, request).await {
            Ok(compaction) => Input::Compacted(compaction),
            Err(NoSummary { error, spent }) => {
                let failed = self.failed(&error, attempts);
                Input::Failed(Failed { too_long: failed.too_long && !is_least, spent, ..failed })
            }
        }
    }

    fn preview(&self, event: &Event, ids: &mut HashMap<usize, EventId>) {
        let sessions = &self.brain.sessions;
        match event {
            Event::BlockStart { index, kind: Kind::Thinking } => {
                let id = *ids.entry(*index).or_insert_with(|| sessions.mint());
                self.show(|| Preview::start(self.thread, id, "agent.thinking"));
            }
            Event::TextDelta { index, text } => {
                let id = *ids.entry(*index).or_insert_with(|| {
                    let id = sessions.mint();
                    // Only with its first text: a block that stays empty becomes no event.
                    self.show(|| Preview::start(self.thread, id, "agent.message"));
                    id
                });
                self.show(|| Preview::text(self.thread, id, text));
            }
            Event::BlockStart { .. } | Event::Finished(_) => {}
        }
    }

    fn show(&self, preview: impl FnOnce() -> Preview) {
        self.brain.sessions.bus.preview(self.live.id, preview);
    }

    fn failed(&self, error: &Error, attempts: u32) -> Failed {
        tracing::warn!(session = %self.live.id, %error, "the model did not answer");
        let sessions = &self.brain.sessions;
        let delay = self.brain.options.backoff.delay(attempts, error.retry_after(), sessions.rng.bits());
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        failure(error, sessions.clock.now().plus_millis(delay))
    }
}

/// Waits for the whole response; whatever else is heard goes to `told`. Dropping the future ends the request.
pub(crate) async fn whole(
    client: &dyn Client,
    request: Request,
    mut told: impl FnMut(&Event),
) -> Result<Response, Error> {
    let mut stream = client.stream(request);
    let mut heard = 0;
    while let Some(event) = stream.next().await {
        let event = event?;
        if let Event::TextDelta { text, .. } = &event {
            heard += text.len();
        }
        if heard > MAX_TEXT {
            return Err(Error::Invalid(format!("the answer does not end: over {MAX_TEXT} bytes of text")));
        }
        match event {
            Event::Finished(response) => return Ok(*response),
            event => told(&event),
        }
    }
    Err(Error::Connection("the stream ended before the answer did".into()))
}

/// What the response has used, at the route's price.
pub(crate) fn spent(route: &Route, response: &Response) -> Spent {
    let usage = &response.usage;
    let tokens = Tokens {
        input: usage.input,
        output: usage.output,
        cache_read: usage.cache_read,
        cache_write_5m: usage.cache_write_5m,
        cache_write_1h: usage.cache_write_1h,
    };
    Spent { model: response.model.clone(), tokens, cost: route.price.map(|price| price.cost(usage)) }
}

/// The text of a message, without anything else in it.
pub(crate) fn text(content: &[Block]) -> String {
    let text = |block: &Block| match block {
        Block::Text(text) => Some(text.clone()),
        _ => None,
    };
    content.iter().filter_map(text).collect()
}

/// A request for a summary that did not bring one.
#[derive(Debug)]
struct NoSummary {
    error: Error,
    /// If the provider has answered, and told.
    spent: Option<Spent>,
}

impl From<Error> for NoSummary {
    fn from(error: Error) -> Self {
        Self { error, spent: None }
    }
}

async fn compaction(route: &Route, request: Request) -> Result<Compaction, NoSummary> {
    let response = whole(&*route.client, request, |_| {}).await?;
    let spent = spent(route, &response);
    // What a model says before it refuses sums nothing up.
    let is_refused = matches!(response.stop, model::Stop::Refusal { .. });
    let summary = if is_refused { None } else { summary_of(&text(&response.content)) };
    let Some(summary) = summary else {
        let error = Error::Malformed("there is no summary in it".into());
        return Err(NoSummary { error, spent: Some(spent).filter(|spent| spent.tokens != Tokens::default()) });
    };
    let Spent { model, tokens, cost } = spent;
    Ok(Compaction { summary, model, tokens, cost })
}

/// `again_at` is for errors that may pass.
fn failure(error: &Error, again_at: Timestamp) -> Failed {
    let kind = match error {
        Error::RateLimited { .. } => FailureKind::ModelRateLimitedError,
        Error::Overloaded { .. } => FailureKind::ModelOverloadedError,
        Error::Billing(_) => FailureKind::BillingError,
        _ => FailureKind::ModelRequestFailedError,
    };
    Failed {
        kind,
        message: error.to_string(),
        retry_at: error.is_transient().then_some(again_at),
        too_long: matches!(error, Error::TooLong(_)),
        spent: None,
    }
}

#[cfg(test)]
mod tests;
