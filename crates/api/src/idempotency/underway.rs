//! The POSTs that this node is answering now.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// By their names.
#[derive(Default)]
pub(super) struct Underway(Mutex<HashMap<String, Sends>>);

/// The sends of one request.
#[derive(Default)]
struct Sends {
    count: usize,
    over: CancellationToken,
}

/// One send; over when it is dropped.
pub(super) struct Sending {
    underway: Arc<Underway>,
    name: String,
}

impl Underway {
    /// Another send, whatever others there are.
    pub(super) fn join(self: &Arc<Self>, name: &str) -> Sending {
        self.0.lock().entry(name.to_owned()).or_default().count += 1;
        Sending { underway: self.clone(), name: name.to_owned() }
    }

    /// The only send, or what is cancelled once the others are over.
    pub(super) fn enter(self: &Arc<Self>, name: &str) -> Result<Sending, CancellationToken> {
        let mut underway = self.0.lock();
        if let Some(sends) = underway.get(name) {
            return Err(sends.over.clone());
        }
        underway.entry(name.to_owned()).or_default().count += 1;
        Ok(Sending { underway: self.clone(), name: name.to_owned() })
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut underway = self.underway.0.lock();
        let Some(sends) = underway.get_mut(&self.name) else { return };
        sends.count -= 1;
        if sends.count == 0
            && let Some(sends) = underway.remove(&self.name)
        {
            sends.over.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_enters_while_any_send_is_underway() {
        let underway = Arc::new(Underway::default());
        let (one, other) = (underway.join("a"), underway.join("a"));
        let over = underway.enter("a").map(|_| ()).unwrap_err();
        assert!(underway.enter("b").is_ok(), "another request is not held up");

        drop(one);
        assert!(underway.enter("a").is_err() && !over.is_cancelled());
        drop(other);
        assert!(over.is_cancelled());

        let alone = underway.enter("a").map_err(|_| ()).unwrap();
        assert!(underway.enter("a").is_err());
        drop(alone);
        assert!(underway.0.lock().is_empty());
    }
}
