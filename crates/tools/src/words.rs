//! What the model is told of calls whose sandbox did not stay as it was.

/// Of a call that may have run, where it must not be run again.
pub const UNKNOWN: &str = "The sandbox was lost while this call ran, so its outcome is unknown: it may have run wholly, in part, or not \
at all. Check before you repeat it.";

/// With the first command's result in a sandbox that was put away and brought back.
pub const RESTORED: &str = "[The sandbox was put away while nobody needed it. Its files are as they were; the shell is a new one, and \
what ran in the background has ended.]";

/// Of a call that was cut off, and does no harm when it is run again.
pub const RESTARTED: &str = "The sandbox was restarted during this call. Please retry.";

/// Of a call that was under way in a sandbox that is gone.
#[must_use]
pub fn lost(tool: &str, reason: &str) -> String {
    if crate::is_repeatable(tool) {
        format!("The sandbox was lost ({reason}). Please retry.")
    } else {
        UNKNOWN.to_owned()
    }
}
