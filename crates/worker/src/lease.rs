//! The lease on a work item: kept by heartbeats, of which each names the one before.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, Error};
use crate::work::{Heartbeat, Work};

/// What is said instead of the last heartbeat with the first.
const NONE_YET: &str = "NO_HEARTBEAT";

/// Between two heartbeats.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Why a lease is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The server wants the item stopped.
    Asked,
    /// The item is another worker's by now, or may be.
    Lost,
    /// The credential is good for nothing any more.
    Refused,
}

struct Lease {
    expected: String,
    ttl: Duration,
    /// When the last heartbeat that was heard was sent.
    heard: Instant,
}

impl Lease {
    fn new(ttl: Duration, now: Instant) -> Self {
        Self { expected: NONE_YET.into(), ttl, heard: now }
    }

    fn interval(&self) -> Duration {
        (self.ttl / 3).clamp(SHORTEST, LONGEST)
    }

    fn takes(&mut self, sent: Instant, answer: Result<Heartbeat, Error>, now: Instant) -> Option<End> {
        match answer {
            Ok(beat) => {
                self.expected = beat.last_heartbeat;
                self.heard = sent;
                if beat.ttl_seconds > 0 {
                    self.ttl = Duration::from_secs(beat.ttl_seconds);
                }
                let is_over = matches!(beat.state.as_str(), "stopping" | "stopped") || !beat.lease_extended;
                is_over.then_some(End::Asked)
            }
            Err(error) if error.has_status(412) => Some(End::Lost),
            Err(error) if error.is_final() => {
                tracing::warn!(%error, "a heartbeat was refused");
                Some(End::Refused)
            }
            // From then on it may be given to another worker, and no call must run twice.
            Err(_) => self.left(now).is_zero().then_some(End::Lost),
        }
    }

    fn left(&self, now: Instant) -> Duration {
        self.ttl.saturating_sub(now.duration_since(self.heard))
    }
}

/// Keeps the lease until it is over; each heartbeat asks for so long a one.
pub(crate) async fn hold(client: &Client, work: &Work, ttl: Duration) -> End {
    let mut lease = Lease::new(ttl, Instant::now());
    loop {
        let sent = Instant::now();
        let patience = lease.interval().min(lease.left(sent));
        let answer = timeout(patience, client.beat(work, &lease.expected, ttl)).await;
        let answer = answer.unwrap_or_else(|late| Err(Error::Unreachable(late.to_string())));
        if let Err(error) = &answer {
            tracing::warn!(work = work.id, %error, "a heartbeat was not heard");
        }
        let failed = answer.is_err();
        let now = Instant::now();
        if let Some(end) = lease.takes(sent, answer, now) {
            return end;
        }
        let pause = if failed { SHORTEST } else { lease.interval() };
        sleep(pause.min(lease.left(now))).await;
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn beat(state: &str, lease_extended: bool, ttl_seconds: u64) -> Result<Heartbeat, Error> {
        Ok(Heartbeat { last_heartbeat: "then".into(), lease_extended, state: state.into(), ttl_seconds })
    }

    fn refused(status: u16) -> Result<Heartbeat, Error> {
        Err(Error::Refused { status: StatusCode::from_u16(status).unwrap(), message: String::new() })
    }

    #[tokio::test(start_paused = true)]
    async fn each_heartbeat_names_the_one_before_and_comes_thrice_within_the_lease() {
        let now = Instant::now();
        let mut lease = Lease::new(TTL, now);
        assert_eq!((lease.expected.as_str(), lease.interval()), ("NO_HEARTBEAT", Duration::from_secs(20)));
        assert_eq!(lease.takes(now, beat("active", true, 2), now), None);
        assert_eq!((lease.expected.as_str(), lease.interval()), ("then", SHORTEST));
        assert_eq!(lease.takes(now, beat("active", true, 3_600), now), None);
        assert_eq!(lease.interval(), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_over_when_it_is_said_or_when_nothing_was_heard_for_as_long_as_it_lasts() {
        let now = Instant::now();
        let lease = || Lease::new(TTL, now);
        for over in [beat("stopping", true, 60), beat("stopped", false, 60), beat("active", false, 60)] {
            assert_eq!(lease().takes(now, over, now), Some(End::Asked));
        }
        assert_eq!(lease().takes(now, refused(412), now), Some(End::Lost));
        assert_eq!(lease().takes(now, refused(401), now), Some(End::Refused));
        assert_eq!(lease().takes(now, refused(500), now + TTL / 2), None);
        assert_eq!(lease().takes(now, refused(500), now + TTL), Some(End::Lost));
        let mut late = lease();
        // It was heard of at the end of a long request, and counts from its beginning.
        assert_eq!(late.takes(now, beat("active", true, 60), now + TTL), None);
        assert_eq!(late.takes(now, refused(503), now + TTL), Some(End::Lost));
    }
}
