//! Sandboxes that no log names any more, and that are there all the same.

use std::collections::{BTreeMap, BTreeSet};

use hands::Address;
use wire::SessionId;

use crate::check::read;
use crate::node::Common;
use crate::time::pass;

/// Seconds until all is cleared away: more than twice the time between two looks of a brain after its sandboxes.
const TIDY: u64 = 660;

/// By session, the sandbox that its log names, if it names one.
type Named = BTreeMap<String, Option<Address>>;

/// What the sessions that have come to rest leave behind in these homes, once there was time to clear it away. Of each,
/// only the sandbox may stay that its log names.
pub(crate) async fn leaks(common: &Common, resting: &[SessionId], homes: &BTreeSet<String>) -> Vec<String> {
    let named = named_by(common, resting).await;
    let mut found = left(common, &named, homes);
    for _ in 0..TIDY {
        if found.is_empty() {
            break;
        }
        pass(1_000).await;
        found = left(common, &named, homes);
    }
    found
}

/// The sandboxes that the sessions' logs name.
async fn named_by(common: &Common, sessions: &[SessionId]) -> Named {
    let mut named = Named::new();
    for session in sessions {
        // A log that cannot be read is a fault of its own.
        let Ok((state, _)) = read(&common.store, *session).await else { continue };
        let address = state.hand.and_then(|address| serde_json::from_str(&address).ok());
        named.insert(session.to_string(), address);
    }
    named
}

fn left(common: &Common, named: &Named, homes: &BTreeSet<String>) -> Vec<String> {
    let kept = common.boxes.kept().into_iter().filter(|(home, _)| homes.contains(home));
    let leaks = kept.filter_map(|(home, kept)| {
        // What was never finished is a journal without processes.
        let incarnation = kept.incarnation?;
        let address = named.get(&kept.name)?;
        let is_this = |named: &Address| named.home.as_ref() == Some(&home) && named.incarnation == incarnation;
        let is_named = address.as_ref().is_some_and(is_this);
        (!is_named).then(|| format!("{}: the sandbox {incarnation} is left behind in {home}", kept.name))
    });
    leaks.collect()
}
