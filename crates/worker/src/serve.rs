//! One item, from its being taken to its end: the calls of its session, one after another.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use hands::{Content, Hand, Outcome};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Error};
use crate::docket::{Call, Docket, News};
use crate::feed::{Heard, feed};
use crate::lease;
use crate::place::{Fenced, Place};
use crate::work::Work;
use crate::worker::Options;

/// For a call that was cancelled to end, and for its result to be sent.
const FAREWELL: Duration = Duration::from_secs(10);

/// Before a result is sent again. Doubled each time, for as long as the lease is held.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why an item is no longer served.
#[derive(Debug)]
enum End {
    /// The session is over, or has had nothing to do for a while.
    Done,
    Lease(lease::End),
    /// This worker ends.
    Leaving,
    Fenced,
    Refused,
}

/// A call that runs, until its result is sent.
struct Running<'a> {
    call: String,
    done: BoxFuture<'a, Result<(), Fenced>>,
}

pub(crate) struct Item<'a> {
    pub(crate) client: Client,
    pub(crate) work: &'a Work,
    pub(crate) session: &'a str,
    pub(crate) place: &'a Place,
    pub(crate) options: &'a Options,
}

impl Item<'_> {
    /// Returns the sandbox if it has to be held on to.
    pub(crate) async fn serve(&self, stop: &CancellationToken) -> Option<Arc<dyn Hand>> {
        let mut running = None;
        let end = tokio::select! {
            end = lease::hold(&self.client, self.work, self.options.lease) => End::Lease(end),
            end = self.attend(&mut running) => end,
            () = stop.cancelled() => End::Leaving,
        };
        tracing::info!(session = self.session, ?end, "a session is no longer served");
        let is_held = !matches!(end, End::Lease(lease::End::Lost) | End::Fenced);
        if let Some(Running { call, done }) = running {
            self.place.cancel(&call).await;
            if is_held {
                // The model is told that it was cut off; nobody has to guess, and nobody runs it again.
                let _ = timeout(FAREWELL, done).await;
            }
        }
        let hand = self.place.leave().await;
        if is_held && let Err(error) = self.client.stop(self.work).await {
            tracing::debug!(session = self.session, %error, "an item was not stopped");
        }
        hand
    }

    async fn attend<'a>(&'a self, running: &mut Option<Running<'a>>) -> End {
        match self.client.has_ended(self.session).await {
            Ok(true) => return End::Done,
            Err(error) if error.is_final() => return self.refused(&error),
            Ok(false) | Err(_) => {}
        }
        let mut docket = Docket::default();
        let mut events = pin!(feed(self.client.clone(), self.session));
        let mut is_abreast = false;
        loop {
            if running.is_none()
                && is_abreast
                && let Some(call) = docket.next()
            {
                let id = call.id.clone();
                *running = Some(Running { call: id, done: self.run(call).boxed() });
            }
            let is_idle = running.is_none() && is_abreast && docket.is_idle();
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(Heard::Behind)) => is_abreast = false,
                    Some(Ok(Heard::Abreast)) => is_abreast = true,
                    Some(Ok(Heard::Event(event))) => {
                        let news = docket.note(&event);
                        let is_cut_off = running.as_ref().filter(|running| match &news {
                            News::None => false,
                            News::Answered(call) => *call == running.call,
                            News::Interrupted => true,
                        });
                        if let Some(running) = is_cut_off {
                            self.place.cancel(&running.call).await;
                        }
                        if docket.is_over() {
                            return End::Done;
                        }
                    }
                    Some(Err(error)) => return self.refused(&error),
                    None => return End::Done,
                },
                done = done(running) => {
                    *running = None;
                    if done.is_err() {
                        return End::Fenced;
                    }
                }
                () = sleep(self.options.max_idle), if is_idle => return End::Done,
            }
        }
    }

    fn refused(&self, error: &Error) -> End {
        tracing::warn!(session = self.session, %error, "the session cannot be followed");
        End::Refused
    }

    async fn run(&self, call: Call) -> Result<(), Fenced> {
        tracing::info!(session = self.session, call = call.id, tool = call.name, "running a call");
        let outcome = self.place.run(&call).await?;
        let result = result(&call.id, outcome);
        let mut pause = PAUSE;
        loop {
            match self.client.say(self.session, &result).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_final() => {
                    // It has one, or needs none any more.
                    tracing::warn!(session = self.session, call = call.id, %error, "a result was refused");
                    return Ok(());
                }
                Err(error) => tracing::warn!(session = self.session, call = call.id, %error, "a result was not sent"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

async fn done(running: &mut Option<Running<'_>>) -> Result<(), Fenced> {
    match running {
        Some(running) => (&mut running.done).await,
        None => std::future::pending().await,
    }
}

/// The result of a call as the server takes it.
fn result(call: &str, outcome: Outcome) -> Value {
    let mut content: Vec<Value> = outcome.content.into_iter().map(block).collect();
    if content.is_empty() {
        content.push(json!({"type": "text", "text": "(no output)"}));
    }
    json!({"type": "user.tool_result", "tool_use_id": call, "content": content, "is_error": outcome.is_error})
}

fn block(content: Content) -> Value {
    let media = |kind: &str, media_type: String, data: String| json!({"type": kind, "source": {"type": "base64", "media_type": media_type, "data": data}});
    match content {
        // Blocks of text may not be empty.
        Content::Text { text } if text.is_empty() => json!({"type": "text", "text": "(no output)"}),
        Content::Text { text } => json!({"type": "text", "text": text}),
        Content::Image { media_type, data } => media("image", media_type, data),
        Content::Document { media_type, data } => media("document", media_type, data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_content_whatever_the_tool_gave() {
        let text = |text: &str| json!([{"type": "text", "text": text}]);
        assert_eq!(result("c", Outcome::text("words"))["content"], text("words"));
        assert_eq!(result("c", Outcome::text(""))["content"], text("(no output)"));
        let nothing = result("c", Outcome { content: Vec::new(), is_error: true });
        assert_eq!((&nothing["content"], &nothing["is_error"]), (&text("(no output)"), &json!(true)));
        let image = Content::Image { media_type: "image/png".into(), data: "AA==".into() };
        assert_eq!(block(image)["source"], json!({"type": "base64", "media_type": "image/png", "data": "AA=="}));
    }
}
