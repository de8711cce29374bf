//! Programs of the host that sit there while the attacks run: one with everything to lose, one that does as it is told.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
    time::timeout,
};

use crate::attack::PROGRAMS;

/// Answers come at once; a machine that is being exhausted may be slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// The interpreter that sandboxes see too, where there are several.
pub(crate) fn python() -> PathBuf {
    let own = Path::new("/usr/bin/python3");
    if own.exists() { own.to_owned() } else { "python3".into() }
}

pub(crate) struct Resident {
    child: Child,
    talk: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    /// What it said first.
    pub(crate) said: Value,
}

impl Resident {
    pub(crate) async fn start(program: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(python());
        command.arg(Path::new(PROGRAMS).join(program)).envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("python3 is needed on the host and in the sandbox");
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut lines = BufReader::new(output).lines();
        let said = hear(&mut lines).await;
        Self { child, talk: Mutex::new((input, lines)), said }
    }

    /// Who came since this was last asked.
    pub(crate) async fn contacts(&self) -> Vec<String> {
        let mut talk = self.talk.lock().await;
        let (input, lines) = &mut *talk;
        input.write_all(b"who\n").await.unwrap();
        serde_json::from_value(hear(lines).await).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it has ended")
    }

    /// Lets it take its things with it.
    pub(crate) async fn leave(mut self) {
        drop(self.talk);
        assert!(timeout(PATIENCE, self.child.wait()).await.expect("it stays").unwrap().success());
    }
}

async fn hear(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = timeout(PATIENCE, lines.next_line()).await.expect("it says nothing").unwrap();
    serde_json::from_str(&line.expect("it has ended")).unwrap()
}
