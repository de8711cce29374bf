//! Which model answers to which id.

use std::sync::Arc;

use globset::{Glob, GlobMatcher};
use model::{Client, Usage};
use session::Cost;

/// Prices in millionths of a US dollar per million tokens, which makes costs whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
}

impl Price {
    pub fn cost(&self, usage: &Usage) -> Cost {
        let writes = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        let parts = [
            usage.input.saturating_mul(self.input),
            usage.output.saturating_mul(self.output),
            usage.cache_read.saturating_mul(self.cache_read),
            writes.saturating_mul(self.cache_write),
        ];
        Cost(parts.into_iter().fold(0, u64::saturating_add))
    }
}

pub struct Route {
    /// A glob on the agent's model id.
    pub pattern: String,
    pub client: Arc<dyn Client>,
    /// The provider's name for the model, if it is not the agent's.
    pub model: Option<String>,
    pub price: Option<Price>,
    /// The most tokens of one answer.
    pub max_tokens: u32,
    /// Whether the provider takes an effort.
    pub takes_effort: bool,
    /// Whether the models take a system message in the middle of a conversation; by their ids if it is not said.
    pub system_messages: Option<bool>,
    /// What the model is shown of a long session.
    pub policy: context::Policy,
    /// Ids under the pattern that exist; empty if any may.
    pub only: Vec<String>,
}

/// Models of Anthropic that take a system message in the middle of a conversation, by how their ids begin.
const TAKE_SYSTEM_MESSAGES: [&str; 6] =
    ["claude-fable-5", "claude-mythos-5", "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5", "claude-haiku-5-5"];

impl Route {
    /// Whether the model takes a system message in the middle of a conversation.
    pub fn takes_system_messages(&self, model: &str) -> bool {
        let by_id =
            || !model.starts_with("claude-") || TAKE_SYSTEM_MESSAGES.iter().any(|begin| model.starts_with(begin));
        self.system_messages.unwrap_or_else(by_id)
    }
}

/// The table, in order: the first match answers.
#[derive(Default)]
pub struct Routes {
    routes: Vec<(GlobMatcher, Arc<Route>)>,
}

impl Routes {
    pub fn new(routes: Vec<Route>) -> Result<Self, globset::Error> {
        let matcher = |route: Route| Glob::new(&route.pattern).map(|glob| (glob.compile_matcher(), Arc::new(route)));
        Ok(Self { routes: routes.into_iter().map(matcher).collect::<Result<_, _>>()? })
    }

    pub fn find(&self, model: &str) -> Option<&Arc<Route>> {
        let answers = |route: &Route| route.only.is_empty() || route.only.iter().any(|known| known == model);
        self.routes.iter().find(|(matcher, route)| matcher.is_match(model) && answers(route)).map(|(_, route)| route)
    }

    /// For the message that refuses an unknown model.
    pub fn names(&self) -> Vec<String> {
        let names =
            |route: &Arc<Route>| if route.only.is_empty() { vec![route.pattern.clone()] } else { route.only.clone() };
        self.routes.iter().flat_map(|(_, route)| names(route)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_exact() {
        let price = Price { input: 3_000_000, output: 15_000_000, cache_read: 300_000, cache_write: 3_750_000 };
        let usage = Usage { input: 1, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 0 };
        assert_eq!(price.cost(&usage), Cost(22_050_000));
        assert_eq!(price.cost(&Usage { output: 1_000_000, ..Usage::default() }).money().amount, "1500");
    }
}
