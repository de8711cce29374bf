//! A model that answers by the dice: late, with calls, with errors, or not at all.

use std::sync::Arc;

use context::compaction;
use futures::StreamExt;
use futures::stream::BoxStream;
use model::{Block, Client, Error, Event, Request, Response, Role, Stop, ToolUse, Usage};
use serde_json::{Map, json};

use crate::dice::Dice;
use crate::time::pass;
use crate::weather::Weather;

/// Calls in one turn, at most: every turn must end.
const MOST_ROUNDS: usize = 5;

pub(crate) struct SimModel {
    pub(crate) dice: Dice,
    pub(crate) weather: Arc<Weather>,
}

impl Client for SimModel {
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Event, Error>> {
        let (dice, weather) = (self.dice.clone(), self.weather.clone());
        let given = async move {
            weather.step().await;
            let hangs = weather.is_rough() && dice.in_thousand(20);
            pass(if hangs { dice.between(20_000, 90_000) } else { dice.between(5, 4_000) }).await;
            weather.step().await;
            // Some streams end before their answer does.
            let is_cut = weather.is_rough() && dice.in_thousand(10);
            let answered = (!is_cut).then(|| answer(&dice, weather.is_rough(), &request));
            answered.map(|answered| answered.map(|response| Event::Finished(Box::new(response))))
        };
        futures::stream::once(given).filter_map(std::future::ready).boxed()
    }
}

fn answer(dice: &Dice, is_rough: bool, request: &Request) -> Result<Response, Error> {
    if is_rough && dice.in_thousand(80) {
        return Err(failure(dice));
    }
    if request.system == compaction::SYSTEM {
        return summary(dice, is_rough, request);
    }
    if let Some(word) = word_of_a_judge(request) {
        return Ok(said(request, verdict(dice, word)));
    }
    let mut content = Vec::new();
    let rounds = request.messages.iter().rev().take_while(|message| !is_from_user(message)).count() / 2;
    let is_last = request.tools.is_empty() || rounds >= MOST_ROUNDS || dice.in_thousand(350);
    let calls = match (is_last, dice.in_thousand(100)) {
        (true, _) => 0,
        (false, true) => dice.between(4, 12),
        (false, false) => dice.between(1, 3),
    };
    if calls == 0 || dice.in_thousand(500) {
        content.push(Block::Text("so it is".into()));
    }
    content.extend((0..calls).map(|_| Block::ToolUse(call(dice))));
    let stop = if calls > 0 {
        Stop::ToolUse
    } else if dice.in_thousand(30) {
        Stop::Refusal { category: None, explanation: None }
    } else {
        Stop::EndTurn
    };
    Ok(response(request, content, stop))
}

fn failure(dice: &Dice) -> Error {
    let message = "not now".to_owned();
    match dice.below(8) {
        0 => Error::RateLimited { message, retry_after: Some(std::time::Duration::from_secs(2)) },
        1 => Error::Overloaded { message, retry_after: None },
        2 => Error::TooLong(message),
        3 => Error::Invalid(message),
        4 => Error::Server { status: 500, message, retry_after: None },
        5 => Error::Malformed(message),
        6 => Error::Billing(message),
        _ => Error::Connection(message),
    }
}

/// What is too long to be answered may be too long to be summed up, and a summary may say nothing.
fn summary(dice: &Dice, is_rough: bool, request: &Request) -> Result<Response, Error> {
    match is_rough.then(|| dice.below(10)) {
        Some(0 | 1) => Err(Error::TooLong("not even for that".into())),
        Some(2) => Ok(said(request, String::new())),
        _ => Ok(said(request, "it was about this and that".into())),
    }
}

/// The word that a verdict must name, if this is asked of a judge.
fn word_of_a_judge(request: &Request) -> Option<&str> {
    let (_, verdict) = request.system.rsplit_once("VERDICT ")?;
    verdict.split_once(' ').map(|(word, _)| word)
}

fn verdict(dice: &Dice, word: &str) -> String {
    match dice.below(8) {
        0..4 => format!("It does no harm.\nVERDICT {word} allow"),
        4 => format!("It does harm.\nVERDICT {word} deny"),
        5 | 6 => format!("VERDICT {word} unsure"),
        _ => "who am I to judge".into(),
    }
}

fn call(dice: &Dice) -> ToolUse {
    let (name, input) = match dice.below(12) {
        0 => ("read", json!({"file_path": "/workspace/x"})),
        1 => ("glob", json!({"pattern": "*"})),
        2 => ("ask_client", json!({})),
        3 | 4 => ("write", json!({"file_path": "/workspace/x", "content": "y"})),
        5 => ("edit", json!({"file_path": "/workspace/x", "old_string": "y", "new_string": "z"})),
        6 => ("no_such_tool", json!({})),
        _ => ("bash", json!({"command": format!("echo {:x}", dice.next())})),
    };
    let malformed = dice.in_thousand(20).then(|| "it ends in the middle".to_owned());
    let input = if malformed.is_some() { Map::new() } else { input.as_object().cloned().unwrap_or_default() };
    ToolUse { id: format!("toolu_{:016x}", dice.next()), name: name.into(), input, malformed }
}

fn said(request: &Request, text: String) -> Response {
    response(request, vec![Block::Text(text)], Stop::EndTurn)
}

fn response(request: &Request, content: Vec<Block>, stop: Stop) -> Response {
    let input = 50 * request.messages.len() as u64;
    Response { content, stop, usage: Usage { input, output: 10, ..Usage::default() }, model: "sim".into() }
}

/// Something that a person said, and not only the results of calls.
fn is_from_user(message: &model::Message) -> bool {
    message.role == Role::User && message.content.iter().any(|block| matches!(block, Block::Text(_)))
}
