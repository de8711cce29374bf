//! A hand that says when its sandbox has run out of memory.
//!
//! The daemon cannot: inside, a process that was killed for that looks like any other that was killed. Outside, the
//! kernel counts those that it has ended in the sandbox's groups, and the watchdog those that it has ended itself.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use tokio::task::spawn_blocking;

use super::groups;
use crate::{Address, Content, Entry, Execute, Found, Hand, Lost, Outcome};

/// What a daemon says too that knows of it.
const REACHED: &str = "memory limit";

/// The only tool whose processes can be ended. The others are the daemon's own, and hold little.
const RUNS_PROCESSES: &str = "bash";

/// Processes of one sandbox that were ended for want of memory, counted from its start.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) groups: Vec<PathBuf>,
    pub(super) by_watchdog: Arc<AtomicU64>,
}

impl Ended {
    fn count(&self) -> u64 {
        groups::ended(&self.groups).saturating_add(self.by_watchdog.load(Ordering::Relaxed))
    }
}

pub(super) struct Observed<H> {
    hand: H,
    ended: Arc<Ended>,
    /// How many of them somebody has been told of.
    told: AtomicU64,
    /// Bytes.
    limit: u64,
}

impl<H: Hand> Observed<H> {
    /// What was ended before is nobody's concern any more. `limit` is that of the sandbox's memory, in bytes.
    pub(super) async fn new(hand: H, ended: Ended, limit: u64) -> Self {
        let observed = Self { hand, ended: Arc::new(ended), told: AtomicU64::new(0), limit };
        let before = observed.count().await;
        observed.told.store(before, Ordering::Relaxed);
        observed
    }

    async fn count(&self) -> u64 {
        let ended = Arc::clone(&self.ended);
        // Only a task that was aborted or has panicked is not waited for to its end.
        spawn_blocking(move || ended.count()).await.unwrap_or(0)
    }

    /// Commands run one after another: what was ended since somebody was last told has to do with this one, or with what an
    /// earlier one has left running.
    async fn explain(&self, outcome: Outcome) -> Outcome {
        let count = self.count().await;
        if self.told.fetch_max(count, Ordering::Relaxed) < count { with_line(outcome, self.limit) } else { outcome }
    }

    /// A sandbox that is gone with all that was in it, and whether it was for want of memory.
    async fn explain_loss(&self, lost: Lost) -> Lost {
        match lost {
            Lost::Gone(why) => {
                let news = self.told.load(Ordering::Relaxed) < self.count().await;
                Lost::Gone(if news { format!("{why}; {}", reached(self.limit)) } else { why })
            }
            // One whose kernel was ended for that goes on without its processes.
            Lost::Refused(why) if !why.contains(REACHED) => {
                let count = self.count().await;
                let is_new = self.told.fetch_max(count, Ordering::Relaxed) < count;
                Lost::Refused(if is_new { format!("{why}; {}", reached(self.limit)) } else { why })
            }
            lost => lost,
        }
    }

    async fn explained<T>(&self, answer: Result<T, Lost>) -> Result<T, Lost> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(lost) => Err(self.explain_loss(lost).await),
        }
    }
}

fn reached(limit: u64) -> String {
    format!("its {REACHED} of {} MiB was reached, and processes were ended", limit >> 20)
}

fn with_line(mut outcome: Outcome, limit: u64) -> Outcome {
    let line = format!("[the sandbox's memory limit of {} MiB was reached; processes were ended]", limit >> 20);
    match outcome.content.last_mut() {
        Some(Content::Text { text }) => {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&line);
        }
        _ => outcome.content.push(Content::Text { text: line }),
    }
    outcome
}

#[async_trait]
impl<H: Hand> Hand for Observed<H> {
    fn address(&self) -> &Address {
        self.hand.address()
    }

    async fn execute(&self, call: Execute) -> Result<Outcome, Lost> {
        let runs_processes = call.tool == RUNS_PROCESSES;
        let outcome = self.explained(self.hand.execute(call).await).await?;
        Ok(if runs_processes { self.explain(outcome).await } else { outcome })
    }

    async fn look(&self, calls: Vec<String>) -> Result<Vec<Found>, Lost> {
        self.explained(self.hand.look(calls).await).await
    }

    async fn cancel(&self, call: &str) -> Result<(), Lost> {
        self.explained(self.hand.cancel(call).await).await
    }

    async fn outputs(&self) -> Result<(Vec<Entry>, bool), Lost> {
        self.explained(self.hand.outputs().await).await
    }

    async fn fetch(&self, path: &str, offset: u64, length: u64) -> Result<(Vec<u8>, bool), Lost> {
        self.explained(self.hand.fetch(path, offset, length).await).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "[the sandbox's memory limit of 64 MiB was reached; processes were ended]";

    /// Ends as many processes in each call as its input says: with two the sandbox, with three the daemon.
    struct Ending {
        address: Address,
        by_watchdog: Arc<AtomicU64>,
    }

    #[async_trait]
    impl Hand for Ending {
        fn address(&self) -> &Address {
            &self.address
        }

        async fn execute(&self, call: Execute) -> Result<Outcome, Lost> {
            let ended = call.input.get("ended").and_then(serde_json::Value::as_u64).unwrap_or(0);
            self.by_watchdog.fetch_add(ended, Ordering::Relaxed);
            match ended {
                0 | 1 => Ok(Outcome::text("said")),
                2 => Err(Lost::Gone("no answer".into())),
                _ => Err(Lost::Refused("not known".into())),
            }
        }

        async fn look(&self, _calls: Vec<String>) -> Result<Vec<Found>, Lost> {
            Err(Lost::Gone("no answer".into()))
        }

        async fn cancel(&self, _call: &str) -> Result<(), Lost> {
            Ok(())
        }

        async fn outputs(&self) -> Result<(Vec<Entry>, bool), Lost> {
            Ok((Vec::new(), false))
        }

        async fn fetch(&self, _path: &str, _offset: u64, _length: u64) -> Result<(Vec<u8>, bool), Lost> {
            Ok((Vec::new(), true))
        }
    }

    /// Of which `before` processes were ended already.
    async fn observed(before: u64) -> Observed<Ending> {
        let by_watchdog = Arc::new(AtomicU64::new(before));
        let address = Address {
            backend: "namespace".into(),
            directory: "hands/one".into(),
            incarnation: "one".into(),
            home: None,
        };
        let ended = Ended { groups: Vec::new(), by_watchdog: Arc::clone(&by_watchdog) };
        Observed::new(Ending { address, by_watchdog }, ended, 64 << 20).await
    }

    async fn call(hand: &impl Hand, tool: &str, ended: u64) -> Result<Outcome, Lost> {
        let input = serde_json::Map::from_iter([("ended".to_owned(), ended.into())]);
        hand.execute(Execute { call: "call".into(), tool: tool.into(), input }).await
    }

    #[tokio::test]
    async fn the_call_in_which_processes_were_ended_says_so_and_no_other_does() {
        let hand = observed(7).await;
        assert_eq!(call(&hand, "bash", 0).await.unwrap(), Outcome::text("said"));
        assert_eq!(call(&hand, "bash", 1).await.unwrap(), Outcome::text(format!("said\n{LINE}")));
        assert_eq!(call(&hand, "bash", 0).await.unwrap(), Outcome::text("said"));
    }

    #[tokio::test]
    async fn what_was_ended_between_two_commands_is_told_with_the_second() {
        let hand = observed(0).await;
        assert_eq!(call(&hand, "read", 1).await.unwrap(), Outcome::text("said"));
        assert_eq!(call(&hand, "bash", 0).await.unwrap(), Outcome::text(format!("said\n{LINE}")));
    }

    #[tokio::test]
    async fn a_sandbox_that_is_gone_says_whether_it_was_for_want_of_memory() {
        let hand = observed(0).await;
        let why = |lost: Lost| lost.to_string();
        let plain = "the sandbox is gone: no answer";
        assert_eq!(hand.look(Vec::new()).await.map_err(why).unwrap_err(), plain);
        let full = format!("{plain}; its memory limit of 64 MiB was reached, and processes were ended");
        assert_eq!(call(&hand, "bash", 2).await.map_err(why).unwrap_err(), full);
    }

    #[tokio::test]
    async fn a_call_of_which_nothing_is_known_says_once_that_it_was_for_want_of_memory() {
        let hand = observed(0).await;
        let why = |lost: Lost| lost.to_string();
        let plain = "the sandbox refused: not known";
        let full = format!("{plain}; its memory limit of 64 MiB was reached, and processes were ended");
        assert_eq!(call(&hand, "bash", 3).await.map_err(why).unwrap_err(), full);
        assert_eq!(call(&hand, "bash", 0).await.unwrap(), Outcome::text("said"));
    }

    #[test]
    fn the_line_stands_alone_where_there_is_no_text() {
        let none = Outcome { content: Vec::new(), is_error: false };
        assert_eq!(with_line(none, 64 << 20), Outcome::text(LINE));
        assert_eq!(with_line(Outcome::error("said\n"), 64 << 20), Outcome::error(format!("said\n{LINE}")));
    }
}
