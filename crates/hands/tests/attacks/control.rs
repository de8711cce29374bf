//! The same programs with nothing in their way. One that cannot reach its canary then proves nothing by being refused.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::{
    attack::{Attack, Control, SHARED, source},
    resident::python,
    room::LONG,
    stage::Stage,
    verdict::{Shown, Verdict, end_of},
};

/// What is not harmless outside is not run there, and what is run there is short.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory on the host for one program, laid out as inside.
pub(crate) struct Place {
    path: PathBuf,
    file: String,
}

impl Place {
    pub(crate) fn make(stage: &Stage, attack: &Attack) -> Self {
        let path = stage.house.directory(&format!("controls/{}", attack.title()));
        fs::create_dir_all(path.join("uploads")).unwrap();
        fs::write(path.join("uploads/input.txt"), "input").unwrap();
        fs::write(path.join("scratch"), "scratch").unwrap();
        for name in SHARED {
            fs::write(path.join(name), source(name)).unwrap();
        }
        fs::write(path.join("given.json"), stage.outside(&path).to_string()).unwrap();
        fs::write(path.join(attack.file()), &attack.text).unwrap();
        Self { path, file: attack.file() }
    }

    /// Runs the program as a process of the host, with words for it.
    pub(crate) async fn python(&self, words: &[&str]) -> String {
        let mut command = Command::new(python());
        command.arg(self.path.join(&self.file)).args(words).current_dir(&self.path).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        match timeout(PATIENCE, command.output()).await {
            Ok(output) => {
                let output = output.expect("python3 is needed on the host");
                format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
            }
            Err(_) => format!("no answer in {} seconds", PATIENCE.as_secs()),
        }
    }
}

/// Runs the control of a program, where it has one that stands by itself.
pub(crate) async fn show(stage: &Stage, attack: &Attack) -> Shown {
    let (output, is_sure) = match attack.control {
        // Of a hoard this is seen while it holds.
        Control::None | Control::Inside => return Shown::None,
        Control::Outside { is_sure } => (Place::make(stage, attack).python(&[]).await, is_sure),
        Control::Neighbour => {
            let ran = async {
                stage.neighbour.put(attack).await?;
                stage.neighbour.python(&attack.file(), LONG).await
            };
            (ran.await.unwrap_or_else(|why| why), true)
        }
    };
    match Verdict::of(&output) {
        // A mistake in the program is no success either.
        Verdict::Broke(what) if what.contains("the program itself failed") || what.contains("without one verdict") => {
            Shown::Failed(what)
        }
        Verdict::Broke(what) => Shown::Reached(what),
        Verdict::Held(how) | Verdict::Absent(how) if is_sure => Shown::Failed(format!("refused: {}", end_of(&how))),
        Verdict::Held(how) | Verdict::Absent(how) => Shown::NotHere(how),
    }
}
