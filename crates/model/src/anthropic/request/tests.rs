use std::sync::Arc;

use serde_json::{Value, json};

use super::body;
use crate::{
    Block, Effort, Message, Request,
    testing::{assistant, raw, request, system, text, tool_result, tool_use, user},
};

const MARK: &str = r#","cache_control":{"type":"ephemeral"}"#;

fn sent(request: &Request) -> Value {
    serde_json::from_slice(&body(request).unwrap()).unwrap()
}

#[test]
fn a_question_carries_system_tools_and_three_cache_marks() {
    let sent = sent(&request(vec![user(vec![text("Hello")])]));
    let mark = json!({"type": "ephemeral"});
    assert_eq!(
        sent,
        json!({
            "model": "model-1",
            "max_tokens": 1000,
            "stream": true,
            "system": [{"type": "text", "text": "Be brief.", "cache_control": mark}],
            "tools": [{"name": "bash", "description": "Runs a command.", "input_schema": {"type": "object"}, "cache_control": mark}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello", "cache_control": mark}]}],
        })
    );
}

#[test]
fn a_tool_call_and_its_result_keep_their_shape() {
    let sent = sent(&request(vec![
        user(vec![text("Go")]),
        assistant(vec![text("I look."), tool_use("toolu_1", "bash", json!({"command": "ls"}))]),
        user(vec![tool_result("toolu_1", vec![text("a.txt")], true)]),
    ]));
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "user", "content": [
                {"type": "text", "text": "Go", "cache_control": {"type": "ephemeral"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}},
            ]},
            {"role": "user", "content": [{
                "type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "a.txt"}],
                "is_error": true, "cache_control": {"type": "ephemeral"},
            }]},
        ])
    );
}

#[test]
fn our_opaque_blocks_go_back_byte_for_byte_and_others_not_at_all() {
    let thinking = r#"{ "signature":"EqQB+/=","type":"thinking", "thinking":"a\u00e9\n" }"#;
    let request = request(vec![
        user(vec![text("Go")]),
        assistant(vec![
            Block::Opaque { provider: "anthropic", raw: raw(thinking) },
            Block::Opaque { provider: "openai-responses", raw: raw(r#"{"type":"reasoning"}"#) },
            text("Done"),
        ]),
    ]);
    let bytes = String::from_utf8(body(&request).unwrap()).unwrap();
    assert!(bytes.contains(&format!("[{thinking},")), "{bytes}");
    assert!(!bytes.contains("reasoning"), "{bytes}");
}

#[test]
fn the_mark_goes_to_the_newest_input_even_if_it_is_an_image() {
    let image = r#"{"type":"image","source":{"type":"url","url":"https://x/y.png"}}"#;
    let sent = sent(&request(vec![user(vec![text("See"), Block::Media(raw(image))]), assistant(vec![text("I see")])]));
    assert_eq!(sent["messages"][0]["content"][1]["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(sent["messages"][0]["content"][1]["source"]["url"], "https://x/y.png");
    assert_eq!(sent.to_string().matches("cache_control").count(), 3);
}

#[test]
fn what_the_api_would_refuse_is_left_out() {
    let mut request =
        request(vec![user(vec![text("Go")]), assistant(vec![text(" \n")]), user(vec![text(""), text("on")])]);
    request.system = String::new();
    request.tools.clear();
    let sent = sent(&request);
    assert_eq!(sent["messages"].as_array().map(Vec::len), Some(2));
    assert_eq!(sent.get("system"), None);
    assert_eq!(sent.get("tools"), None);
    assert_eq!(sent.get("output_config"), None);
}

#[test]
fn a_message_of_white_space_is_said_to_be_empty() {
    for said in ["", " \n\t", "\u{a0}"] {
        let sent = sent(&request(vec![user(vec![text("Go")]), assistant(vec![text("Done")]), user(vec![text(said)])]));
        let mark = json!({"type": "ephemeral"});
        let content = json!([{"type": "text", "text": "(an empty message)", "cache_control": mark}]);
        assert_eq!(sent["messages"][2], json!({"role": "user", "content": content}), "{said:?}");
    }
    let sent = sent(&request(vec![user(vec![tool_result("toolu_1", vec![], false), text(" ")])]));
    assert!(!sent.to_string().contains("an empty message"), "a result is something: {sent}");
}

#[test]
fn a_tool_that_fails_without_a_word_is_said_to_have_failed() {
    for returned in [vec![], vec![text(" \n")]] {
        let sent = sent(&request(vec![user(vec![tool_result("toolu_1", returned, true)])]));
        let words = json!([{"type": "text", "text": "The tool failed without a message."}]);
        assert_eq!(sent["messages"][0]["content"][0]["content"], words);
    }
    let sent = sent(&request(vec![user(vec![tool_result("toolu_1", vec![text(" ")], false)])]));
    assert_eq!(sent["messages"][0]["content"][0].get("content"), None, "a tool may well return nothing");
}

#[test]
fn effort_is_sent_when_it_is_given() {
    let mut request = request(vec![user(vec![text("Go")])]);
    request.effort = Some(Effort::Xhigh);
    assert_eq!(sent(&request)["output_config"], json!({"effort": "xhigh"}));
}

#[test]
fn a_system_message_stands_where_it_was_said_and_carries_the_newest_mark() {
    let sent = sent(&request(vec![
        user(vec![text("Go")]),
        system(vec![text("Be brief.")]),
        assistant(vec![text("Done")]),
        user(vec![text("On")]),
        system(vec![text("Be briefer.")]),
    ]));
    let mark = json!({"type": "ephemeral"});
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "Go"}]},
            {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": mark}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Done"}]},
            {"role": "user", "content": [{"type": "text", "text": "On"}]},
            {"role": "system", "content": [{"type": "text", "text": "Be briefer.", "cache_control": mark}]},
        ])
    );
}

/// A conversation with whatever can stand at the end of an input.
fn long() -> Vec<Arc<Message>> {
    let image = r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}"#;
    vec![
        user(vec![text("Look"), Block::Media(raw(image))]),
        assistant(vec![tool_use("a", "bash", json!({})), tool_use("b", "bash", json!({"z": 1, "a": 2.50}))]),
        user(vec![tool_result("a", vec![text("x")], false), tool_result("b", vec![Block::Media(raw(image))], true)]),
        assistant(vec![text("Done")]),
        user(vec![text("Again")]),
        system(vec![text("Be brief.")]),
        assistant(vec![Block::Opaque { provider: "anthropic", raw: raw(r#"{"type":"thinking" }"#) }, text("So")]),
        user(vec![text("And?"), text("Well?")]),
    ]
}

/// The bodies of the requests that such a conversation took, in order.
fn bodies() -> Vec<String> {
    let messages = long();
    let asked = (1..=messages.len()).filter(|count| messages.get(*count).is_none_or(|next| !is_input(next)));
    let asked = asked.filter(|count| is_input(&messages[count - 1]));
    asked.map(|count| String::from_utf8(body(&request(messages[..count].to_vec())).unwrap()).unwrap()).collect()
}

fn is_input(message: &Message) -> bool {
    message.role != crate::Role::Assistant
}

#[test]
fn no_request_carries_more_than_four_marks() {
    let counts: Vec<_> = bodies().iter().map(|body| body.matches(MARK).count()).collect();
    assert_eq!(counts, [3, 4, 4, 4]);
}

#[test]
fn up_to_every_mark_the_next_request_says_the_same() {
    let bodies = bodies();
    for pair in bodies.windows(2) {
        let next = pair[1].replace(MARK, "");
        for (mark, _) in pair[0].match_indices(MARK) {
            let before = pair[0][..mark].replace(MARK, "");
            assert!(next.starts_with(&before), "{before}\nis not how this begins:\n{next}");
        }
    }
}

#[test]
fn the_newest_mark_of_a_request_is_the_second_newest_of_the_next() {
    let place = |body: &str, from_the_end: usize| {
        let (mark, _) = body.rmatch_indices(MARK).nth(from_the_end).unwrap();
        body[..mark].replace(MARK, "")
    };
    for pair in bodies().windows(2) {
        assert_eq!(place(&pair[1], 1), place(&pair[0], 0));
    }
}
