use super::*;
use crate::{
    Block, Kind,
    testing::{Played, frames, play},
};

const CREATED: &str = r#"{"type":"response.created","response":{"id":"resp_1","model":"m-1","status":"in_progress","usage":null,"error":null,"incomplete_details":null}}"#;
const COMPLETED: &str = r#"{"type":"response.completed","response":{"model":"m-1","status":"completed","usage":{"input_tokens":30,"input_tokens_details":{"cached_tokens":20},"output_tokens":5}}}"#;
const MESSAGE: &str = r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}"#;

fn played(data: &[&str]) -> Played {
    play(|| Decoder::new("asked".to_owned()), &frames(data))
}

#[test]
fn text_is_streamed_and_counted() {
    let played = played(&[
        CREATED,
        MESSAGE,
        r#"{"type":"response.content_part.added","output_index":0,"part":{"type":"output_text","text":""}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Grüß "}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Gott"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"Grüß Gott"}]}}"#,
        COMPLETED,
    ]);
    assert!(matches!(played.events[0], Event::BlockStart { index: 0, kind: Kind::Text }));
    assert_eq!(played.streamed(0), "Grüß Gott");
    let response = played.response();
    assert!(matches!(&response.content[..], [Block::Text(text)] if text == "Grüß Gott"));
    assert_eq!((response.model.as_str(), &response.stop), ("m-1", &Stop::EndTurn));
    assert_eq!(response.usage, Usage { input: 10, output: 5, cache_read: 20, ..Usage::default() });
}

#[test]
fn reasoning_is_kept_byte_for_byte_and_calls_run_in_parallel() {
    let reasoning = r#"{"id":"rs_1","type":"reasoning", "summary":[],"encrypted_content":"gAAA+/="}"#;
    let played = played(&[
        CREATED,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}"#,
        &format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{reasoning}}}"#),
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"call_1","name":"read","arguments":""}}"#,
        r#"{"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","call_id":"call_2","name":"bash","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":2,"delta":"{\"command\":"}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{}"}"#,
        r#"{"type":"response.function_call_arguments.done","output_index":2,"arguments":"{\"command\":\"ls\"}"}"#,
        COMPLETED,
    ]);
    let [Block::Opaque { provider: "openai-responses", raw }, Block::ToolUse(first), Block::ToolUse(second)] =
        &played.response().content[..]
    else {
        panic!("{played:?}");
    };
    assert_eq!(raw.get(), reasoning);
    assert_eq!((first.id.as_str(), first.input.len()), ("call_1", 0));
    assert_eq!((second.id.as_str(), &second.input["command"]), ("call_2", &Value::from("ls")));
    assert_eq!(played.response().stop, Stop::ToolUse);
}

#[test]
fn an_item_that_comes_whole_is_streamed_at_once() {
    let played = played(&[
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"Hi"}]}}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","call_id":"call_1","name":"bash","arguments":"not json {"}}"#,
        r#"{"type":"response.completed","response":{}}"#,
    ]);
    assert_eq!(played.streamed(0), "Hi");
    let response = played.response();
    let Block::ToolUse(call) = &response.content[1] else { panic!("{response:?}") };
    assert!(call.input.is_empty() && call.malformed.is_some());
    assert_eq!((response.model.as_str(), response.usage), ("asked", Usage::default()));
}

#[test]
fn an_incomplete_answer_says_why() {
    let incomplete = |reason: &str| {
        format!(r#"{{"type":"response.incomplete","response":{{"incomplete_details":{{"reason":"{reason}"}}}}}}"#)
    };
    assert_eq!(played(&[MESSAGE, &incomplete("max_output_tokens")]).response().stop, Stop::MaxTokens);
    assert_eq!(
        played(&[MESSAGE, &incomplete("content_filter")]).response().stop,
        Stop::Refusal { category: None, explanation: None }
    );
}

#[test]
fn a_refusal_is_text_and_a_stop() {
    let refused = played(&[
        MESSAGE,
        r#"{"type":"response.refusal.delta","output_index":0,"delta":"No."}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"refusal","refusal":"No."}]}}"#,
        COMPLETED,
    ]);
    assert_eq!(refused.streamed(0), "No.");
    let explanation = Some("No.".to_owned());
    assert_eq!(refused.response().stop, Stop::Refusal { category: None, explanation });
}

#[test]
fn failures_have_their_error() {
    let failed = r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"slow"}}}"#;
    assert!(matches!(played(&[CREATED, failed]).error, Some(Error::RateLimited { .. })));
    let error = r#"{"type":"error","code":"server_error","message":"oh"}"#;
    assert!(matches!(played(&[CREATED, error]).error, Some(Error::Server { status: 500, .. })));
    let long = r#"{"type":"response.failed","response":{"error":{"code":"context_length_exceeded","message":"no"}}}"#;
    assert!(matches!(played(&[CREATED, long]).error, Some(Error::TooLong(_))));
    assert!(matches!(played(&[CREATED, MESSAGE]).error, Some(Error::Connection(_))));
}
