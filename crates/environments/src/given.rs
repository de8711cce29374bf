//! What was handed out a moment ago, and so is needed although no sandbox says yet that it has it.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// By then the sandbox that it is for is there, and says that it has it.
const GRACE: Duration = Duration::from_secs(600);

/// Holds each thing under its key, so that nobody removes it.
pub(crate) struct Given<T>(Mutex<BTreeMap<String, (T, Instant)>>);

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Given<T> {
    /// True if it was not held before.
    pub(crate) fn hold(&self, key: &str, thing: T) -> bool {
        self.0.lock().insert(key.to_owned(), (thing, Instant::now())).is_none()
    }

    pub(crate) fn let_go_of_the_old(&self) {
        self.0.lock().retain(|_, (_, at)| at.elapsed() < GRACE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thing_is_held_until_some_time_after_it_was_last_given() {
        let (given, thing) = (Given::default(), Arc::new(()));
        assert!(given.hold("one", thing.clone()));
        tokio::time::advance(GRACE / 2).await;
        assert!(!given.hold("one", thing.clone()), "it is held already");
        tokio::time::advance(GRACE / 2 + Duration::from_secs(1)).await;
        given.let_go_of_the_old();
        assert_eq!(Arc::strong_count(&thing), 2, "the time counts from the last");
        tokio::time::advance(GRACE).await;
        given.let_go_of_the_old();
        assert_eq!(Arc::strong_count(&thing), 1);
        assert!(given.hold("one", thing));
    }
}
