//! A model that answers by the dice: late, with calls, with errors, or not at all.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use model::{Block, Client, Error, Event, Request, Response, Role, Stop, ToolUse, Usage};
use serde_json::json;

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
        futures::stream::once(async move {
            weather.step().await;
            pass(dice.between(5, 4_000)).await;
            weather.step().await;
            answer(&dice, &weather, &request).map(|response| Event::Finished(Box::new(response)))
        })
        .boxed()
    }
}

fn answer(dice: &Dice, weather: &Weather, request: &Request) -> Result<Response, Error> {
    let is_rough = weather.rough.load(std::sync::atomic::Ordering::Relaxed);
    if is_rough && dice.in_thousand(80) {
        let message = "not now".to_owned();
        return Err(match dice.below(5) {
            0 => Error::RateLimited { message, retry_after: Some(std::time::Duration::from_secs(2)) },
            1 => Error::Overloaded { message, retry_after: None },
            2 => Error::TooLong(message),
            3 => Error::Invalid(message),
            _ => Error::Connection(message),
        });
    }
    let mut content = Vec::new();
    let rounds = request.messages.iter().rev().take_while(|message| !is_from_user(message)).count() / 2;
    let calls =
        if request.tools.is_empty() || rounds >= MOST_ROUNDS || dice.in_thousand(350) { 0 } else { dice.between(1, 3) };
    if calls == 0 || dice.in_thousand(500) {
        content.push(Block::Text("so it is".into()));
    }
    for _ in 0..calls {
        let (name, input) = match dice.below(8) {
            0 => ("read", json!({"file_path": "/workspace/x"})),
            1 => ("ask_client", json!({})),
            2 => ("write", json!({"file_path": "/workspace/x", "content": "y"})),
            3 => ("no_such_tool", json!({})),
            _ => ("bash", json!({"command": format!("echo {:x}", dice.next())})),
        };
        let input = input.as_object().cloned().unwrap_or_default();
        let id = format!("toolu_{:016x}", dice.next());
        content.push(Block::ToolUse(ToolUse { id, name: name.into(), input, malformed: None }));
    }
    let stop = if calls > 0 {
        Stop::ToolUse
    } else if dice.in_thousand(30) {
        Stop::Refusal { category: None, explanation: None }
    } else {
        Stop::EndTurn
    };
    let input = 50 * request.messages.len() as u64;
    Ok(Response { content, stop, usage: Usage { input, output: 10, ..Usage::default() }, model: "sim".into() })
}

/// Something that a person said, and not only the results of calls.
fn is_from_user(message: &model::Message) -> bool {
    message.role == Role::User && message.content.iter().any(|block| matches!(block, Block::Text(_)))
}
