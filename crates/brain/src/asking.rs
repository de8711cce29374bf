//! Asking the model: its stream becomes previews, its end becomes an input of the step.

use std::collections::HashMap;
use std::sync::Arc;

use bus::Preview;
use futures::StreamExt;
use model::{Block, Event, Kind, Response};
use session::{Answer, Failed, Input, Judged, Said, Stop, Tokens, Use};
use tools::{Offer, Verdict};
use wire::event::{FailureKind, Permission, StopDetails};
use wire::{EventId, ThreadId};

use crate::live::{Live, Sessions};
use crate::retry::Backoff;
use crate::routes::Route;

/// The most text of one answer, in bytes. No model says that much; a stream without an end does.
const MAX_TEXT: usize = 8 << 20;

/// Everything that one request needs, apart from the session's state.
pub(crate) struct Asking {
    pub(crate) sessions: Sessions,
    pub(crate) live: Arc<Live>,
    pub(crate) thread: ThreadId,
    pub(crate) route: Arc<Route>,
    pub(crate) offer: Offer,
    pub(crate) backoff: Backoff,
}

impl Asking {
    /// Runs one request to its end. Dropping the future ends the request.
    pub(crate) async fn ask(self, request: model::Request, attempts: u32) -> Input {
        match self.listen(request).await {
            Ok(answer) => Input::Answered(answer),
            Err(error) => Input::Failed(self.failed(&error, attempts)),
        }
    }

    async fn listen(&self, request: model::Request) -> Result<Answer, model::Error> {
        let mut stream = self.route.client.stream(request);
        let mut ids: HashMap<usize, EventId> = HashMap::new();
        let mut heard = 0;
        while let Some(event) = stream.next().await {
            match event? {
                Event::BlockStart { index, kind: Kind::Thinking } => {
                    let id = *ids.entry(index).or_insert_with(|| self.sessions.mint());
                    self.preview(|| Preview::start(self.thread, id, "agent.thinking"));
                }
                Event::BlockStart { .. } => {}
                Event::TextDelta { index, text } => {
                    heard += text.len();
                    if heard > MAX_TEXT {
                        return Err(model::Error::Invalid(format!(
                            "the answer does not end: over {MAX_TEXT} bytes of text"
                        )));
                    }
                    let id = *ids.entry(index).or_insert_with(|| {
                        let id = self.sessions.mint();
                        // Only with its first text: a block that stays empty becomes no event.
                        self.preview(|| Preview::start(self.thread, id, "agent.message"));
                        id
                    });
                    self.preview(|| Preview::text(self.thread, id, &text));
                }
                Event::Finished(response) => return Ok(self.answer(*response, &ids)),
            }
        }
        Err(model::Error::Connection("the stream ended before the answer did".into()))
    }

    fn preview(&self, preview: impl FnOnce() -> Preview) {
        self.sessions.bus.preview(self.live.id, preview);
    }

    fn answer(&self, response: Response, ids: &HashMap<usize, EventId>) -> Answer {
        let cost = self.route.price.map(|price| price.cost(&response.usage));
        let usage = response.usage;
        let said = response.content.into_iter().enumerate().filter_map(|(index, block)| {
            let id = ids.get(&index).copied().unwrap_or_else(|| self.sessions.mint());
            match block {
                Block::Text(text) => (!text.is_empty()).then_some(Said::Text { id, text }),
                Block::Opaque { provider, raw } => {
                    Some(Said::Thinking { id, provider: provider.to_owned(), raw: raw.get().to_owned() })
                }
                Block::ToolUse(call) => Some(Said::Use(self.judge(id, call))),
                // No model says these.
                Block::Media(_) | Block::ToolResult { .. } => None,
            }
        });
        let stop = match response.stop {
            model::Stop::Refusal { category, explanation } => {
                Stop::Refusal(StopDetails::Refusal { category, explanation })
            }
            model::Stop::EndTurn | model::Stop::ToolUse | model::Stop::MaxTokens => Stop::EndTurn,
        };
        Answer {
            said: said.collect(),
            stop,
            tokens: Tokens {
                input: usage.input,
                output: usage.output,
                cache_read: usage.cache_read,
                cache_write_5m: usage.cache_write_5m,
                cache_write_1h: usage.cache_write_1h,
            },
            cost,
            model: response.model,
        }
    }

    fn judge(&self, id: EventId, call: model::ToolUse) -> Use {
        let model::ToolUse { id: provider_id, name, input, malformed } = call;
        let (judged, absent) = match self.offer.judge(&name, &input) {
            Verdict::Custom | Verdict::BuiltIn(Judged { permission: Permission::Ask, .. }) if malformed.is_some() => {
                // A client must not be asked about a call that cannot be read.
                (Some(Judged { permission: Permission::Deny, evaluation: None }), None)
            }
            Verdict::Custom => (None, None),
            Verdict::BuiltIn(judged) => (Some(judged), None),
            Verdict::Absent { judged, reason } => (Some(judged), Some(reason)),
        };
        let unreadable =
            malformed.map(|reason| format!("The input of this call to {name} is not a JSON object: {reason}"));
        Use { id, provider_id, name, input, judged, refusal: absent.or(unreadable) }
    }

    fn failed(&self, error: &model::Error, attempts: u32) -> Failed {
        let kind = match error {
            model::Error::RateLimited { .. } => FailureKind::ModelRateLimitedError,
            model::Error::Overloaded { .. } => FailureKind::ModelOverloadedError,
            model::Error::Billing(_) => FailureKind::BillingError,
            _ => FailureKind::ModelRequestFailedError,
        };
        tracing::warn!(session = %self.live.id, %error, "the model did not answer");
        let delay = self.backoff.delay(attempts, error.retry_after(), self.sessions.rng.bits());
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let retry_at = error.is_transient().then(|| self.sessions.clock.now().plus_millis(delay));
        Failed { kind, message: error.to_string(), retry_at }
    }
}
