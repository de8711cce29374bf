//! Judging by rules.

use std::borrow::Cow;

use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Ground, Ruling, built_in};

/// One rule of the configuration. What it does not say, it does not look at.
///
/// `contains` suits what is to be denied: that something is in a command says little of what else is. What is to be
/// allowed is better named by `equals`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A glob on the tool's name.
    tool: Option<Name>,
    /// The field of the input whose text is looked at; a call without it is not meant. Without a field, the whole input
    /// is looked at, as JSON.
    field: Option<String>,
    contains: Option<String>,
    equals: Option<String>,
    verdict: Ruling,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct Name(GlobMatcher);

impl TryFrom<String> for Name {
    type Error = globset::Error;

    fn try_from(pattern: String) -> Result<Self, Self::Error> {
        Glob::new(&pattern).map(|glob| Self(glob.compile_matcher()))
    }
}

impl Rule {
    fn is_of(&self, tool: &str, input: &Map<String, Value>) -> bool {
        if self.tool.as_ref().is_some_and(|name| !name.0.is_match(tool)) {
            return false;
        }
        let text = match self.field.as_ref().map(|field| input.get(field)) {
            None => Cow::Owned(serde_json::to_string(input).unwrap_or_default()),
            Some(None) => return false,
            Some(Some(Value::String(text))) => Cow::Borrowed(text.as_str()),
            Some(Some(other)) => Cow::Owned(other.to_string()),
        };
        self.contains.as_ref().is_none_or(|part| text.contains(part.as_str()))
            && self.equals.as_ref().is_none_or(|whole| text == whole.as_str())
    }
}

/// Rules in their order: the first that means a call judges it. Behind the operator's own come those that Stead brings
/// along, and what none of them knows is for a person to say.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    own: Vec<Rule>,
}

impl Rules {
    /// `own` come first; without any, only the built-in ones judge.
    pub fn new(own: Vec<Rule>) -> Self {
        Self { own }
    }

    pub(super) fn judge(&self, tool: &str, input: &Map<String, Value>) -> (Ruling, Ground) {
        self.own(tool, input).unwrap_or_else(|| (built_in::verdict(tool, input), Ground::BuiltIn))
    }

    /// By the operator's own rules, if one of them means the call.
    pub(super) fn own(&self, tool: &str, input: &Map<String, Value>) -> Option<(Ruling, Ground)> {
        let place = self.own.iter().position(|rule| rule.is_of(tool, input))?;
        self.own.get(place).map(|rule| (rule.verdict, Ground::OwnRule(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(rules: Value) -> Rules {
        Rules::new(serde_json::from_value(rules).unwrap())
    }

    fn judge(rules: &Rules, tool: &str, input: Value) -> (Ruling, Ground) {
        rules.judge(tool, input.as_object().unwrap())
    }

    #[test]
    fn a_rule_means_the_calls_that_fit_all_it_says() {
        for (rule, tool, input, fits) in [
            (json!({}), "bash", json!({}), true),
            (json!({"tool": "bash"}), "bash", json!({}), true),
            (json!({"tool": "bash"}), "read", json!({}), false),
            (json!({"tool": "{write,edit}"}), "edit", json!({}), true),
            (json!({"tool": "web_*"}), "web_fetch", json!({}), true),
            (json!({"contains": "\"b\":1"}), "bash", json!({"a": {"b": 1}}), true),
            (json!({"contains": "push"}), "bash", json!({"command": "git push"}), true),
            (json!({"contains": "push"}), "bash", json!({"command": "git pull"}), false),
            (json!({"field": "command"}), "bash", json!({"restart": true}), false),
            (json!({"field": "restart"}), "bash", json!({"restart": true}), true),
            (json!({"field": "restart", "equals": "true"}), "bash", json!({"restart": true}), true),
            (json!({"field": "command", "contains": "x"}), "bash", json!({"command": "y", "other": "x"}), false),
            (json!({"field": "command", "equals": "make test"}), "bash", json!({"command": "make test"}), true),
            (json!({"field": "command", "equals": "make test"}), "bash", json!({"command": "make test; x"}), false),
        ] {
            let mut said = rule.clone();
            said["verdict"] = json!("deny");
            let expected = if fits { Ground::OwnRule(0) } else { Ground::BuiltIn };
            assert_eq!(judge(&rules(json!([said])), tool, input.clone()).1, expected, "{rule} {tool} {input}");
        }
    }

    #[test]
    fn the_first_rule_that_means_a_call_judges_it() {
        let rules = rules(json!([
            {"tool": "write", "verdict": "deny"},
            {"tool": "bash", "field": "command", "contains": "make test", "verdict": "unsure"},
            {"tool": "bash", "field": "command", "contains": "make", "verdict": "allow"},
        ]));
        for (command, expected) in [
            ("make test", (Ruling::Unsure, Ground::OwnRule(1))),
            ("make", (Ruling::Allow, Ground::OwnRule(2))),
            ("ls", (Ruling::Allow, Ground::BuiltIn)),
            ("git push", (Ruling::Unsure, Ground::BuiltIn)),
        ] {
            assert_eq!(judge(&rules, "bash", json!({"command": command})), expected, "{command}");
        }
        let own = judge(&rules, "write", json!({"file_path": "/workspace/x"}));
        assert_eq!(own, (Ruling::Deny, Ground::OwnRule(0)), "an own rule comes before the built-in ones");
    }

    #[test]
    fn a_rule_that_cannot_be_meant_is_refused() {
        for rule in [
            json!({}),
            json!({"verdict": "maybe"}),
            json!({"verdict": "deny", "regex": "x"}),
            json!({"verdict": "deny", "tool": "[a"}),
        ] {
            assert!(serde_json::from_value::<Rule>(rule.clone()).is_err(), "{rule}");
        }
    }
}
