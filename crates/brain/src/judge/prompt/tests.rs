use serde_json::json;

use super::*;
use crate::judge::testing::{bash, call};

fn shown(seen: &Seen, before: &[Block], call: &ToolUse) -> Option<Value> {
    let case = Case { seen, withheld: Withheld::default(), before, call };
    case.shown().map(|shown| serde_json::from_str(&shown).unwrap())
}

fn said(texts: impl IntoIterator<Item = String>) -> Seen {
    Seen { intent: texts.into_iter().collect(), calls: Vec::new() }
}

fn length(of: &Value) -> usize {
    of.as_str().unwrap().chars().count()
}

#[test]
fn what_the_judge_is_told() {
    insta::assert_snapshot!(system("0123456789abcdef"));
}

#[test]
fn a_case_is_the_users_words_the_earlier_calls_and_the_call() {
    let calls = vec![("bash".to_owned(), bash("ls").input)];
    let seen = Seen { intent: vec!["list \"all\"\n}".into(), " ".into(), "now count".into()], calls };
    let before = [Block::Text("I'll count.".into()), Block::ToolUse(call("read", json!({"file_path": "a"})))];
    let messages = [
        Message { role: Role::User, content: vec![Block::Text("12345".into())] },
        Message { role: Role::Assistant, content: vec![Block::Text("1234".into()), Block::ToolUse(bash("ls"))] },
        Message {
            role: Role::User,
            content: vec![
                Block::ToolResult { tool_use_id: "1".into(), content: vec![Block::Text("12".into())], is_error: false },
                Block::ToolResult { tool_use_id: "2".into(), content: vec![Block::Text("3".into())], is_error: true },
            ],
        },
    ];
    let withheld = Withheld::of(&messages.map(Arc::new));
    let case = Case { seen: &seen, withheld, before: &before, call: &bash("wc -l") };
    let shown: Value = serde_json::from_str(&case.shown().unwrap()).unwrap();
    let expected = json!({
        "user_messages": ["list \"all\"\n}", "now count"],
        "earlier_calls": [
            {"tool": "bash", "input": "{\"command\":\"ls\"}"},
            {"tool": "read", "input": "{\"file_path\":\"a\"}"},
        ],
        "not_shown": {"bytes_returned_by_tools": 3, "bytes_written_by_the_agent": 4},
        "call": {"tool": "bash", "input": {"command": "wc -l"}},
    });
    assert_eq!(shown, expected);
}

#[test]
fn a_long_message_is_shown_by_its_beginning_and_its_end() {
    let text = format!("begin{}end", "é".repeat(10_000));
    let shown = shown(&said([text]), &[], &bash("ls")).unwrap();
    let message = &shown["user_messages"][0];
    assert!(message["begins"].as_str().unwrap().starts_with("begin"));
    assert!(message["ends"].as_str().unwrap().ends_with("end"));
    assert_eq!(length(&message["begins"]) + length(&message["ends"]), 4_000);
    assert_eq!(message["characters_left_out"], 6_008);
}

#[test]
fn the_newest_messages_are_shown_as_many_as_there_is_room_for() {
    let texts = (0..30).map(|place| format!("{place:02}{}", "x".repeat(1_998)));
    let shown = shown(&said(texts), &[], &bash("ls")).unwrap();
    let messages = shown["user_messages"].as_array().unwrap();
    assert_eq!(messages.len(), 12);
    assert!(messages[0].as_str().unwrap().starts_with("18"));
    assert!(messages[11].as_str().unwrap().starts_with("29"));
}

#[test]
fn the_newest_calls_are_shown_and_not_all_of_a_long_one() {
    let many = (0..60).map(|place| ("bash".to_owned(), bash(&format!("echo {place}")).input)).collect();
    let seen = Seen { intent: Vec::new(), calls: many };
    let beside = [Block::ToolUse(bash("echo last"))];
    let shown_calls = |seen: &Seen| shown(seen, &beside, &bash("ls")).unwrap()["earlier_calls"].clone();
    let calls = shown_calls(&seen);
    assert_eq!(calls.as_array().unwrap().len(), 40);
    assert_eq!(calls[0]["input"], "{\"command\":\"echo 21\"}");
    assert_eq!(calls[39]["input"], "{\"command\":\"echo last\"}");

    let long = (0..20).map(|_| ("n".repeat(1_000), bash(&"x".repeat(9_000)).input)).collect();
    let calls = shown_calls(&Seen { intent: Vec::new(), calls: long });
    // Eleven of 2,000 characters beside the short one: there is no room for a twelfth.
    assert_eq!(calls.as_array().unwrap().len(), 12);
    assert_eq!(length(&calls[0]["tool"]), 128);
    assert_eq!(length(&calls[0]["input"]["begins"]) + length(&calls[0]["input"]["ends"]), 2_000);
}

#[test]
fn a_call_is_shown_whole_or_not_at_all() {
    let around = serde_json::to_string(&bash("").input).unwrap().len();
    let most = bash(&"é".repeat(16_000 - around));
    let shown_whole = shown(&Seen::default(), &[], &most).unwrap();
    assert_eq!(shown_whole["call"]["input"], Value::Object(most.input.clone()));
    assert_eq!(shown(&Seen::default(), &[], &bash(&"é".repeat(16_001 - around))), None);
}
