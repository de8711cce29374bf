//! A program that sandboxes need and that is not there.

/// There is nothing here that could be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}{}", .fix.as_ref().map(|fix| format!("; get one with: {fix}")).unwrap_or_default())]
pub struct Missing {
    pub why: String,
    /// The command that installs one on this machine, where that is known.
    pub fix: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_the_way_to_it() {
        let missing = Missing { why: "there is none".into(), fix: Some("install it".into()) };
        assert_eq!(missing.to_string(), "there is none; get one with: install it");
        assert_eq!(Missing { fix: None, ..missing }.to_string(), "there is none");
    }
}
