//! What the model stub says: a text, or a call of bash; as the Messages API and as chat completions stream it.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A user's message that holds this is answered with a tool call.
pub(crate) const CALL_A_TOOL: &str = "call the bash tool";

/// The API that a request came over.
#[derive(Clone, Copy)]
pub(crate) enum Dialect {
    Messages,
    Chat,
}

/// What the model does.
pub(crate) enum Act<'a> {
    /// Says a text: what is shown at once, and the rest of it.
    Say(&'a str, &'a str),
    /// Calls bash with this input, which is JSON.
    Call(&'a str),
}

impl Act<'_> {
    pub(crate) const GREET: Self = Act::Say("Hello", ", there.");
    pub(crate) const ECHO: Self = Act::Call(r#"{"command":"echo hi"}"#);
}

/// The input tokens that an answer tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Neither read from the cache nor written to it.
    pub(crate) input: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_written: u64,
}

impl Usage {
    /// Of a model without a cache that was asked something short.
    pub(crate) const FEW: Self = Self { input: 12, cache_read: 0, cache_written: 0 };

    pub(crate) fn total(self) -> u64 {
        self.input + self.cache_read + self.cache_written
    }
}

/// An answer in two parts: what a model shows at once, and all that follows.
pub(crate) struct Answer {
    pub(crate) opening: String,
    pub(crate) rest: String,
}

/// A request, as far as the answer depends on it. Messages are read from the last one back, so that a long history
/// costs the stub little.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

/// Whether the request ends in a user's message that asks for a tool call.
pub(crate) fn wants_tool(body: &[u8]) -> bool {
    let Ok(request) = serde_json::from_slice::<Request<'_>>(body) else { return false };
    for raw in request.messages.iter().rev() {
        let Ok(message) = serde_json::from_str::<Value>(raw.get()) else { return false };
        match message["role"].as_str() {
            Some("system" | "developer") => {}
            Some("user") => return asks(&message["content"]),
            // Chat completions give a tool's result a role of its own.
            _ => return false,
        }
    }
    false
}

fn asks(content: &Value) -> bool {
    if let Some(text) = content.as_str() {
        return text.contains(CALL_A_TOOL);
    }
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_result = blocks.iter().any(|block| block["type"] == "tool_result");
    !is_result && blocks.iter().filter_map(|block| block["text"].as_str()).any(|text| text.contains(CALL_A_TOOL))
}

impl Answer {
    /// `serial` makes the ids of this answer its own.
    pub(crate) fn new(dialect: Dialect, act: &Act<'_>, usage: Usage, serial: u64) -> Self {
        match dialect {
            Dialect::Messages => Self::messages(act, usage, serial),
            Dialect::Chat => Self::chat(act, usage, serial),
        }
    }

    fn messages(act: &Act<'_>, usage: Usage, serial: u64) -> Self {
        let frame = |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
        let delta = |delta: Value| frame(json!({"type": "content_block_delta", "index": 0, "delta": delta}));
        let text = |text: &str| delta(json!({"type": "text_delta", "text": text}));
        let usage = json!({
            "input_tokens": usage.input, "cache_creation_input_tokens": usage.cache_written,
            "cache_read_input_tokens": usage.cache_read, "output_tokens": 1,
        });
        let message = json!({
            "id": format!("msg_bench{serial}"), "type": "message", "role": "assistant", "model": "claude-bench",
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": usage,
        });
        let (block, first, second, reason) = match act {
            Act::Say(first, second) => (json!({"type": "text", "text": ""}), text(first), text(second), "end_turn"),
            Act::Call(input) => {
                let id = format!("toolu_bench{serial}");
                let block = json!({"type": "tool_use", "id": id, "name": "bash", "input": {}});
                let input = delta(json!({"type": "input_json_delta", "partial_json": input}));
                (block, input, String::new(), "tool_use")
            }
        };
        let started = frame(json!({"type": "message_start", "message": message}));
        let block = frame(json!({"type": "content_block_start", "index": 0, "content_block": block}));
        let stopped = frame(json!({"type": "content_block_stop", "index": 0}));
        let end = json!({"stop_reason": reason, "stop_sequence": null});
        let ended = frame(json!({"type": "message_delta", "delta": end, "usage": {"output_tokens": 4}}));
        let last = frame(json!({"type": "message_stop"}));
        Self { opening: format!("{started}{block}{first}"), rest: format!("{second}{stopped}{ended}{last}") }
    }

    fn chat(act: &Act<'_>, usage: Usage, serial: u64) -> Self {
        let chunk = |choices: Value, usage: Value| {
            let id = format!("chatcmpl-bench{serial}");
            let data = json!({
                "id": id, "object": "chat.completion.chunk", "created": 0, "model": "bench", "choices": choices,
                "usage": usage,
            });
            format!("data: {data}\n\n")
        };
        let choice = |delta: Value, reason: Value| {
            chunk(json!([{"index": 0, "delta": delta, "finish_reason": reason}]), Value::Null)
        };
        let (first, second, reason) = match act {
            Act::Say(first, second) => {
                (json!({"role": "assistant", "content": first}), json!({"content": second}), "stop")
            }
            Act::Call(input) => {
                let function = json!({"name": "bash", "arguments": input});
                let id = format!("call_bench{serial}");
                let call = json!([{"index": 0, "id": id, "type": "function", "function": function}]);
                (json!({"role": "assistant", "content": null, "tool_calls": call}), json!({}), "tool_calls")
            }
        };
        let opening = choice(first, Value::Null);
        let second = choice(second, Value::Null);
        let ended = choice(json!({}), json!(reason));
        let prompt = usage.total();
        let usage = json!({"prompt_tokens": prompt, "completion_tokens": 4, "total_tokens": prompt + 4});
        let usage = chunk(json!([]), usage);
        Self { opening, rest: format!("{second}{ended}{usage}data: [DONE]\n\n") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(last: &Value) -> Vec<u8> {
        json!({"model": "m", "messages": [{"role": "user", "content": CALL_A_TOOL}, last]}).to_string().into_bytes()
    }

    #[test]
    fn only_a_user_who_asks_last_gets_a_call() {
        let block = json!({"type": "text", "text": format!("please {CALL_A_TOOL}")});
        let result = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": CALL_A_TOOL});
        assert!(wants_tool(&request(&json!({"role": "user", "content": [block]}))));
        assert!(wants_tool(&request(&json!({"role": "system", "content": "be brief"}))));
        assert!(!wants_tool(&request(&json!({"role": "user", "content": "hi"}))));
        assert!(!wants_tool(&request(&json!({"role": "user", "content": [result]}))));
        assert!(!wants_tool(&request(&json!({"role": "tool", "tool_call_id": "call_1", "content": "hi"}))));
        assert!(!wants_tool(b"not json"));
    }

    #[test]
    fn both_dialects_end_as_theirs_do() {
        let answer = |dialect: Dialect, act: &Act<'_>| Answer::new(dialect, act, Usage::FEW, 7);
        assert!(answer(Dialect::Messages, &Act::ECHO).opening.contains("toolu_bench7"));
        let greeting = answer(Dialect::Messages, &Act::GREET);
        assert!(greeting.opening.contains("\"text\":\"Hello\""));
        assert!(greeting.rest.ends_with("data: {\"type\":\"message_stop\"}\n\n"));
        assert!(answer(Dialect::Chat, &Act::ECHO).rest.ends_with("data: [DONE]\n\n"));
    }
}
