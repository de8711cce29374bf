//! A model's response, as it is to enter the log: with its ids, its cost, and a verdict on every call.

use std::collections::HashMap;

use futures::future::join_all;
use model::{Block, Response, ToolUse};
use session::{Answer, Judged, Said, Spent, Stop, Use};
use tools::{Offer, Verdict};
use wire::EventId;
use wire::event::{Permission, StopDetails};

use super::spent;
use crate::judge::{Court, Decision, Purse, unjudged};

/// Calls that are judged at once, where no budget can be crossed by it.
const AT_ONCE: usize = 8;

pub(super) struct Answering<'a> {
    pub(super) offer: &'a Offer,
    /// Of blocks that previews have told of.
    pub(super) ids: &'a HashMap<usize, EventId>,
    pub(super) court: Court<'a>,
}

impl Answering<'_> {
    /// The verdicts are part of the answer: it is not told before they are all there.
    pub(super) async fn answer(&self, response: Response) -> Answer {
        let Spent { model, tokens, cost } = spent(self.court.route, &response);
        let purse = Purse::new(self.court.seen.left, cost);
        let decisions = self.decisions(&response, &purse).await;
        let stop = match response.stop {
            model::Stop::Refusal { category, explanation } => {
                Stop::Refusal(StopDetails::Refusal { category, explanation })
            }
            model::Stop::EndTurn | model::Stop::ToolUse | model::Stop::MaxTokens => Stop::EndTurn,
        };
        let (mut said, mut spent) = (Vec::new(), Vec::new());
        for (place, (block, decision)) in response.content.into_iter().zip(decisions).enumerate() {
            let (judged, used) = decision.map(|Decision { judged, spent }| (judged, spent)).unzip();
            spent.extend(used.flatten());
            said.extend(self.said(place, block, judged));
        }
        Answer { said, stop, tokens, cost, model, spent }
    }

    /// One for each block; `None` where there is nothing to judge.
    async fn decisions(&self, response: &Response, purse: &Purse) -> Vec<Option<Decision>> {
        let places: Vec<_> = (0..response.content.len()).collect();
        let mut decisions = Vec::with_capacity(places.len());
        // At most one request crosses a budget.
        let at_once = if purse.is_limited() { 1 } else { AT_ONCE };
        for places in places.chunks(at_once) {
            let at_once = places.iter().map(|place| self.decision(response, *place, purse));
            decisions.extend(join_all(at_once).await);
        }
        decisions
    }

    async fn decision(&self, response: &Response, place: usize, purse: &Purse) -> Option<Decision> {
        let Some(Block::ToolUse(call)) = response.content.get(place) else { return None };
        // No call of an answer that was refused is ever run, nor one that cannot be read.
        let is_idle = call.malformed.is_some() || matches!(response.stop, model::Stop::Refusal { .. });
        if is_idle || self.offer.judge(&call.name, &call.input) != Verdict::Auto {
            return None;
        }
        let before = response.content.get(..place).unwrap_or_default();
        Some(self.court.hear(call, before, purse).await)
    }

    fn said(&self, place: usize, block: Block, judged: Option<Judged>) -> Option<Said> {
        let id = self.ids.get(&place).copied().unwrap_or_else(|| EventId::from_bits(self.court.rng.bits()));
        match block {
            Block::Text(text) => (!text.is_empty()).then_some(Said::Text { id, text }),
            Block::Opaque { provider, raw } => {
                Some(Said::Thinking { id, provider: provider.to_owned(), raw: raw.get().to_owned() })
            }
            Block::ToolUse(call) => Some(Said::Use(self.used(id, call, judged))),
            // No model says these.
            Block::Media(_) | Block::ToolResult { .. } => None,
        }
    }

    fn used(&self, id: EventId, call: ToolUse, judged: Option<Judged>) -> Use {
        let ToolUse { id: provider_id, name, input, malformed } = call;
        let (judged, absent) = match self.offer.judge(&name, &input) {
            Verdict::Auto | Verdict::Custom | Verdict::BuiltIn(Judged { permission: Permission::Ask, .. })
                if malformed.is_some() =>
            {
                // A client must not be asked about a call that cannot be read.
                (Some(Judged { permission: Permission::Deny, evaluation: None }), None)
            }
            Verdict::Auto => (Some(judged.unwrap_or_else(unjudged)), None),
            Verdict::Custom => (None, None),
            Verdict::BuiltIn(judged) => (Some(judged), None),
            Verdict::Absent { judged, reason } => (Some(judged), Some(reason)),
        };
        let unreadable =
            malformed.map(|reason| format!("The input of this call to {name} is not a JSON object: {reason}"));
        Use { id, provider_id, name, input, judged, refusal: absent.or(unreadable) }
    }
}
