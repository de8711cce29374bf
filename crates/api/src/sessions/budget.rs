//! Budgets: a session can have one if all that it spends is known.

use brain::{Judge, Routes};
use session::Cost;
use tools::Offer;
use wire::Invalid;
use wire::agent::Definition;
use wire::session::Budget;

use crate::app::App;

/// The budget of a new session of this agent.
pub(super) fn check(app: &App, budget: &Budget, agent: &Definition) -> Result<Cost, Invalid> {
    if let Some(what) = unpriced(app.brain.routes(), app.brain.judge(), agent) {
        let remedy = "Give its [[models]] entry in stead.toml prices, or leave the budget out";
        let refusal = Invalid::new("budget", format!("{what} has no list price. {remedy}"));
        return Err(Invalid { code: Some("model_not_budgetable"), ..refusal });
    }
    cost(budget)
}

/// A budget, as costs are counted.
pub(super) fn cost(budget: &Budget) -> Result<Cost, Invalid> {
    let too_much = || Invalid::new("budget.max_list_cost.amount", "This is more than can be counted");
    Cost::of_budget(budget).ok_or_else(too_much)
}

/// Whether a session of this agent asks a model without a list price.
pub(super) fn is_unpriced(app: &App, agent: &Definition) -> bool {
    unpriced(app.brain.routes(), app.brain.judge(), agent).is_some()
}

/// The model without a list price that a session of this agent asks, if there is one: its own, or the one that judges
/// its calls.
fn unpriced(routes: &Routes, judge: &Judge, agent: &Definition) -> Option<String> {
    let model = agent.model.id.as_str();
    if routes.find(model).is_none_or(|route| route.price.is_none()) {
        return Some(format!("The model {model}"));
    }
    let is_judged = Offer::of(&agent.tools).is_judged();
    (is_judged && !judge.is_priced(routes, model)).then(|| "The model that judges the calls of tools under auto".into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use brain::{Price, Route, Rules};
    use futures::StreamExt;
    use futures::stream::{self, BoxStream};
    use model::{Client, Error, Event, Request};
    use serde_json::json;
    use wire::agent::Create;
    use wire::read::Read;

    use super::*;

    struct Mute;

    impl Client for Mute {
        fn stream(&self, _: Request) -> BoxStream<'static, Result<Event, Error>> {
            stream::pending().boxed()
        }
    }

    fn route(pattern: &str, price: Option<Price>) -> Route {
        Route {
            pattern: pattern.into(),
            client: Arc::new(Mute),
            model: None,
            price,
            max_tokens: 1_000,
            takes_effort: false,
            system_messages: None,
            policy: Default::default(),
            only: Vec::new(),
        }
    }

    fn routes() -> Routes {
        let price = Price { input: 1, output: 1, cache_read: 1, cache_write: 1 };
        Routes::new(vec![route("dear-*", Some(price)), route("free-*", None)]).unwrap()
    }

    /// An agent whose shell is under this policy.
    fn agent(model: &str, policy: &str) -> Definition {
        let bash = json!({"name": "bash", "permission_policy": {"type": policy}});
        let tools = json!([{"type": "agent_toolset_20260401", "configs": [bash]}]);
        let create = json!({"name": "a", "model": model, "tools": tools});
        Create::read(create, "").unwrap().definition
    }

    #[test]
    fn an_agent_whose_model_has_no_list_price_is_unpriced() {
        let judge = Judge::rules(Rules::default());
        assert_eq!(unpriced(&routes(), &judge, &agent("dear-1", "always_allow")), None);
        for model in ["free-1", "unknown-1"] {
            let found = unpriced(&routes(), &judge, &agent(model, "always_allow"));
            assert_eq!(found, Some(format!("The model {model}")));
        }
    }

    #[test]
    fn an_agent_whose_calls_are_judged_by_a_model_without_a_list_price_is_unpriced() {
        let judge = |id: &str| Judge::model(Some(id.into()), Rules::default());
        let found = unpriced(&routes(), &judge("free-1"), &agent("dear-1", "auto"));
        assert!(found.is_some_and(|what| what.contains("judges")));
        assert_eq!(unpriced(&routes(), &judge("dear-2"), &agent("dear-1", "auto")), None);
        assert_eq!(unpriced(&routes(), &judge("free-1"), &agent("dear-1", "always_ask")), None, "nothing is judged");
    }

    #[test]
    fn rules_and_the_agents_own_model_judge_at_no_other_price() {
        let agent = agent("dear-1", "auto");
        for judge in [Judge::rules(Rules::default()), Judge::model(None, Rules::default())] {
            assert_eq!(unpriced(&routes(), &judge, &agent), None);
        }
    }
}
