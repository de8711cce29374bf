//! Turns whose commands leave traces: they show what ran, how often, and whether it was always in the same shell.

use serde_json::Value;

use crate::account::{account, kind, results, said};
use crate::client::Client;

/// A turn with a part that takes its time, so that something can happen meanwhile.
pub(crate) struct Trace {
    name: &'static str,
    script: &'static str,
    /// That the part has begun is told by so many events of a type.
    begins: (&'static str, usize),
    results: &'static [&'static str],
}

/// A call takes its time.
pub(crate) const CALLS: Trace = Trace {
    name: "calls",
    script: r#"
turns:
  - say: "I begin."
    call:
      - { tool: bash, input: { command: "cd /tmp; X=kept; echo one >> /workspace/ran; echo did one" } }
  - call:
      - { tool: bash, input: { command: "echo two >> /workspace/ran; sleep 2; echo did two" } }
  - call:
      - { tool: bash, input: { command: "echo three >> /workspace/ran; pwd; echo $X" } }
  - call:
      - { tool: bash, input: { command: "cat /workspace/ran" } }
  - say: "Done."
"#,
    begins: ("agent.tool_use", 2),
    results: &["did one", "did two", "/tmp\nkept", "one\ntwo\nthree"],
};

/// An answer does.
pub(crate) const SPEAKS: Trace = Trace {
    name: "speaks",
    script: r#"
turns:
  - call:
      - { tool: bash, input: { command: "cd /tmp; X=kept; echo one >> /workspace/ran; echo did one" } }
  - say: "This is said one word after another, and so slowly that there is time to stop whoever listens to it."
    delay_ms: 150
    call:
      - { tool: bash, input: { command: "echo two >> /workspace/ran; pwd; echo $X" } }
  - call:
      - { tool: bash, input: { command: "cat /workspace/ran" } }
  - say: "Done."
"#,
    begins: ("span.model_request_start", 2),
    results: &["did one", "/tmp\nkept", "one\ntwo"],
};

impl Trace {
    /// For the place where it is played.
    pub(crate) fn script(&self) -> (&'static str, &'static str) {
        (self.name, self.script)
    }

    pub(crate) async fn begin(&self, client: &Client) -> String {
        let session = client.session(&format!("script/{}", self.name)).await;
        client.say(&session, "Begin.").await;
        session
    }

    /// Begins it, and waits until the part is reached that takes its time.
    pub(crate) async fn reach(&self, client: &Client) -> String {
        let session = self.begin(client).await;
        let (kind, count) = self.begins;
        client.events_of(&session, kind, count).await;
        session
    }

    /// Each call ran once, in one shell, and the turn came to its end.
    pub(crate) async fn is_done_once(&self, client: &Client, session: &str) -> Vec<Value> {
        let events = account(client, session).await;
        assert_eq!(results(&events), self.results);
        assert_eq!(said(&events), "Done.");
        assert_eq!(events.last().unwrap()["stop_reason"]["type"], "end_turn");
        events
    }
}

/// Nobody who reads these events learns that there was more than one server.
pub(crate) fn undisturbed(events: &[Value]) {
    let troubles = ["session.error", "session.status_rescheduled", "session.thread_status_rescheduled"];
    let trouble = events.iter().find(|event| troubles.contains(&kind(event)));
    assert_eq!(trouble, None, "in {events:#?}");
    let begun = events.iter().filter(|event| kind(event) == "session.status_running").count();
    assert_eq!(begun, 1, "the turn begins once: {events:#?}");
}
