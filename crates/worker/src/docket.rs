//! Which calls of a session are to be run, by what the session's events have told so far.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde::Deserialize;
use serde_json::{Map, Value};

/// The tools that a sandbox has.
const OURS: [&str; 6] = ["bash", "read", "write", "edit", "glob", "grep"];

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) input: Map<String, Value>,
    /// Allowed, if it says nothing.
    evaluated_permission: Option<String>,
    session_thread_id: Option<String>,
}

/// What an event means for a call that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    None,
    /// It has a result, whoever has given it.
    Answered(String),
    Interrupted,
}

#[derive(Debug, Default)]
pub(crate) struct Docket {
    /// Every event that was heard of, for history and the stream overlap.
    seen: HashSet<String>,
    due: VecDeque<Call>,
    /// Calls that wait for a person's word, and words that came before their calls.
    asked: BTreeMap<String, Call>,
    confirmed: HashMap<String, bool>,
    answered: HashSet<String>,
    ended_threads: HashSet<String>,
    /// Whether the last thing that happened was the end of a turn.
    has_ended_turn: bool,
    is_over: bool,
}

impl Docket {
    pub(crate) fn note(&mut self, event: &Value) -> News {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (id, kind) = (text("id"), text("type"));
        // Some that are no part of the log have no id.
        if !id.is_empty() && !self.seen.insert(id) {
            return News::None;
        }
        self.has_ended_turn = match kind.as_str() {
            "user.tool_confirmation" | "session.thread_status_terminated" => self.has_ended_turn,
            "session.status_idle" => event["stop_reason"]["type"] != "requires_action",
            _ => false,
        };
        match kind.as_str() {
            "agent.tool_use" => self.take(event),
            "user.tool_confirmation" => self.confirm(text("tool_use_id"), event["result"] == "allow"),
            "user.tool_result" | "agent.tool_result" => {
                let call = text("tool_use_id");
                self.asked.remove(&call);
                self.answered.insert(call.clone());
                return News::Answered(call);
            }
            "user.interrupt" => return News::Interrupted,
            "session.thread_status_terminated" => {
                self.ended_threads.insert(text("session_thread_id"));
            }
            "session.status_terminated" | "session.deleted" => self.is_over = true,
            _ => {}
        }
        News::None
    }

    fn take(&mut self, event: &Value) {
        let Ok(call) = Call::deserialize(event) else {
            tracing::warn!(event = %event["id"], "a call cannot be understood, and is left alone");
            return;
        };
        if !OURS.contains(&call.name.as_str()) {
            return;
        }
        match (call.evaluated_permission.as_deref(), self.confirmed.get(&call.id)) {
            (None | Some("allow"), _) | (Some("ask"), Some(true)) => self.due.push_back(call),
            (Some("ask"), None) => drop(self.asked.insert(call.id.clone(), call)),
            // The server tells the agent.
            _ => {}
        }
    }

    fn confirm(&mut self, call: String, is_allowed: bool) {
        match self.asked.remove(&call) {
            Some(call) if is_allowed => self.due.push_back(call),
            Some(_) => {}
            None => drop(self.confirmed.insert(call, is_allowed)),
        }
    }

    /// The next call to run. It is not given twice.
    pub(crate) fn next(&mut self) -> Option<Call> {
        while let Some(call) = self.due.pop_front() {
            let has_thread = call.session_thread_id.as_ref().is_none_or(|thread| !self.ended_threads.contains(thread));
            if has_thread && !self.answered.contains(&call.id) {
                return Some(call);
            }
        }
        None
    }

    /// Whether the turn is over, and nobody's word is waited for.
    pub(crate) fn is_idle(&self) -> bool {
        self.has_ended_turn && self.due.is_empty() && self.asked.is_empty()
    }

    /// Whether the session will never have a call again.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(id: &str, name: &str, permission: &str) -> Value {
        json!({
            "id": id, "type": "agent.tool_use", "name": name, "input": {"a": 1}, "evaluated_permission": permission,
            "session_thread_id": "thread",
        })
    }

    fn docket(events: &[Value]) -> Docket {
        let mut docket = Docket::default();
        for event in events {
            docket.note(event);
        }
        docket
    }

    fn due(docket: &mut Docket) -> Vec<String> {
        std::iter::from_fn(|| docket.next()).map(|call| call.id).collect()
    }

    #[test]
    fn allowed_calls_of_our_tools_that_have_no_result_are_run_in_order_and_once() {
        let result = json!({"id": "r", "type": "user.tool_result", "tool_use_id": "two"});
        let calls = [
            call("one", "bash", "allow"),
            call("two", "read", "allow"),
            call("web", "web_search", "allow"),
            call("no", "bash", "deny"),
            result,
            call("three", "grep", "allow"),
            call("one", "bash", "allow"),
        ];
        let mut docket = docket(&calls);
        assert_eq!(due(&mut docket), ["one", "three"]);
        // History, read once more, brings nothing back.
        calls.iter().for_each(|event| drop(docket.note(event)));
        assert_eq!(due(&mut docket), [""; 0]);
    }

    #[test]
    fn a_call_that_needs_a_word_waits_for_it() {
        let word = |id: &str, call: &str, result: &str| json!({"id": id, "type": "user.tool_confirmation", "tool_use_id": call, "result": result});
        let mut docket =
            docket(&[call("one", "bash", "ask"), call("two", "bash", "ask"), word("w3", "three", "allow")]);
        assert_eq!(due(&mut docket), [""; 0]);
        docket.note(&word("w1", "one", "allow"));
        docket.note(&word("w2", "two", "deny"));
        docket.note(&call("three", "bash", "ask"));
        assert_eq!(due(&mut docket), ["one", "three"]);
    }

    #[test]
    fn a_session_is_idle_once_its_turn_is_over_and_nothing_waits() {
        let idle =
            |id: &str, reason: &str| json!({"id": id, "type": "session.status_idle", "stop_reason": {"type": reason}});
        let mut docket = docket(&[idle("i1", "requires_action")]);
        assert!(!docket.is_idle());
        docket.note(&idle("i2", "end_turn"));
        assert!(docket.is_idle());
        docket.note(&json!({"id": "t", "type": "session.thread_status_terminated", "session_thread_id": "thread"}));
        assert!(docket.is_idle(), "what a thread does afterwards begins no turn");
        docket.note(&json!({"id": "m", "type": "user.message"}));
        assert!(!docket.is_idle());
        docket.note(&call("one", "bash", "ask"));
        docket.note(&idle("i3", "end_turn"));
        assert!(!docket.is_idle(), "somebody may still say yes");
    }

    #[test]
    fn calls_of_threads_that_have_ended_are_left_alone() {
        let ended = json!({"id": "t", "type": "session.thread_status_terminated", "session_thread_id": "thread"});
        assert_eq!(due(&mut docket(&[call("one", "bash", "allow"), ended])), [""; 0]);
    }

    #[test]
    fn what_ends_a_call_or_the_session_is_told() {
        let mut docket = Docket::default();
        let result = json!({"id": "r", "type": "user.tool_result", "tool_use_id": "one"});
        assert_eq!(docket.note(&result), News::Answered("one".into()));
        assert_eq!(docket.note(&result), News::None);
        assert_eq!(docket.note(&json!({"id": "i", "type": "user.interrupt"})), News::Interrupted);
        assert!(!docket.is_over());
        docket.note(&json!({"id": "e", "type": "session.status_terminated"}));
        assert!(docket.is_over());
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        for odd in [json!(null), json!([]), json!({"type": 1}), json!({"id": "x", "type": "agent.tool_use"})] {
            let mut docket = docket(&[odd]);
            assert_eq!(docket.next(), None);
            assert!(!docket.is_over());
        }
    }
}
