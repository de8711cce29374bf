//! Which tools an agent has, and which of its calls may run.

use serde_json::{Map, Value};
use session::Judged;
use wire::agent::{Policy, Tool};
use wire::event::{Evaluation, Permission};

use crate::described::{CATALOGUE, described};

/// An agent's tools, resolved.
#[derive(Debug, Clone)]
pub struct Offer {
    built_in: Vec<(&'static str, Policy)>,
    custom: Vec<model::Tool>,
}

/// What is to become of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    BuiltIn(Judged),
    /// Allowed or not by whoever judges the call in its session.
    Auto,
    /// For a client to answer.
    Custom,
    /// Not a tool of this agent. The reason is for the model.
    Absent {
        judged: Judged,
        reason: String,
    },
}

impl Offer {
    pub fn of(tools: &[Tool]) -> Self {
        let mut offer = Self { built_in: Vec::new(), custom: Vec::new() };
        for tool in tools {
            match tool {
                Tool::Toolset { default_config, configs } => {
                    for name in CATALOGUE {
                        let config = configs.iter().find(|config| config.name == name);
                        let enabled = config.map_or(default_config.enabled, |config| config.enabled);
                        let policy = config.map_or(default_config.permission_policy, |config| config.permission_policy);
                        if enabled {
                            offer.built_in.push((name, policy));
                        }
                    }
                }
                Tool::Custom { name, description, input_schema } => offer.custom.push(model::Tool {
                    name: name.clone(),
                    description: description.clone(),
                    input_schema: Value::Object(input_schema.clone()),
                }),
            }
        }
        offer
    }

    /// What the model is offered.
    pub fn tools(&self) -> Vec<model::Tool> {
        let built_in = self.built_in.iter().filter_map(|(name, _)| described(name));
        built_in.chain(self.custom.iter().cloned()).collect()
    }

    /// Whether any tool acts in the sandbox.
    pub fn needs_sandbox(&self) -> bool {
        !self.built_in.is_empty()
    }

    /// Whether any tool's calls are judged one by one.
    pub fn is_judged(&self) -> bool {
        self.built_in.iter().any(|(_, policy)| *policy == Policy::Auto)
    }

    /// Every permission decision passes here: a pure function of the call and the agent's policies.
    pub fn judge(&self, name: &str, _input: &Map<String, Value>) -> Verdict {
        if self.custom.iter().any(|tool| tool.name == name) {
            return Verdict::Custom;
        }
        match self.built_in.iter().find(|(tool, _)| *tool == name) {
            Some((_, Policy::AlwaysAllow)) => {
                Verdict::BuiltIn(Judged { permission: Permission::Allow, evaluation: Some(Evaluation::AlwaysAllow) })
            }
            Some((_, Policy::AlwaysAsk)) => {
                Verdict::BuiltIn(Judged { permission: Permission::Ask, evaluation: Some(Evaluation::AlwaysAsk) })
            }
            Some((_, Policy::Auto)) => Verdict::Auto,
            None => {
                let names: Vec<_> = self.tools().into_iter().map(|tool| tool.name).collect();
                let have = if names.is_empty() {
                    "You have no tools.".into()
                } else {
                    format!("You have: {}.", names.join(", "))
                };
                let judged = Judged { permission: Permission::Deny, evaluation: None };
                Verdict::Absent { judged, reason: format!("There is no tool named {name}. {have}") }
            }
        }
    }
}

/// Tools without side effects: safe to run again when it is not known whether they ran.
const REPEATABLE: [&str; 3] = ["read", "glob", "grep"];

/// Whether a call to this tool may be run a second time.
pub fn is_repeatable(name: &str) -> bool {
    REPEATABLE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wire::read::Read;

    fn offer(tools: Value) -> Offer {
        Offer::of(&Vec::<Tool>::read(tools, "tools").unwrap())
    }

    fn names(offer: &Offer) -> Vec<String> {
        offer.tools().into_iter().map(|tool| tool.name).collect()
    }

    #[test]
    fn the_toolset_alone_allows_everything_it_has() {
        let offer = offer(json!([{"type": "agent_toolset_20260401"}]));
        assert_eq!(names(&offer), CATALOGUE);
        let judged = Judged { permission: Permission::Allow, evaluation: Some(Evaluation::AlwaysAllow) };
        assert_eq!(offer.judge("bash", &Map::new()), Verdict::BuiltIn(judged));
    }

    #[test]
    fn a_disabled_tool_is_not_offered_and_a_call_to_it_is_denied_without_an_evaluation() {
        let offer = offer(json!([{"type": "agent_toolset_20260401", "configs": [{"name": "bash", "enabled": false}]}]));
        assert!(!names(&offer).contains(&"bash".into()));
        let Verdict::Absent { judged, reason } = offer.judge("bash", &Map::new()) else { panic!() };
        assert_eq!(judged, Judged { permission: Permission::Deny, evaluation: None });
        assert!(reason.contains("There is no tool named bash. You have: read"));
    }

    #[test]
    fn asking_can_be_for_one_tool() {
        let ask = json!({"name": "bash", "permission_policy": {"type": "always_ask"}});
        let offer = offer(json!([{"type": "agent_toolset_20260401", "configs": [ask]}]));
        let Verdict::BuiltIn(judged) = offer.judge("bash", &Map::new()) else { panic!() };
        assert_eq!(judged.permission, Permission::Ask);
        let Verdict::BuiltIn(judged) = offer.judge("read", &Map::new()) else { panic!() };
        assert_eq!(judged.permission, Permission::Allow);
    }

    #[test]
    fn a_call_under_auto_is_left_to_a_judge() {
        let auto = json!({"name": "bash", "permission_policy": {"type": "auto"}});
        let mixed = offer(json!([{"type": "agent_toolset_20260401", "configs": [auto]}]));
        assert!(mixed.is_judged());
        assert_eq!(mixed.judge("bash", &Map::new()), Verdict::Auto);
        let Verdict::BuiltIn(judged) = mixed.judge("read", &Map::new()) else { panic!() };
        assert_eq!(judged.permission, Permission::Allow);
    }

    #[test]
    fn without_auto_and_with_a_disabled_tool_under_it_nothing_is_judged() {
        assert!(!offer(json!([{"type": "agent_toolset_20260401"}])).is_judged());
        let off = json!({"name": "bash", "enabled": false, "permission_policy": {"type": "auto"}});
        let offer = offer(json!([{"type": "agent_toolset_20260401", "configs": [off]}]));
        assert!(!offer.is_judged());
        assert!(matches!(offer.judge("bash", &Map::new()), Verdict::Absent { .. }));
    }
}
