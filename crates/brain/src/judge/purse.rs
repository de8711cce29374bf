//! What the judging of one answer's calls may cost.

use parking_lot::Mutex;
use session::Cost;

use super::Ground;
use crate::routes::Route;

/// The most calls of one answer that a model is asked about: an answer can have any number of them.
const MOST: usize = 64;

/// Of one answer. A request is begun only while some of the budget is left.
pub(crate) struct Purse(Mutex<Means>);

struct Means {
    /// Of the session's budget; `None` if it has none.
    left: Option<Cost>,
    requests: usize,
}

impl Purse {
    /// For an answer that cost this much, of what was left of the budget before it.
    pub(crate) fn new(left: Option<Cost>, answer: Option<Cost>) -> Self {
        Self(Mutex::new(Means { left: left.map(|left| less(left, answer)), requests: MOST }))
    }

    /// Whether the session has a budget.
    pub(crate) fn is_limited(&self) -> bool {
        self.0.lock().left.is_some()
    }

    /// Takes out one request by this route, or says why there is none.
    pub(super) fn open(&self, route: &Route) -> Result<(), Ground> {
        let mut means = self.0.lock();
        match means.left {
            Some(Cost(0)) => return Err(Ground::AtCap),
            Some(_) if route.price.is_none() => return Err(Ground::Unpriced),
            _ => {}
        }
        means.requests = means.requests.checked_sub(1).ok_or(Ground::TooMany)?;
        Ok(())
    }

    /// A request has cost this much.
    pub(super) fn pay(&self, cost: Option<Cost>) {
        let mut means = self.0.lock();
        means.left = means.left.map(|left| less(left, cost));
    }
}

/// What has no price may have cost all there was.
fn less(left: Cost, cost: Option<Cost>) -> Cost {
    Cost(cost.map_or(0, |cost| left.0.saturating_sub(cost.0)))
}
