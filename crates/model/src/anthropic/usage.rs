//! The token counts of a Messages answer. They come in two frames, and the later one may repeat only some.

use serde::Deserialize;

use crate::Usage;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<Creation>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct Creation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

impl Counts {
    /// Counts are running totals, so a later one replaces an earlier one.
    pub(super) fn update(&mut self, newer: &Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_creation = newer.cache_creation.or(self.cache_creation);
    }

    pub(super) fn usage(&self) -> Usage {
        let written = self.cache_creation.unwrap_or(Creation {
            // Servers that do not split the count keep what they cache for the default five minutes.
            ephemeral_5m_input_tokens: self.cache_creation_input_tokens,
            ephemeral_1h_input_tokens: None,
        });
        Usage {
            input: self.input_tokens.unwrap_or(0),
            output: self.output_tokens.unwrap_or(0),
            cache_read: self.cache_read_input_tokens.unwrap_or(0),
            cache_write_5m: written.ephemeral_5m_input_tokens.unwrap_or(0),
            cache_write_1h: written.ephemeral_1h_input_tokens.unwrap_or(0),
        }
    }
}
