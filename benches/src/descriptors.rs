//! How many connections this process may have open, and the server that inherits its limit.

use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open descriptors as far as it may be. Returns what it is then, `wanted` at most.
pub(crate) fn raise(wanted: usize) -> Result<usize> {
    let wanted_limit = u64::try_from(wanted)?;
    let limit = getrlimit(Resource::Nofile);
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted_limit);
    if is_enough(limit.current) {
        return Ok(wanted);
    }
    let maximum = if is_enough(limit.maximum) { limit.maximum } else { Some(wanted_limit) };
    if setrlimit(Resource::Nofile, Rlimit { current: Some(wanted_limit), maximum }).is_ok() {
        return Ok(wanted);
    }
    // Only root may raise the upper bound; up to it, anyone may go.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.map(usize::try_from).transpose()?.unwrap_or(wanted))
}
