//! For the tests of this crate: a model that answers as it is told to, and everything a judge needs around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use model::{Block, Client, Error, Event, Request, Response, Stop, ToolUse, Usage};
use parking_lot::Mutex;
use serde_json::Value;
use session::Cost;
use store::Rng;
use wire::SessionId;

use super::seen::{Denial, Earlier, Outcome};
use super::{Court, Judge, Purse, Rules, Seen, Withheld};
use crate::retry::Backoff;
use crate::routes::{Price, Route, Routes};

/// What the model does with a request.
pub(crate) enum Given {
    Says(String),
    Stops(String, Stop),
    Fails(Error),
    Silence,
}

impl Given {
    /// A verdict as the request wants it.
    pub(crate) fn verdict(request: &Request, verdict: &str) -> Self {
        Self::Says(format!("It lists files.\nVERDICT {} {verdict}", nonce(request)))
    }
}

type Give = Box<dyn Fn(usize, &Request) -> Given + Send + Sync>;

/// Gives by the number of the request, from 0, and by what is in it; keeps what it was asked.
pub(crate) struct Fake {
    give: Give,
    asked: Mutex<Vec<Request>>,
}

impl Fake {
    pub(crate) fn new(give: impl Fn(usize, &Request) -> Given + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { give: Box::new(give), asked: Mutex::default() })
    }

    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().clone()
    }
}

impl Client for Fake {
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Event, Error>> {
        let mut asked = self.asked.lock();
        let given = (self.give)(asked.len(), &request);
        asked.push(request);
        let (text, stop) = match given {
            Given::Says(text) => (text, Stop::EndTurn),
            Given::Stops(text, stop) => (text, stop),
            Given::Fails(error) => return stream::iter([Err(error)]).boxed(),
            Given::Silence => return stream::pending().boxed(),
        };
        let usage = Usage { input: 100, output: 10, ..Usage::default() };
        let content = vec![Block::Text(text.clone())];
        let response = Response { content, stop, usage, model: "judge-as-named".into() };
        stream::iter([Ok(Event::TextDelta { index: 0, text }), Ok(Event::Finished(Box::new(response)))]).boxed()
    }
}

/// The word that a verdict must name.
pub(crate) fn nonce(request: &Request) -> String {
    let (_, verdict) = request.system.rsplit_once("VERDICT ").unwrap();
    verdict.split_once(' ').unwrap().0.to_owned()
}

/// The text of a request's only message.
pub(crate) fn shown(request: &Request) -> String {
    assert_eq!(request.messages.len(), 1);
    crate::asking::text(&request.messages[0].content)
}

/// Counts.
pub(crate) struct Counter(AtomicU64);

impl Rng for Counter {
    fn bits(&self) -> u128 {
        self.0.fetch_add(1, Ordering::Relaxed).into()
    }
}

/// A courtroom: an agent, its model, and a judge.
pub(crate) struct Room {
    pub(crate) fake: Arc<Fake>,
    pub(crate) routes: Routes,
    pub(crate) judge: Judge,
    pub(crate) seen: Seen,
    pub(crate) withheld: Withheld,
    pub(crate) model: &'static str,
    rng: Counter,
}

impl Room {
    /// In which the agent's own model judges.
    pub(crate) fn new(give: impl Fn(usize, &Request) -> Given + Send + Sync + 'static) -> Self {
        let fake = Fake::new(give);
        Self {
            routes: Routes::new(vec![route("*", fake.clone())]).unwrap(),
            fake,
            judge: Judge::model(None, Rules::default()),
            seen: Seen::default(),
            withheld: Withheld::default(),
            model: "agent-1",
            rng: Counter(AtomicU64::new(1)),
        }
    }

    pub(crate) fn route(&self) -> &Route {
        self.routes.find(self.model).unwrap()
    }

    pub(crate) fn court(&self) -> Court<'_> {
        Court {
            judge: &self.judge,
            routes: &self.routes,
            rng: &self.rng,
            backoff: Backoff::default(),
            session: SessionId::from_bits(1),
            model: self.model,
            route: self.route(),
            seen: &self.seen,
            withheld: self.withheld,
        }
    }

    /// Of an answer that cost nothing.
    pub(crate) fn purse(&self) -> Purse {
        Purse::new(self.seen.left, Some(Cost(0)))
    }
}

pub(crate) fn route(pattern: &str, client: Arc<dyn Client>) -> Route {
    Route {
        pattern: pattern.into(),
        client,
        model: None,
        price: Some(Price { input: 1_000_000, output: 5_000_000, cache_read: 0, cache_write: 0 }),
        max_tokens: 16_000,
        takes_effort: true,
        system_messages: None,
        policy: context::Policy::default(),
        only: Vec::new(),
    }
}

pub(crate) fn call(name: &str, input: Value) -> ToolUse {
    let input = input.as_object().cloned().unwrap_or_default();
    ToolUse { id: format!("toolu_{name}"), name: name.into(), input, malformed: None }
}

pub(crate) fn bash(command: &str) -> ToolUse {
    call("bash", serde_json::json!({"command": command}))
}

/// A call of an earlier answer.
pub(crate) fn earlier(call: ToolUse, outcome: Outcome) -> Earlier {
    Earlier { tool: call.name, input: call.input, outcome }
}

pub(crate) fn succeeded(call: ToolUse) -> Earlier {
    earlier(call, Outcome::Succeeded)
}

/// By the user, who has said nothing since.
pub(crate) fn denied(call: ToolUse, said: &str) -> Earlier {
    earlier(call, Outcome::DeniedByUser(Denial { said: said.into(), messages_since: 0 }))
}
