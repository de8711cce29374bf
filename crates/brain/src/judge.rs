//! The judge of the permission policy `auto`: it reads a call, what the user said and what the agent did before, and
//! allows the call, denies it, or leaves it to a person.
//!
//! What it is shown is chosen so that nothing which the agent has read can speak to it: of the results of tools only
//! whether they are errors, and none of the agent's own words. A call's input may hold anything all the same, which is
//! why it is shown as data, why the verdict must name a word that only the judge was told, and why whatever is not
//! clearly a verdict is none.

mod answer;
mod built_in;
mod command;
mod court;
mod prompt;
mod purse;
mod rules;
mod seen;
mod shell;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Deserialize;
use session::{Judged, Spent};
use wire::event::{Auto, Evaluation, Permission, ReasonCode};

use crate::routes::Routes;

pub(crate) use court::Court;
pub(crate) use prompt::Withheld;
pub(crate) use purse::Purse;
pub use rules::{Rule, Rules};
pub(crate) use seen::Seen;

/// How the models of the scripted provider are named.
const SCRIPTS: &str = "script/";

/// Who judges.
#[derive(Debug, Clone)]
pub struct Judge {
    kind: Kind,
    rules: Rules,
}

#[derive(Debug, Clone)]
enum Kind {
    Rules,
    Model { id: Option<String> },
}

impl Judge {
    /// Rules alone: the same call is always judged the same, and no model is asked.
    pub fn rules(rules: Rules) -> Self {
        Self { kind: Kind::Rules, rules }
    }

    /// The operator's own rules, and a model for what none of them knows: the agent's, or the one that `id` names.
    ///
    /// A script cannot judge: without an `id`, an agent whose model is a script is judged by rules alone.
    pub fn model(id: Option<String>, rules: Rules) -> Self {
        Self { kind: Kind::Model { id }, rules }
    }

    /// Whether a session whose agent's model is `model` can have a budget as far as its judge goes: rules cost nothing,
    /// and a model must have a list price. Only for an agent with a tool under `auto`; others are never judged.
    pub fn is_priced(&self, routes: &Routes, model: &str) -> bool {
        self.asked(model).is_none_or(|id| routes.find(id).is_some_and(|route| route.price.is_some()))
    }

    /// The model that judges, where the agent's is `model`. `None` if rules judge alone.
    fn asked<'a>(&'a self, model: &'a str) -> Option<&'a str> {
        match &self.kind {
            Kind::Rules => None,
            Kind::Model { id: Some(id) } => Some(id.as_str()),
            Kind::Model { id: None } => (!model.starts_with(SCRIPTS)).then_some(model),
        }
    }
}

/// A call, judged.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) judged: Judged,
    /// By the judge, if it is a model that answered.
    pub(crate) spent: Option<Spent>,
}

/// What a rule or a model says of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    Allow,
    Deny,
    /// For a person to say.
    Unsure,
}

impl Ruling {
    fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Unsure => "unsure",
        }
    }
}

/// Why a call was judged as it was, without a word of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// The place of the operator's rule, from 0.
    OwnRule(usize),
    BuiltIn,
    /// The user has denied the same call in this session.
    Denied,
    Model,
    /// A judge must see all of a call.
    TooLong,
    /// The answer has more calls than a model is asked about.
    TooMany,
    /// The session's budget is used up.
    AtCap,
    /// The session has a budget, and the model that judges no price.
    Unpriced,
    /// The model answered without a verdict.
    NoVerdict,
    NoRoute,
    Late,
    Failed,
    /// The provider wants to be paid, or refuses the key.
    Barred,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnRule(place) => write!(f, "rule {} of the configuration", place + 1),
            Self::BuiltIn => f.write_str("the built-in rules"),
            Self::Denied => f.write_str("the user has denied the same call"),
            Self::Model => write!(f, "a model, told by text {}", prompt::VERSION),
            Self::TooLong => f.write_str("the call is too long to be shown to a model"),
            Self::TooMany => f.write_str("the answer has more calls than a model is asked about"),
            Self::AtCap => f.write_str("the session's budget is used up"),
            Self::Unpriced => f.write_str("the session has a budget, and the model that judges no list price"),
            Self::NoVerdict => f.write_str("the model gave no verdict"),
            Self::NoRoute => f.write_str("no route is configured for the model that judges"),
            Self::Late => f.write_str("the model did not answer in time"),
            Self::Failed => f.write_str("the model failed"),
            Self::Barred => f.write_str("the model's provider wants to be paid or refuses the key"),
        }
    }
}

/// The verdict as the log keeps it.
fn judged(verdict: Ruling, ground: Ground) -> Judged {
    let (permission, auto) = match (verdict, ground) {
        (Ruling::Allow, _) => (Permission::Allow, Auto::Allow),
        // Not the call's fault, and the log must not say so.
        (Ruling::Deny, Ground::Barred) => (Permission::Deny, Auto::Deny { reason_code: ReasonCode::Indeterminate }),
        (Ruling::Deny, _) => (Permission::Deny, Auto::Deny { reason_code: ReasonCode::HighRisk }),
        (Ruling::Unsure, _) => return unjudged(),
    };
    Judged { permission, evaluation: Some(Evaluation::Auto { evaluated_permission: auto }) }
}

/// There is no judgement: a person is asked.
pub(crate) fn unjudged() -> Judged {
    let auto = Auto::Ask { reason_code: ReasonCode::Indeterminate };
    Judged { permission: Permission::Ask, evaluation: Some(Evaluation::Auto { evaluated_permission: auto }) }
}
