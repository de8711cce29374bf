//! Many sessions that wait for a slow model at once, each with a live stream: what they weigh, and what is left of the
//! model's first word once it comes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::answer::{Act, Answer, Usage};
use crate::client::{Client, Events};
use crate::descriptors;
use crate::options::Options;
use crate::server::Variables;
use crate::stage::Stage;
use crate::stub::{Asked, Model, Stub};
use crate::table::{Times, against, mib, ms, row};

/// Sessions of the baseline, which wait before the many do.
const FEW: usize = 20;

/// Clients that send the messages.
const SENDERS: usize = 16;

/// Descriptors that a session takes at the generator: its stream, and its request at the stub.
const EACH: usize = 2;

/// Descriptors that generator and server need beside the sessions'.
const SPARE: usize = 500;

/// After which nothing of the start is still under way.
const SETTLED: Duration = Duration::from_secs(2);

/// The server gives a provider up that has been silent for two minutes.
const LONGEST: Duration = Duration::from_secs(100);

/// What begins the answer, before the number of its request.
const MARK: &str = "answer-";

pub(crate) async fn run(options: &Options) -> Result<()> {
    // Before the server starts, which inherits the limit.
    let limit = descriptors::raise(options.waiting * EACH + SPARE)?;
    let count = options.waiting.min(limit.saturating_sub(SPARE) / EACH);
    if count < options.waiting {
        eprintln!("{limit} descriptors are allowed here, so {count} sessions wait");
    }
    ensure!(count > 0, "{limit} descriptors are too few for any session");
    let model = Arc::new(Slow::default());
    let stub = Stub::play(Arc::clone(&model)).await?;
    let mut stage = Stage::set_with(options, stub, &options.model, Variables::new()).await?;
    let before = stage.server.resident()?;
    let few = wait(&mut stage, &model, FEW).await?;
    let many = wait(&mut stage, &model, count).await?;

    let figure = format!("{count} sessions wait for the model, each with a live stream");
    let told = format!("before: {}; {:.1} times that", mib(before), many.resident as f64 / before as f64);
    row(&format!("{figure}: resident memory"), &mib(many.resident), "954 MiB (1 GB)", &told);
    let each = format!("{:.1} KiB", many.resident.saturating_sub(before) as f64 / count as f64);
    row(&format!("{figure}: memory for each"), &each, "", "");
    let fewer = format!("the same with {FEW} sessions");
    let beside = |of: fn(&Times) -> Duration| against(&fewer, of(&few.overhead), of(&many.overhead));
    let held = format!("{figure}, {:.0} s", many.held.as_secs_f64());
    let median = ms(many.overhead.median());
    row(&format!("{held}: the model's first delta to its preview, median"), &median, "", &beside(Times::median));
    let p99 = ms(many.overhead.p99());
    row(&format!("{held}: the same, 99th percentile"), &p99, "100 ms", &beside(Times::p99));
    if many.overhead.count() < count {
        let missed = count - many.overhead.count();
        row(&format!("{held}: turns without a preview"), &missed.to_string(), "0", "");
    }
    stage.strike().await
}

/// One crowd of sessions, from their messages to the ends of their turns.
struct Crowd {
    /// The server's memory in KiB, while all of them waited.
    resident: u64,
    /// How long the model held each request.
    held: Duration,
    /// From the stub's first delta to the client.
    overhead: Times,
}

async fn wait(stage: &mut Stage, model: &Slow, count: usize) -> Result<Crowd> {
    model.hold();
    let (mut sessions, mut listeners) = (Vec::with_capacity(count), JoinSet::new());
    for _ in 0..count {
        let session = stage.session().await?;
        let events = Client::connect(stage.server.address).await?.listen(&session).await?;
        listeners.spawn(first_delta(events));
        sessions.push(session);
    }
    let began = Instant::now();
    send(stage, sessions).await?;
    timeout(LONGEST, model.have_come(count)).await.with_context(|| format!("not all asked within {LONGEST:?}"))??;
    sleep(SETTLED).await;
    let resident = stage.server.resident()?;
    let held = began.elapsed();
    ensure!(held < LONGEST, "it took {held:?} until all waited, longer than the server waits for a provider");
    model.release(held);

    let mut received = Vec::with_capacity(count);
    while let Some(listened) = listeners.join_next().await {
        received.extend(listened.context("a listener broke down")??);
    }
    let sent_at = model.sent_at.lock();
    let mut overhead = Times::default();
    for (serial, received_at) in received {
        let sent_at = sent_at.get(&serial).with_context(|| format!("nobody asked for answer {serial}"))?;
        overhead.push(received_at.saturating_duration_since(*sent_at));
    }
    Ok(Crowd { resident, held, overhead })
}

/// Sends a message to each session, over a few connections.
async fn send(stage: &Stage, sessions: Vec<String>) -> Result<()> {
    let (sessions, next) = (Arc::new(sessions), Arc::new(AtomicUsize::new(0)));
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let (sessions, next) = (Arc::clone(&sessions), Arc::clone(&next));
        let mut client = Client::connect(stage.server.address).await?;
        senders.spawn(async move {
            while let Some(session) = sessions.get(next.fetch_add(1, Ordering::Relaxed)) {
                client.say(session, "hi").await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender.context("a client broke down")??;
    }
    Ok(())
}

/// Follows a turn to its end. Returns which answer it was, and when its first delta came; previews may be left out.
async fn first_delta(mut events: Events) -> Result<Option<(u64, Instant)>> {
    let mut first = None;
    events
        .turn(|frame| {
            if first.is_none() && frame.name == "event_delta" {
                first = serial(frame.data).map(|serial| (serial, Instant::now()));
            }
        })
        .await?;
    Ok(first)
}

/// The number behind the mark.
fn serial(data: &str) -> Option<u64> {
    let (_, rest) = data.split_once(MARK)?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

/// A model that answers nobody until it is told how long to hold each request.
#[derive(Default)]
struct Slow {
    /// Requests that have come since the last [`Slow::hold`].
    came: watch::Sender<usize>,
    held: watch::Sender<Option<Duration>>,
    sent_at: Mutex<HashMap<u64, Instant>>,
}

impl Slow {
    /// From now on, requests wait.
    fn hold(&self) {
        self.held.send_replace(None);
        self.came.send_replace(0);
    }

    async fn have_come(&self, count: usize) -> Result<()> {
        self.came.subscribe().wait_for(|came| *came >= count).await?;
        Ok(())
    }

    /// Each request is answered this long after it came: they end as they began, one by one.
    fn release(&self, held: Duration) {
        self.held.send_replace(Some(held));
    }
}

impl Model for Slow {
    async fn answer(&self, asked: &Asked<'_>) -> Result<Answer> {
        let came_at = Instant::now();
        let mut told = self.held.subscribe();
        self.came.send_modify(|came| *came += 1);
        let held = *told.wait_for(Option::is_some).await?;
        sleep_until(came_at + held.unwrap_or_default()).await;
        let opening = format!("{MARK}{} ", asked.serial);
        let answer = Answer::new(asked.dialect, &Act::Say(&opening, "is all."), Usage::FEW, asked.serial);
        self.sent_at.lock().insert(asked.serial, Instant::now());
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_number() {
        assert_eq!(serial(r#"{"delta":{"content":{"text":"answer-417 is"}}}"#), Some(417));
        assert_eq!(serial(r#"{"delta":{"content":{"text":"answer-417"}}}"#), Some(417));
        assert_eq!(serial(r#"{"delta":{"content":{"text":"Hello"}}}"#), None);
        assert_eq!(serial("answer-"), None);
    }
}
