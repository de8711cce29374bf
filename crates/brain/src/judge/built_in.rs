//! The rules that Stead brings along. They suppose that the call runs in a sandbox of the session's own, in which
//! reading gives away nothing: what is read goes to the agent.

use serde_json::{Map, Value};

use super::{Ruling, command};

/// Where an agent's work lies: directories whose files are its own to change.
const WORKPLACES: [&str; 3] = ["/workspace", "/mnt/session/outputs", "/tmp"];

pub(super) fn verdict(tool: &str, input: &Map<String, Value>) -> Ruling {
    let text = |field: &str| input.get(field).and_then(Value::as_str);
    match tool {
        "read" | "glob" | "grep" => Ruling::Allow,
        "write" | "edit" if text("file_path").is_some_and(is_own) => Ruling::Allow,
        // A restart ends whatever runs in the shell, and runs no command.
        "bash" if !restarts(input) => text("command").map_or(Ruling::Unsure, command::verdict),
        _ => Ruling::Unsure,
    }
}

fn restarts(input: &Map<String, Value>) -> bool {
    !matches!(input.get("restart"), None | Some(Value::Null | Value::Bool(false)))
}

/// Whether the path, absolute or in /workspace, is surely of a file in a workplace.
fn is_own(path: &str) -> bool {
    if path.chars().any(char::is_control) || path.split('/').any(|part| part == "..") {
        return false;
    }
    let below = |place: &&str| path.strip_prefix(*place)?.strip_prefix('/');
    if path.starts_with('/') { WORKPLACES.iter().filter_map(below).any(is_named) } else { is_named(path) }
}

fn is_named(rest: &str) -> bool {
    rest.split('/').any(|part| !part.is_empty() && part != ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(tool: &str, input: Value) -> Ruling {
        verdict(tool, input.as_object().unwrap())
    }

    #[test]
    fn looking_is_allowed() {
        for tool in ["read", "glob", "grep"] {
            assert_eq!(of(tool, json!({"file_path": "/etc/passwd", "pattern": "x"})), Ruling::Allow);
        }
    }

    #[test]
    fn files_of_the_work_may_be_changed_and_others_are_left_open() {
        let table = [
            ("/workspace/a/b.rs", Ruling::Allow),
            ("/mnt/session/outputs/report.md", Ruling::Allow),
            ("/tmp/x", Ruling::Allow),
            ("src/main.rs", Ruling::Allow),
            ("/workspace//./a", Ruling::Allow),
            ("/workspace", Ruling::Unsure),
            ("/workspace/", Ruling::Unsure),
            ("/workspace/.", Ruling::Unsure),
            ("/workspaces/a", Ruling::Unsure),
            ("/tmpx", Ruling::Unsure),
            ("/etc/passwd", Ruling::Unsure),
            ("/workspace/../etc/passwd", Ruling::Unsure),
            ("../etc/passwd", Ruling::Unsure),
            ("/mnt/session/uploads/data.csv", Ruling::Unsure),
            ("//workspace/a", Ruling::Unsure),
            ("/workspace/a\u{0}b", Ruling::Unsure),
            ("", Ruling::Unsure),
        ];
        for (path, expected) in table {
            for tool in ["write", "edit"] {
                assert_eq!(of(tool, json!({"file_path": path, "content": "x"})), expected, "{tool} {path}");
            }
        }
        assert_eq!(of("write", json!({"content": "x"})), Ruling::Unsure);
        assert_eq!(of("write", json!({"file_path": ["/tmp/x"]})), Ruling::Unsure);
    }

    #[test]
    fn commands_are_judged_by_what_they_do() {
        assert_eq!(of("bash", json!({"command": "ls"})), Ruling::Allow);
        assert_eq!(of("bash", json!({"command": "rm -rf /"})), Ruling::Deny);
        assert_eq!(of("bash", json!({"command": "make"})), Ruling::Unsure);
        assert_eq!(of("bash", json!({"command": ["ls"]})), Ruling::Unsure);
        assert_eq!(of("bash", json!({"command": "ls", "restart": true})), Ruling::Unsure);
        assert_eq!(of("bash", json!({"command": "ls", "restart": false})), Ruling::Allow);
        assert_eq!(of("bash", json!({})), Ruling::Unsure);
    }

    #[test]
    fn a_tool_that_no_rule_knows_is_left_open() {
        assert_eq!(of("web_fetch", json!({"url": "https://example.com"})), Ruling::Unsure);
    }
}
