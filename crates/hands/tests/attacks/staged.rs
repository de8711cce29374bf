//! Attacks that need the host's side as well: what it lists and fetches, the tools it calls, the answers it believes.

mod frames;
mod outputs;
mod session;
mod tools;

use std::{pin::Pin, sync::Arc};

use crate::{
    guest,
    house::LIMITS,
    report::Row,
    room::Room,
    stage::Stage,
    verdict::{Shown, Verdict},
};

/// All attacks of one group.
type Act = fn(Arc<Stage>) -> Pin<Box<dyn Future<Output = Vec<Row>> + Send>>;

pub(crate) const ACTS: [Act; 5] = [
    |stage| Box::pin(async move { play(&stage, "outputs", outputs::SCENES).await }),
    |stage| Box::pin(async move { play(&stage, "tools", tools::SCENES).await }),
    |stage| Box::pin(async move { play(&stage, "session", session::SCENES).await }),
    |stage| Box::pin(async move { play(&stage, "session", session::SLOW_SCENES).await }),
    |_| Box::pin(frames::act()),
];

/// How it was refused, and what shows that it could have succeeded; or what it got.
type Outcome = Result<(String, Shown), String>;

/// A name, what is tried, and how.
type Scene = (&'static str, &'static str, Play);

/// With a sandbox of its own.
type Play = for<'a> fn(&'a Stage, &'a Room) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

async fn play(stage: &Stage, group: &str, scenes: &[Scene]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, tries, scene) in scenes {
        if let Some(why) = guest::absent(&format!("{group}/{name}")) {
            let (title, tries) = (format!("{group}/{name}"), (*tries).to_owned());
            rows.push(Row { title, tries, verdict: Verdict::Absent(why.into()), shown: Shown::None });
            continue;
        }
        let room = stage.room(&format!("{group}-{name}"), LIMITS).await;
        let row = row(group, name, tries, scene(stage, &room).await);
        let verdict = stage.judge(&room, row.verdict).await;
        room.close(&stage.house).await;
        rows.push(Row { verdict, ..row });
    }
    rows
}

fn row(group: &str, name: &str, tries: &str, outcome: Outcome) -> Row {
    let (verdict, shown) = match outcome {
        Ok((how, shown)) => (Verdict::Held(how), shown),
        Err(what) if guest::all_ended(&what) => (Verdict::Held("everything inside was ended".into()), Shown::None),
        Err(what) => (Verdict::Broke(what), Shown::None),
    };
    Row { title: format!("{group}/{name}"), tries: tries.to_owned(), verdict, shown }
}

fn refused(how: impl Into<String>) -> Outcome {
    Ok((how.into(), Shown::None))
}

/// With what the same thing gave where it is allowed.
fn shown(how: impl Into<String>, reached: impl Into<String>) -> Outcome {
    Ok((how.into(), Shown::Reached(reached.into())))
}
