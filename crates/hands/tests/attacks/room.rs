//! One sandbox, and the programs in it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hands::{Content, Execute, Hand, Limits, Outcome, Spec};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    attack::{Attack, SHARED, source},
    house::House,
};

/// Where the programs are inside.
pub(crate) const PLACE: &str = "/workspace/attacks";

/// No program takes as long.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// How long the next call may take, in which next to nothing is done; and how long once everything else was ended.
const NEXT: Duration = Duration::from_secs(4);
const ANEW: Duration = Duration::from_secs(10);

/// A hand that does not answer by then never will: its own limits on a call are shorter.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) hand: Box<dyn Hand>,
}

impl Room {
    pub(crate) async fn open(house: &House, name: &str, limits: Limits) -> Self {
        let uploads = vec![(house.input.clone(), "/input.txt".to_owned())];
        let spec = Spec { name: name.to_owned(), uploads, limits, ..Spec::default() };
        let made = timeout(PATIENCE, house.sandbox.provision(&spec, 1)).await.expect("no sandbox in time");
        Self { name: name.to_owned(), hand: made.unwrap_or_else(|error| panic!("{error}")) }
    }

    pub(crate) async fn close(self, house: &House) {
        house.sandbox.destroy(&self.name, None).await.unwrap();
    }

    /// Lays out what all programs share.
    pub(crate) async fn furnish(&self, given: &Value) -> Result<(), String> {
        for name in SHARED {
            self.write(name, &source(name)).await?;
        }
        self.write("given.json", &given.to_string()).await
    }

    pub(crate) async fn put(&self, attack: &Attack) -> Result<(), String> {
        self.write(&attack.file(), &attack.text).await
    }

    /// Writes a file beside the programs.
    pub(crate) async fn write(&self, name: &str, content: &str) -> Result<(), String> {
        let input = json!({ "file_path": format!("{PLACE}/{name}"), "content": content });
        let outcome = self.call("write", input).await?;
        if outcome.is_error { Err(text(&outcome)) } else { Ok(()) }
    }

    /// Runs a program that lies there, with words for it. By its whole path, by which it is known on the host too.
    pub(crate) async fn python(&self, words: &str, limit: Duration) -> Result<String, String> {
        self.bash(&format!("cd {PLACE} && python3 {PLACE}/{words} 2>&1"), limit).await
    }

    pub(crate) async fn bash(&self, command: &str, limit: Duration) -> Result<String, String> {
        let input = json!({ "command": command, "timeout_ms": limit.as_millis() as u64 });
        self.call("bash", input).await.map(|outcome| text(&outcome))
    }

    /// Whether the next call works: a program that runs, if need be after everything was ended.
    pub(crate) async fn goes_on(&self) -> Result<(), String> {
        let alive = |said: &Result<String, String>| said.as_ref().is_ok_and(|text| text.trim_end().ends_with("alive"));
        let first = self.bash("/bin/echo alive", NEXT).await;
        if alive(&first) {
            return Ok(());
        }
        self.restart().await?;
        let second = self.bash("/bin/echo alive", ANEW).await;
        if alive(&second) { Ok(()) } else { Err(format!("the session does not go on: {first:?}, then {second:?}")) }
    }

    /// Ends every process but the daemon.
    pub(crate) async fn restart(&self) -> Result<(), String> {
        self.call("bash", json!({ "restart": true })).await.map(drop)
    }

    pub(crate) async fn call(&self, tool: &str, input: Value) -> Result<Outcome, String> {
        static CALLS: AtomicU64 = AtomicU64::new(1);
        let id = format!("call_{}", CALLS.fetch_add(1, Ordering::Relaxed));
        self.call_as(&id, tool, input).await
    }

    pub(crate) async fn call_as(&self, id: &str, tool: &str, input: Value) -> Result<Outcome, String> {
        let Value::Object(input) = input else { panic!("an input is an object: {input}") };
        let execute = Execute { call: id.to_owned(), tool: tool.to_owned(), input };
        match timeout(PATIENCE, self.hand.execute(execute)).await {
            Ok(outcome) => outcome.map_err(|lost| lost.to_string()),
            Err(_) => Err(format!("no answer in {} seconds", PATIENCE.as_secs())),
        }
    }
}

/// All the text of an outcome.
pub(crate) fn text(outcome: &Outcome) -> String {
    let part = |content: &Content| match content {
        Content::Text { text } => text.clone(),
        Content::Image { data, .. } | Content::Document { data, .. } => data.clone(),
    };
    outcome.content.iter().map(part).collect()
}
