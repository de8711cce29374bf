//! All events of a session, from its first one on: its history, and then what happens, over as many connections as it takes.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::{Stream, unfold};
use serde_json::Value;
use tokio::time::sleep;

use crate::client::{Client, Error, Events};

/// Before another connection is tried. Doubled each time.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is heard of a session.
pub(crate) enum Heard {
    Event(Value),
    /// From now on it is history that is told: what an event began, a later one may have ended long since.
    Behind,
    /// All that has happened was told.
    Abreast,
}

struct Feed {
    client: Client,
    session: String,
    /// Heard, and not yet told.
    ready: VecDeque<Heard>,
    state: State,
    pause: Duration,
}

enum State {
    Apart,
    /// The stream is open, so that nothing is missed while history is read. From this page on.
    Reading(Events, Option<String>),
    Live(Events),
    /// The server refuses for good.
    Ended,
}

/// Some events come twice. Ends after an error that no later attempt would mend.
pub(crate) fn feed(client: Client, session: &str) -> impl Stream<Item = Result<Heard, Error>> + Send {
    let feed = Feed { client, session: session.to_owned(), ready: VecDeque::new(), state: State::Apart, pause: PAUSE };
    unfold(feed, async |mut feed| feed.next().await.map(|event| (event, feed)))
}

impl Feed {
    async fn next(&mut self) -> Option<Result<Heard, Error>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if matches!(self.state, State::Ended) {
                return None;
            }
            let Err(error) = self.go_on().await else { continue };
            if error.is_final() {
                self.state = State::Ended;
                return Some(Err(error));
            }
            tracing::debug!(session = self.session, %error, "a session's events are asked for again");
            self.state = State::Apart;
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn go_on(&mut self) -> Result<(), Error> {
        self.state = match std::mem::replace(&mut self.state, State::Apart) {
            State::Apart => {
                let events = self.client.stream(&self.session).await?;
                self.ready.push_back(Heard::Behind);
                State::Reading(events, None)
            }
            State::Reading(events, page) => {
                let (read, next) = self.client.history(&self.session, page.as_deref()).await?;
                self.ready.extend(read.into_iter().map(Heard::Event));
                match next {
                    Some(page) => State::Reading(events, Some(page)),
                    None => {
                        self.ready.push_back(Heard::Abreast);
                        State::Live(events)
                    }
                }
            }
            State::Live(mut events) => {
                let event = events.next().await?;
                let event = event.ok_or_else(|| Error::Unreachable("the stream has ended".into()))?;
                self.ready.push_back(Heard::Event(event));
                self.pause = PAUSE;
                State::Live(events)
            }
            State::Ended => State::Ended,
        };
        Ok(())
    }
}
