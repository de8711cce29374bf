//! One answer's calls, judged: what all of them have in common, and the hearing of each.

use std::time::Duration;

use model::{Block, Effort, Error, Message, Request, Response, Role, ToolUse};
use session::Spent;
use store::Rng;
use wire::SessionId;

use super::prompt::{self, Case, Withheld};
use super::{Decision, Ground, Judge, Purse, Ruling, Seen, answer, judged};
use crate::asking::{spent, text, whole};
use crate::retry::Backoff;
use crate::routes::{Route, Routes};

/// How long a model may take to judge one call, with its second chance.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest answer of a model that judges, in tokens.
const MAX_TOKENS: u32 = 1_024;

pub(crate) struct Court<'a> {
    pub(crate) judge: &'a Judge,
    pub(crate) routes: &'a Routes,
    pub(crate) rng: &'a dyn Rng,
    pub(crate) backoff: Backoff,
    pub(crate) session: SessionId,
    /// The agent's, and its route.
    pub(crate) model: &'a str,
    pub(crate) route: &'a Route,
    pub(crate) seen: &'a Seen,
    pub(crate) withheld: Withheld,
}

struct Opinion {
    verdict: Ruling,
    ground: Ground,
    spent: Option<Spent>,
}

impl From<(Ruling, Ground)> for Opinion {
    fn from((verdict, ground): (Ruling, Ground)) -> Self {
        Self { verdict, ground, spent: None }
    }
}

impl Court<'_> {
    /// Judges a call that is under `auto`; `before` stands before it in the same answer, and `purse` is the answer's.
    /// However the judge fails, there is a decision, and never that the call may run.
    pub(crate) async fn hear(&self, call: &ToolUse, before: &[Block], purse: &Purse) -> Decision {
        let Opinion { verdict, ground, spent } = self.opinion(call, before, purse).await;
        let (tool, word) = (call.name.as_str(), verdict.name());
        tracing::info!(target: "audit", session = %self.session, tool, verdict = word, reason = %ground, "judged");
        Decision { judged: judged(verdict, ground), spent }
    }

    async fn opinion(&self, call: &ToolUse, before: &[Block], purse: &Purse) -> Opinion {
        let rules = &self.judge.rules;
        let is_denied = self.seen.denies(&call.name, &call.input);
        let Some(id) = self.judge.asked(self.model) else {
            // No rule can tell whether the user has come to think otherwise.
            let denied = (Ruling::Deny, Ground::Denied);
            return if is_denied { denied.into() } else { rules.judge(&call.name, &call.input).into() };
        };
        let own = rules.own(&call.name, &call.input);
        // A rule that allows what the user has denied does not know of that; the model does.
        if let Some(known) = own.filter(|(ruling, _)| !is_denied || *ruling != Ruling::Allow) {
            return known.into();
        }
        match self.routes.find(id) {
            Some(route) => self.ask(id, route, call, before, purse).await,
            None => (Ruling::Unsure, Ground::NoRoute).into(),
        }
    }

    async fn ask(&self, id: &str, route: &Route, call: &ToolUse, before: &[Block], purse: &Purse) -> Opinion {
        let case = Case { seen: self.seen, withheld: self.withheld, before, call };
        let Some(shown) = case.shown() else { return (Ruling::Unsure, Ground::TooLong).into() };
        if let Err(ground) = purse.open(route) {
            return (Ruling::Unsure, ground).into();
        }
        let nonce = format!("{:032x}", self.rng.bits());
        let request = Request {
            model: route.model.clone().unwrap_or_else(|| id.to_owned()),
            system: prompt::system(&nonce),
            messages: vec![Message { role: Role::User, content: vec![Block::Text(shown)] }.into()],
            tools: Vec::new(),
            max_tokens: MAX_TOKENS.min(route.max_tokens),
            effort: route.takes_effort.then_some(Effort::Low),
        };
        let response = match tokio::time::timeout(PATIENCE, self.answered(route, request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return self.failed(&error).into(),
            Err(_) => return (Ruling::Unsure, Ground::Late).into(),
        };
        let spent = spent(route, &response);
        purse.pay(spent.cost);
        // An answer that was cut, or refused, has not come to its verdict.
        let is_whole = response.stop == model::Stop::EndTurn;
        let verdict = is_whole.then(|| answer::verdict(&text(&response.content), &nonce)).flatten();
        let (verdict, ground) = verdict.map_or((Ruling::Unsure, Ground::NoVerdict), |given| (given, Ground::Model));
        Opinion { verdict, ground, spent: Some(spent) }
    }

    /// With one more attempt, if that can help.
    async fn answered(&self, route: &Route, request: Request) -> Result<Response, Error> {
        match whole(&*route.client, request.clone(), |_| {}).await {
            Err(error) if error.is_transient() => {
                let delay = self.backoff.delay(0, error.retry_after(), self.rng.bits());
                tokio::time::sleep(delay).await;
                whole(&*route.client, request, |_| {}).await
            }
            done => done,
        }
    }

    fn failed(&self, error: &Error) -> (Ruling, Ground) {
        tracing::warn!(session = %self.session, %error, "the model that judges did not answer");
        match error {
            Error::Billing(_) | Error::Unauthorized(_) => (Ruling::Deny, Ground::Barred),
            _ => (Ruling::Unsure, Ground::Failed),
        }
    }
}
