//! When a conversation is made shorter.

use session::Window;

/// What a model's route says of the conversations that it is shown. Shares are of the window; `None` means never.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// How full the window is when the conversation is summed up.
    pub compact_at: Option<f64>,
    /// How full the window is when old tool results are forgotten: sooner, or it is never reached.
    pub clear_at: Option<f64>,
    /// How many tool results are never forgotten, the newest.
    pub keep_results: usize,
    /// How many tokens the model holds, question and answer together. Where nobody knows, only the provider says when a
    /// conversation has become too long.
    pub window: Option<u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { compact_at: Some(0.8), clear_at: Some(0.5), keep_results: 8, window: None }
    }
}

impl Policy {
    /// The shares in tokens, if the window is known.
    pub fn window(&self) -> Option<Window> {
        let window = self.window?;
        let tokens = |share: f64| (share > 0.0).then_some((window as f64 * share.min(1.0)) as u64);
        Some(Window {
            // More than any conversation holds: it is never reached.
            compact_at: self.compact_at.and_then(tokens).unwrap_or(u64::MAX),
            clear_at: self.clear_at.and_then(tokens),
            keep_results: self.keep_results,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(policy: Policy) -> Option<(u64, Option<u64>, usize)> {
        policy.window().map(|window| (window.compact_at, window.clear_at, window.keep_results))
    }

    #[test]
    fn shares_become_tokens_where_the_window_is_known() {
        assert_eq!(of(Policy::default()), None);
        let known = Policy { window: Some(200_000), ..Policy::default() };
        assert_eq!(of(known), Some((160_000, Some(100_000), 8)));
    }

    #[test]
    fn without_a_share_nothing_is_done() {
        let known = Policy { window: Some(1_000), keep_results: 2, ..Policy::default() };
        assert_eq!(of(Policy { compact_at: None, clear_at: None, ..known }), Some((u64::MAX, None, 2)));
        for share in [0.0, -1.0, f64::NAN] {
            let policy = Policy { compact_at: Some(share), clear_at: Some(share), ..known };
            assert_eq!(of(policy), Some((u64::MAX, None, 2)), "{share}");
        }
        assert_eq!(of(Policy { compact_at: Some(7.0), ..known }), Some((1_000, Some(500), 2)));
    }
}
