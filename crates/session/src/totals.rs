//! What a session has used, exactly.

use serde::{Deserialize, Serialize};
use wire::event::ModelUsage;
use wire::session::{Budget, CacheCreation, Money, Usage};

/// Tokens of one request or of many. `input` counts uncached ones only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write_5m: u64,
    pub cache_write_1h: u64,
}

impl Tokens {
    fn add(&mut self, other: &Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.cache_write_5m = self.cache_write_5m.saturating_add(other.cache_write_5m);
        self.cache_write_1h = self.cache_write_1h.saturating_add(other.cache_write_1h);
    }

    /// How much of the model's window the request and its answer fill.
    pub fn held(&self) -> u64 {
        let parts = [self.input, self.output, self.cache_read, self.cache_write_5m, self.cache_write_1h];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    pub(crate) fn model_usage(&self) -> ModelUsage {
        ModelUsage {
            input_tokens: self.input,
            output_tokens: self.output,
            cache_creation_input_tokens: self.cache_write_5m.saturating_add(self.cache_write_1h),
            cache_read_input_tokens: self.cache_read,
        }
    }
}

/// Money in millionths of a millionth of a US dollar, so that tokens times a price per million tokens is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cost(pub u64);

const PER_CENT: u64 = 10_000_000_000;

impl Cost {
    /// `None` if it is more than this type can hold: about 18 million dollars.
    pub fn of_cents(cents: u64) -> Option<Self> {
        cents.checked_mul(PER_CENT).map(Self)
    }

    /// Every budget that [`wire::read`] takes has one; `None` for others.
    pub fn of_budget(budget: &Budget) -> Option<Self> {
        Self::of_cents(budget.max_list_cost.amount.parse().ok()?)
    }

    /// The budget whose limit this is. Exact, if it came from a budget.
    pub fn budget(self) -> Budget {
        Budget::limit(self.money())
    }

    /// To the nearest cent.
    pub fn money(self) -> Money {
        Money { amount: (self.0.saturating_add(PER_CENT / 2) / PER_CENT).to_string(), currency: "USD".into() }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub tokens: Tokens,
    pub cost: Cost,
    /// Whether a request was answered by a model without a price: the cost is not known then.
    pub unpriced: bool,
    /// Those that were answered, whatever they were for.
    pub requests: u64,
}

impl Totals {
    pub fn add(&mut self, tokens: &Tokens, cost: Option<Cost>) {
        self.tokens.add(tokens);
        self.requests += 1;
        match cost {
            Some(cost) => self.cost.0 = self.cost.0.saturating_add(cost.0),
            None => self.unpriced = true,
        }
    }

    pub fn usage(&self, active_ms: u64) -> Usage {
        let tokens = &self.tokens;
        Usage {
            input_tokens: tokens.input,
            output_tokens: tokens.output,
            cache_read_input_tokens: tokens.cache_read,
            cache_creation: CacheCreation {
                ephemeral_5m_input_tokens: tokens.cache_write_5m,
                ephemeral_1h_input_tokens: tokens.cache_write_1h,
            },
            list_cost: (self.requests > 0 && !self.unpriced).then(|| self.cost.money()),
            active_seconds: active_ms as f64 / 1_000.0,
        }
    }
}
