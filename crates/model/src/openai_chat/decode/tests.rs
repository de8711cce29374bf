use super::*;
use crate::testing::{Played, assistant, frames, play, tool_use};

fn played(data: &[&str]) -> Played {
    // The conversation holds one call already.
    let earlier = [assistant(vec![tool_use("call_a", "bash", json!({}))])];
    play(|| Decoder::new("asked".to_owned(), Ids::of(&earlier)), &frames(data))
}

fn calls(played: &Played) -> Vec<String> {
    let call = |block: &Block| match block {
        Block::ToolUse(call) => Some(format!("{} {} {:?}", call.id, call.name, call.input)),
        _ => None,
    };
    played.response().content.iter().filter_map(call).collect()
}

#[test]
fn text_is_streamed_and_counted() {
    let played = played(&[
        r#"{"model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        r#"{"model":"m-1","choices":[{"index":0,"delta":{"content":"Grüß "},"finish_reason":null}]}"#,
        r#"{"model":"m-1","choices":[{"index":0,"delta":{"content":"Gott"},"finish_reason":null}]}"#,
        r#"{"model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"model":"m-1","choices":[],"usage":{"prompt_tokens":30,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":20}}}"#,
        "[DONE]",
    ]);
    assert!(matches!(played.events[0], Event::BlockStart { index: 0, kind: Kind::Text }));
    assert_eq!(played.streamed(0), "Grüß Gott");
    let response = played.response();
    assert_eq!((response.model.as_str(), &response.stop), ("m-1", &Stop::EndTurn));
    assert_eq!(response.usage, Usage { input: 10, output: 5, cache_read: 20, ..Usage::default() });
}

#[test]
fn parallel_calls_arrive_in_pieces_after_the_text() {
    let played = played(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"read","arguments":""}}]}}]}"#,
        r#"{"choices":[{"delta":{"content":"I look."}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"call_2","function":{"name":"bash","arguments":"{\"comm"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"file_path\":\"a\"}"}},{"index":1,"function":{"arguments":"and\":1}"}}]}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
        "[DONE]",
    ]);
    assert_eq!(calls(&played), [r#"call_1 read {"file_path": String("a")}"#, r#"call_2 bash {"command": Number(1)}"#]);
    assert!(matches!(&played.response().content[0], Block::Text(text) if text == "I look."));
    assert_eq!(played.response().stop, Stop::ToolUse);
    let starts: Vec<_> = played
        .events
        .iter()
        .filter_map(|event| match event {
            Event::BlockStart { index, kind } => Some((*index, *kind)),
            _ => None,
        })
        .collect();
    assert_eq!(starts, [(0, Kind::Text), (1, Kind::ToolUse), (2, Kind::ToolUse)]);
}

#[test]
fn calls_without_ids_get_new_ones() {
    let played = played(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"read","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"bash","arguments":{"command":"ls"}}}]},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    assert_eq!(calls(&played), ["call_2 read {}", r#"call_3 bash {"command": String("ls")}"#]);
    assert_eq!(played.response().stop, Stop::ToolUse);
}

#[test]
fn calls_that_share_an_index_are_told_apart_by_id() {
    let played = played(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_a","function":{"name":"read","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_b","function":{"name":"bash","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
    ]);
    // `call_a` is in the conversation already.
    assert_eq!(calls(&played), ["call_2 read {}", "call_b bash {}"]);
}

#[test]
fn broken_arguments_are_reported_and_not_run() {
    let played = played(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"bash","arguments":"{\"command\": \"l"}}]},"finish_reason":"length"}]}"#,
        "[DONE]",
    ]);
    let Block::ToolUse(call) = &played.response().content[0] else { panic!("{played:?}") };
    assert!(call.input.is_empty() && call.malformed.is_some());
    assert_eq!(played.response().stop, Stop::MaxTokens);
}

#[test]
fn reasoning_is_kept_apart_under_either_name() {
    for name in ["reasoning", "reasoning_content"] {
        let played = played(&[
            &format!(r#"{{"choices":[{{"delta":{{"{name}":"Hm, "}}}}]}}"#),
            &format!(r#"{{"choices":[{{"delta":{{"{name}":"yes","content":null}}}}]}}"#),
            r#"{"choices":[{"delta":{"content":"Yes"},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ]);
        let [Block::Opaque { provider: "openai-chat", raw }, Block::Text(text)] = &played.response().content[..] else {
            panic!("{played:?}");
        };
        assert_eq!(raw.get(), r#"{"thinking":"Hm, yes","type":"thinking"}"#);
        assert_eq!((text.as_str(), played.streamed(1).as_str()), ("Yes", "Yes"));
    }
}

#[test]
fn a_finished_answer_needs_neither_done_nor_usage() {
    let played = played(&[r#"{"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}"#]);
    assert_eq!(played.response().usage, Usage::default());
    assert_eq!(played.response().model, "asked");
}

#[test]
fn a_cut_answer_is_a_broken_connection() {
    let played = played(&[r#"{"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}"#]);
    assert!(matches!(played.error, Some(Error::Connection(_))));
    assert_eq!(played.streamed(0), "Hi");
}

#[test]
fn an_error_in_the_stream_ends_it() {
    let text = r#"{"choices":[{"delta":{"content":"Hi"}}]}"#;
    let limited = played(&[text, r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#]);
    assert!(matches!(limited.error, Some(Error::RateLimited { .. })));
    let flat = played(&[text, r#"{"object":"error","message":"bad","type":"BadRequestError","code":400}"#]);
    assert!(matches!(flat.error, Some(Error::Invalid(message)) if message == "bad"));
    let long = r#"{"error":{"code":400,"message":"too many tokens","type":"exceed_context_size_error"}}"#;
    assert!(matches!(played(&[long]).error, Some(Error::TooLong(_))));
    assert!(matches!(played(&["[DONE]"]).error, Some(Error::Malformed(_))));
}

#[test]
fn a_refusal_is_text_and_a_stop() {
    let refused = played(&[
        r#"{"choices":[{"delta":{"refusal":"I can't "}}]}"#,
        r#"{"choices":[{"delta":{"refusal":"do that."},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    assert_eq!(refused.streamed(0), "I can't do that.");
    let explanation = Some("I can't do that.".to_owned());
    assert_eq!(refused.response().stop, Stop::Refusal { category: None, explanation });
    let filtered = played(&[r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#, "[DONE]"]);
    assert_eq!(filtered.response().stop, Stop::Refusal { category: None, explanation: None });
}
