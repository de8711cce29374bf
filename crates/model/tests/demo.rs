//! The demo's script, played with its own data and the machine's own tools: every expectation in it must be met, and
//! what it writes must be what it says. Only sh, awk, perl and the usual small tools are needed, as in the sandbox.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use futures::StreamExt;
use model::{
    Block, Client, Event, Message, Request, Response, Role, Stop, ToolUse,
    script::{Script, builtin},
};

const SCRIPT: &str = include_str!("../src/script/demo.yaml");
const DATA: &str = include_str!("../../../demo/sales.csv");
const TASK: &str = include_str!("../../../demo/task.txt");

/// A directory that stands for the sandbox's root.
fn sandbox() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
    if root.exists() {
        fs::remove_dir_all(&root).unwrap();
    }
    fs::create_dir_all(root.join("workspace")).unwrap();
    fs::create_dir_all(root.join("session/uploads")).unwrap();
    fs::write(root.join("session/uploads/sales.csv"), DATA).unwrap();
    root
}

/// The script with the sandbox's paths moved below `root`, and without its pauses.
fn script(root: &Path) -> Script {
    let yaml = SCRIPT
        .replace("/mnt/session", root.join("session").to_str().unwrap())
        .replace("/workspace", root.join("workspace").to_str().unwrap())
        .replace("delay_ms: 12", "delay_ms: 0");
    Script::parse("demo", &yaml).unwrap()
}

/// The built-in tools, as far as the demo uses them.
fn run(call: &ToolUse, root: &Path) -> (String, bool) {
    let field = |name: &str| call.input[name].as_str().unwrap().to_owned();
    match call.name.as_str() {
        "bash" => {
            let output = Command::new("sh")
                .arg("-c")
                .arg(field("command"))
                .current_dir(root.join("workspace"))
                .output()
                .unwrap();
            let text = [output.stdout, output.stderr].concat();
            (String::from_utf8(text).unwrap(), !output.status.success())
        }
        "read" => {
            let text = fs::read_to_string(field("file_path")).unwrap();
            let range = call.input["view_range"].as_array().unwrap();
            let line = |place: usize| usize::try_from(range[place].as_u64().unwrap()).unwrap();
            let lines: Vec<_> = text.lines().skip(line(0) - 1).take(line(1) + 1 - line(0)).collect();
            (lines.join("\n"), false)
        }
        "grep" => {
            let path = field("path");
            let text = fs::read_to_string(&path).unwrap();
            let hits = text.lines().enumerate().filter(|(_, line)| line.contains(&field("pattern")));
            let hits: Vec<_> = hits.map(|(place, line)| format!("{path}:{}:{line}", place + 1)).collect();
            (hits.join("\n"), false)
        }
        "write" => {
            fs::write(field("file_path"), field("content")).unwrap();
            ("written".to_owned(), false)
        }
        "edit" => {
            let text = fs::read_to_string(field("file_path")).unwrap();
            assert_eq!(text.matches(&field("old_string")).count(), 1);
            fs::write(field("file_path"), text.replace(&field("old_string"), &field("new_string"))).unwrap();
            ("edited".to_owned(), false)
        }
        other => panic!("the demo calls {other}"),
    }
}

fn message(role: Role, content: Vec<Block>) -> Arc<Message> {
    Arc::new(Message { role, content })
}

async fn answer(script: &Script, messages: &[Arc<Message>]) -> Response {
    let request = Request {
        model: "script/demo".to_owned(),
        system: String::new(),
        messages: messages.to_vec(),
        tools: Vec::new(),
        max_tokens: 1000,
        effort: None,
    };
    let mut events: Vec<_> = script.stream(request).collect().await;
    match events.pop() {
        Some(Ok(Event::Finished(response))) => *response,
        other => panic!("{other:?}"),
    }
}

fn said(response: &Response) -> String {
    let text = |block: &Block| match block {
        Block::Text(text) => Some(text.clone()),
        _ => None,
    };
    response.content.iter().filter_map(text).collect()
}

#[tokio::test]
async fn the_demo_fails_once_recovers_and_tells_the_truth() {
    let root = sandbox();
    let script = script(&root);
    let mut messages = vec![message(Role::User, vec![Block::Text(TASK.to_owned())])];
    let mut failures = 0;
    let last = loop {
        let response = answer(&script, &messages).await;
        assert!(!said(&response).contains("stops here"), "{}", said(&response));
        if response.stop == Stop::EndTurn {
            break response;
        }
        let mut results = Vec::new();
        for block in &response.content {
            if let Block::ToolUse(call) = block {
                let (text, is_error) = run(call, &root);
                failures += u32::from(is_error);
                let content = vec![Block::Text(text)];
                results.push(Block::ToolResult { tool_use_id: call.id.clone(), content, is_error });
            }
        }
        messages.push(message(Role::Assistant, response.content));
        messages.push(message(Role::User, results));
    };
    assert_eq!(failures, 1);
    let (counted, total) = figures();
    for figure in [format!("Rows counted: {counted}, skipped: 1"), format!("Total revenue: {total}")] {
        assert!(said(&last).contains(&figure), "{figure} in {}", said(&last));
    }
    let report = fs::read_to_string(root.join("session/outputs/report.md")).unwrap();
    assert!(report.contains(&total) && report.contains("Line 38"), "{report}");
    let chart = fs::read_to_string(root.join("session/outputs/chart.svg")).unwrap();
    assert!(chart.starts_with("<svg ") && chart.trim_end().ends_with("</svg>"), "{chart}");
    assert_eq!(chart.matches("width=\"70\"").count(), 6, "a bar for each month");
}

/// The rows that count and their revenue, added up here.
fn figures() -> (usize, String) {
    let mut rows = 0;
    let mut cents = 0;
    for line in DATA.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        if let Ok(units) = fields[3].parse::<u64>() {
            rows += 1;
            cents += units * fields[4].replace('.', "").parse::<u64>().unwrap();
        }
    }
    (rows, format!("{},{:03}.{:02}", cents / 100_000, cents / 100 % 1000, cents % 100))
}

#[test]
fn the_script_that_is_built_in_is_the_one_tested_here() {
    assert!(builtin("demo").is_some());
}
