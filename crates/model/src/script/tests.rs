use std::time::Duration;

use futures::StreamExt;
use serde_json::json;

use super::*;
use crate::{
    Block, Kind, Stop,
    testing::{Played, assistant, collect, request, system, text, tool_result, user},
};

fn script(yaml: &str) -> Script {
    Script::parse("test", yaml).unwrap()
}

fn refusal(yaml: &str) -> String {
    Script::parse("test", yaml).unwrap_err().to_string()
}

/// What the script answers once `played` answers lie behind.
async fn answer(script: &Script, played: usize) -> Played {
    let mut messages = vec![user(vec![text("Hello there")])];
    for _ in 0..played {
        messages.push(assistant(vec![text("earlier")]));
        messages.push(user(vec![text("go on")]));
    }
    collect(script, request(messages)).await
}

fn said(played: &Played) -> String {
    let text = |block: &Block| match block {
        Block::Text(text) => Some(text.clone()),
        _ => None,
    };
    played.response().content.iter().filter_map(text).collect()
}

#[tokio::test]
async fn a_turn_thinks_speaks_and_calls() {
    let script = script(
        r#"
turns:
  - think: "hm: {{last_text}}"
    say: "You said {{last_text}}  twice."
    call:
      - { tool: bash, input: { command: "echo '{{last_text}}'", timeout_ms: 5 } }
      - { tool: read, malformed_input: "not json {" }
"#,
    );
    let played = answer(&script, 0).await;
    assert_eq!(played.streamed(1), "You said Hello there  twice.");
    let response = played.response();
    let [Block::Opaque { provider: "script", raw }, Block::Text(_), Block::ToolUse(first), Block::ToolUse(second)] =
        &response.content[..]
    else {
        panic!("{response:?}");
    };
    assert_eq!(raw.get(), r#"{"thinking":"hm: Hello there","type":"thinking"}"#);
    assert_eq!(first.id, "toolu_script_1_1");
    assert_eq!(json!(first.input), json!({"command": "echo 'Hello there'", "timeout_ms": 5}));
    assert_eq!(second.id, "toolu_script_1_2");
    assert!(second.input.is_empty() && second.malformed.is_some());
    assert_eq!(response.stop, Stop::ToolUse);
    assert_eq!(response.model, "script/test");
    assert!(response.usage.input > 0 && response.usage.output > 0);
    assert!(matches!(played.events[0], Event::BlockStart { index: 0, kind: Kind::Thinking }));
}

#[tokio::test]
async fn the_turn_is_found_by_counting_so_a_restart_goes_on() {
    let yaml = "turns: [{say: one}, {say: two}]\nthen: {say: end}";
    for (played, expected) in [(0, "one"), (1, "two"), (2, "end"), (7, "end")] {
        // A new instance each time, as after a restart of the server.
        assert_eq!(said(&answer(&script(yaml), played).await), expected);
    }
    assert_eq!(said(&answer(&script("turns: [{say: one}]"), 1).await), "The script has no more turns.");
    let again = script("turns: [{say: one}, {say: two}]\nthen: restart");
    assert_eq!(said(&answer(&again, 2).await), "one");
    assert_eq!(said(&answer(&again, 5).await), "two");
}

#[tokio::test]
async fn an_unmet_expectation_says_what_came_instead() {
    let script = script("turns: [{expect: {last: user, contains: [Hello, bye]}, say: hi}]");
    let played = answer(&script, 0).await;
    let said = said(&played);
    assert!(said.contains("`test`") && said.contains("turn 1") && said.contains("\"bye\""), "{said}");
    assert!(said.contains("Hello there"), "{said}");
    assert_eq!(played.response().stop, Stop::EndTurn);
}

#[tokio::test]
async fn each_kind_of_expectation_can_fail_and_be_met() {
    let result = || vec![assistant(vec![]), user(vec![tool_result("a", vec![text("exit 1")], true)])];
    let question = || vec![assistant(vec![]), user(vec![text("exit 1")])];
    for (expect, messages, met) in [
        ("last: tool_result", result(), true),
        ("last: tool_result", question(), false),
        ("last: user", question(), true),
        ("last: user", result(), false),
        ("is_error: true", result(), true),
        ("is_error: false", result(), false),
        ("contains: exit 1", result(), true),
        ("contains: exit 2", result(), false),
        ("not_contains: exit 2", result(), true),
        ("not_contains: exit 1", result(), false),
    ] {
        let script = script(&format!("turns: [{{}}, {{expect: {{{expect}}}, say: met}}]"));
        let said = said(&collect(&script, request(messages)).await);
        assert_eq!(said == "met", met, "{expect}: {said}");
    }
}

#[tokio::test]
async fn a_failure_happens_as_often_as_it_should() {
    let script = script(
        "turns: [{say: one two three, fail: {error: rate_limited, after_deltas: 2, times: 2, retry_after_ms: 70}}]",
    );
    for _ in 0..2 {
        let failed = answer(&script, 0).await;
        assert_eq!(failed.streamed(0), "one two ");
        assert_eq!(failed.error.and_then(|error| error.retry_after()), Some(Duration::from_millis(70)));
        assert!(!failed.events.iter().any(|event| matches!(event, Event::Finished(_))));
    }
    assert_eq!(said(&answer(&script, 0).await), "one two three");
}

#[tokio::test]
async fn every_error_can_be_played() {
    for name in [
        "overloaded",
        "rate_limited",
        "server",
        "connection",
        "unauthorized",
        "billing",
        "invalid",
        "malformed",
        "too_long",
    ] {
        let script = script(&format!("turns: [{{say: hi, fail: {{error: {name}}}}}]"));
        let failed = answer(&script, 0).await;
        assert!(failed.events.is_empty() && failed.error.is_some(), "{name}");
    }
}

#[tokio::test]
async fn an_endless_turn_streams_until_it_is_dropped() {
    let script = script("turns: [{say: la, endless: true}]");
    let stream = script.stream(request(vec![user(vec![text("sing")])]));
    let sung: Vec<_> = stream.take(4).collect().await;
    assert!(
        matches!(&sung[..], [Ok(Event::BlockStart { .. }), Ok(Event::TextDelta { text, .. }), Ok(_), Ok(_)] if text == "la ")
    );
}

#[tokio::test]
async fn a_stop_can_be_named() {
    let refused = answer(&script("turns: [{say: no, stop: refusal}]"), 0).await;
    assert_eq!(refused.response().stop, Stop::Refusal { category: None, explanation: None });
    let cut = answer(&script("turns: [{say: I was ab, stop: max_tokens}]"), 0).await;
    assert_eq!(cut.response().stop, Stop::MaxTokens);
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_told_from_other_refusals() {
    let failed = answer(&script("turns: [{fail: {error: too_long}}]"), 0).await;
    assert!(matches!(failed.error, Some(Error::TooLong(_))));
}

#[tokio::test]
async fn the_usage_is_counted_unless_it_is_told() {
    let told = answer(&script("turns: [{say: hi, usage: {input: 9000, cache_read: 70}}]"), 0).await.response().usage;
    assert_eq!((told.input, told.output, told.cache_read), (9000, 1, 70));
    let counted = answer(&script("turns: [{say: hi, usage: {output: 5}}]"), 0).await.response().usage;
    assert!(counted.input > 0 && counted.input < 9000);
    assert_eq!((counted.output, counted.cache_read), (5, 0));
}

#[tokio::test]
async fn a_request_beside_the_conversation_has_its_own_answer() {
    let script = script(
        "turns: [{say: one}, {say: two}, {say: three}]\nasides: [{when: judge, say: no}, {when: sum up, say: short}]",
    );
    let mut aside = request(vec![user(vec![text("All of it")])]);
    aside.system = "You sum up.".to_owned();
    assert_eq!(said(&collect(&script, aside).await), "short");
    // What came of it stands for two answers.
    let summed_up = vec![user(vec![text("A summary. [answers before: 2]")])];
    assert_eq!(said(&collect(&script, request(summed_up)).await), "three");
    assert_eq!(said(&answer(&script, 0).await), "one");
}

#[tokio::test]
async fn an_aside_can_expect_and_fail() {
    let script = script("then: {say: hi}\nasides: [{when: sum, expect: {contains: all}, fail: {error: invalid}}]");
    let ask = |said: &str| {
        let mut aside = request(vec![user(vec![text(said)])]);
        aside.system = "sum".to_owned();
        aside
    };
    assert!(matches!(collect(&script, ask("all of it")).await.error, Some(Error::Invalid(_))));
    assert!(collect(&script, ask("all of it")).await.error.is_none());
    let complaint = said(&collect(&script, ask("a part")).await);
    assert!(complaint.contains("in aside 1") && complaint.contains("a part"), "{complaint}");
}

#[tokio::test]
async fn a_system_message_can_be_expected_and_repeated() {
    let script = script("turns: [{expect: {last: user, system: brief}, say: 'told: {{last_system}}'}]");
    let told = request(vec![user(vec![text("Go")]), system(vec![text("Be brief.")])]);
    assert_eq!(said(&collect(&script, told).await), "told: Be brief.");
    assert!(said(&answer(&script, 0).await).contains("system message"));
}

#[test]
fn an_unknown_key_is_an_error_that_names_it() {
    for (yaml, named) in [
        ("turns: [{sya: hi}]", "sya"),
        ("turns: [{say: hi}]\nthan: {}", "than"),
        ("turns: [{expect: {containz: x}}]", "containz"),
        ("turns: [{call: [{tool: bash, inputs: {}}]}]", "inputs"),
        ("turns: [{say: hi}]\nthen: {sai: x}", "sai"),
        ("turns: [{say: hi}]\nthen: again", "again"),
        ("turns: [{fail: {error: tired}}]", "tired"),
        ("turns: [{say: hi, usage: {inputs: 5}}]", "inputs"),
    ] {
        let refusal = refusal(yaml);
        assert!(
            refusal.contains(&format!("`{named}`")) || refusal.contains(&format!("\"{named}\"")),
            "{yaml}: {refusal}"
        );
    }
}

#[test]
fn a_script_that_cannot_be_played_is_refused() {
    assert!(refusal("turns: []").contains("no turns"));
    assert!(refusal("then: restart").contains("no turns"));
    assert!(refusal("turns: [{endless: true, call: [{tool: a}]}]").contains("turn 1"));
    assert!(refusal("turns: [{endless: true, usage: {input: 5}}]").contains("turn 1"));
    assert!(refusal("turns: [{when: asked, say: hi}]").contains("turn 1"));
    assert!(refusal("turns: [{say: hi}]\nasides: [{say: hi}]").contains("aside 1"));
    assert!(refusal("turns: [{call: [{tool: a, input: {b: 1}, malformed_input: x}]}]").contains("turn 1"));
    assert!(refusal(": [").contains("`test`"));
}

#[tokio::test]
async fn the_built_in_scripts_can_be_read() {
    for name in builtin_names() {
        assert_eq!(builtin(name).map(|script| script.name().to_owned()).as_deref(), Some(name));
    }
    assert!(builtin("nobody").is_none());
    let echo = builtin("echo").unwrap();
    assert_eq!(said(&answer(&echo, 0).await), "Hello there");
    assert_eq!(said(&answer(&echo, 3).await), "go on");
}
