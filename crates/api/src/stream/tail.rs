//! One client's stream: what it missed from the log, then what happens, with pings in between.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use brain::Live;
use bus::{Item, Published, Subscription};
use futures::Stream;
use session::{Stored, Visibility};
use tokio::time::{Interval, MissedTickBehavior, interval};
use wire::{EventId, ThreadId};

use crate::app::App;
use crate::identity::Identity;

const PING: Duration = Duration::from_secs(10);
const PING_FRAME: Bytes = Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n");

/// Rows read at a time.
const BATCH: usize = 200;

/// While it lives, what the stream delivers is covered, if it is one that covers.
pub(super) struct Attached {
    app: App,
    live: Arc<Live>,
    delivered: Option<Arc<AtomicU64>>,
}

impl Attached {
    pub(super) fn new(app: App, live: Arc<Live>, covers: bool) -> Self {
        let delivered = covers.then(|| app.coverage.attach(live.id));
        Self { app, live, delivered }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if self.delivered.is_none() {
            return;
        }
        let (app, session) = (self.app.clone(), self.live.id);
        // Outlives the stream by one write. If the server stops first, the client sees an input twice.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { app.coverage.detach(session, &app.key.id).await });
        }
    }
}

pub(super) struct Tail {
    app: App,
    subscription: Subscription,
    attached: Attached,
    /// The last position that was sent, or passed over.
    position: u64,
    /// Up to here the log is read before the subscription is heard.
    backlog: u64,
    thread: Option<ThreadId>,
    /// Whose stream it is. It ends with what allows it.
    identity: Identity,
    ready: VecDeque<Bytes>,
    pings: Interval,
    ended: bool,
    /// Events that were sent from the log, and may still come from the subscription.
    told: HashSet<EventId>,
}

impl Tail {
    pub(super) fn new(
        app: App,
        subscription: Subscription,
        attached: Attached,
        (position, backlog): (u64, u64),
        thread: Option<ThreadId>,
        identity: Identity,
    ) -> Self {
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once.
        pings.reset();
        Self {
            app,
            subscription,
            attached,
            position,
            backlog,
            thread,
            identity,
            ready: VecDeque::new(),
            pings,
            ended: false,
            told: HashSet::new(),
        }
    }

    pub(super) fn frames(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        futures::stream::unfold(self, |mut tail| async move { tail.next().await.map(|frame| (Ok(frame), tail)) })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.ended {
                return None;
            }
            if self.position < self.backlog {
                self.read_log().await;
                continue;
            }
            tokio::select! {
                biased;
                () = self.app.stop.cancelled() => return None,
                item = self.subscription.next() => self.take(item),
                _ = self.pings.tick() => {
                    // Where that cannot be found out, the next ping asks again.
                    if matches!(self.identity.is_good(&self.app).await, Ok(false)) {
                        return None;
                    }
                    // So that little is seen twice when the server does not stop in good order.
                    if let Some(delivered) = &self.attached.delivered {
                        let delivered = delivered.load(Ordering::Relaxed);
                        self.app.coverage.cover(self.attached.live.id, &self.app.key.id, delivered).await;
                    }
                    return Some(PING_FRAME);
                }
            }
        }
    }

    fn take(&mut self, item: Option<Item>) {
        match item {
            // Rows were dropped because this client reads slowly: everything so far is in the log.
            None => self.backlog = u64::MAX,
            // The log was read meanwhile, and the event is out already: its preview comes too late.
            Some(Item::Preview(preview)) if self.told.contains(&preview.id) => {}
            Some(Item::Preview(preview)) => {
                if self.thread.is_none_or(|thread| thread == preview.thread) {
                    self.ready.push_back(preview.frame.clone());
                }
            }
            Some(Item::Row(row)) if row.last => {
                self.ready.extend(row.frame.clone());
                self.ended = true;
            }
            Some(Item::Row(row)) if row.position <= self.position => {
                self.told.remove(&row.id);
            }
            Some(Item::Row(row)) if row.position > self.position + 1 => self.backlog = row.position,
            Some(Item::Row(row)) => self.send(&row),
        }
    }

    fn send(&mut self, row: &Published) {
        self.position = row.position;
        if let Some(delivered) = &self.attached.delivered {
            delivered.fetch_max(row.position, Ordering::Relaxed);
        }
        if self.thread.is_none_or(|thread| thread == row.thread) {
            self.ready.extend(row.frame.clone());
        }
    }

    async fn read_log(&mut self) {
        let session = self.attached.live.id;
        let rows = match self.app.store().rows(session, self.position, BATCH).await {
            Ok(rows) => rows,
            Err(error) => {
                // The client connects again, and resumes by its last event id.
                tracing::error!(%session, %error, "a stream could not read its log");
                self.ended = true;
                return;
            }
        };
        if rows.is_empty() {
            self.backlog = self.position;
            // A session that was deleted has no rows either, and its last event may have been missed.
            self.ended = matches!(self.app.store().head(session).await, Err(store::Error::NotFound));
            return;
        }
        for stored in &rows {
            match self.publish(stored).await {
                Ok(row) => {
                    self.told.insert(row.id);
                    self.send(&row);
                }
                Err(error) => {
                    tracing::error!(%session, %error, "a stream could not read its log");
                    self.ended = true;
                    return;
                }
            }
        }
    }

    /// The row as it was published when it was new.
    async fn publish(&self, stored: &Stored) -> store::Result<Published> {
        let Visibility::Processes(of) = stored.visibility else {
            return Ok(Published::from_stored(stored, &stored.kind, &stored.body));
        };
        let input = self.app.store().rows(self.attached.live.id, of.saturating_sub(1), 1).await?;
        let input = input.into_iter().next().ok_or(store::Error::NotFound)?;
        Ok(Published::from_stored(stored, &input.kind, &input.body))
    }
}
