//! Updates: what of a session may change while it lives.

use serde_json::Value;

use super::Budget;
use crate::agent::{Definition, Tool, read_tools};
use crate::read::{Fields, Invalid, MetadataPatch, Patch, Read, join, text, unsupported};

/// The body of `POST /v1/sessions/{id}`.
#[derive(Debug, Clone)]
pub struct Update {
    pub title: Patch<String>,
    pub metadata: MetadataPatch,
    pub agent: Option<AgentUpdate>,
    pub budget: Patch<Budget>,
}

impl Read for Update {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let title = match fields.patch::<String>("title")? {
            Patch::Value(title) => Patch::Value(text(title, "title", 0..=512)?),
            other => other,
        };
        let metadata = fields.optional("metadata")?.unwrap_or_default();
        if fields.optional::<Value>("vault_ids")?.is_some() {
            return Err(fields.invalid("vault_ids", "A session's vaults are fixed when it is created"));
        }
        let agent = fields.optional("agent")?;
        let budget = fields.patch("budget")?;
        fields.end()?;
        Ok(Self { title, metadata, agent, budget })
    }
}

/// What a session's agent has from the next turn on. A list takes the place of the one before; without one, that stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentUpdate {
    pub tools: Option<Vec<Tool>>,
    pub mcp_servers: Option<Vec<Value>>,
}

impl Read for AgentUpdate {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let tools = read_tools(&mut fields)?.replacement();
        let mcp_servers = fields.patch::<Vec<Value>>("mcp_servers")?.replacement();
        if mcp_servers.as_ref().is_some_and(|servers| !servers.is_empty()) {
            return Err(unsupported(&fields.at("mcp_servers")));
        }
        match fields.rest().keys().next() {
            None => Ok(Self { tools, mcp_servers }),
            Some(name) => Err(Invalid::new(
                join(path, name),
                "This is fixed for the session's life: only an agent's tools and mcp_servers can be replaced",
            )),
        }
    }
}

impl AgentUpdate {
    /// The definition after the update. Equal to what came in if nothing changes.
    pub fn over(self, current: &Definition) -> Definition {
        let current = current.clone();
        Definition {
            tools: self.tools.unwrap_or(current.tools),
            mcp_servers: self.mcp_servers.unwrap_or(current.mcp_servers),
            ..current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent;
    use serde_json::json;

    fn update(body: Value) -> Result<Update, Invalid> {
        Update::read(body, "")
    }

    #[test]
    fn what_is_left_out_stays() {
        let update = update(json!({})).unwrap();
        assert_eq!((update.title, update.agent, update.budget), (Patch::Absent, None, Patch::Absent));
    }

    #[test]
    fn a_budget_is_replaced_or_removed() {
        assert_eq!(update(json!({"budget": null})).unwrap().budget, Patch::Null);
        let limit = json!({"type": "limit", "max_list_cost": {"amount": "5", "currency": "USD"}});
        let Patch::Value(budget) = update(json!({"budget": limit})).unwrap().budget else { panic!() };
        assert_eq!(budget.max_list_cost.amount, "5");
    }

    #[test]
    fn tools_take_the_place_of_those_before_them() {
        let made = json!({"name": "Helper", "model": "m", "tools": [{"type": "agent_toolset_20260401"}]});
        let before = agent::Create::read(made, "").unwrap().definition;
        let over = |body: Value| update(json!({"agent": body})).unwrap().agent.unwrap().over(&before);

        assert_eq!(over(json!({})), before);
        assert_eq!(over(json!({"tools": before.tools, "mcp_servers": []})), before);
        for none in [json!({"tools": []}), json!({"tools": null, "mcp_servers": null})] {
            assert_eq!(over(none), Definition { tools: Vec::new(), ..before.clone() });
        }
        let custom = json!({"type": "custom", "name": "w", "description": "d", "input_schema": {"type": "object"}});
        let after = over(json!({"tools": [custom]}));
        assert!(matches!(&after.tools[..], [Tool::Custom { name, .. }] if name == "w"), "{after:?}");
    }

    #[test]
    fn refusals_name_the_field() {
        let twice = json!([{"type": "agent_toolset_20260401"}, {"type": "agent_toolset_20260401"}]);
        for (body, expected) in [
            (json!({"vault_ids": ["vlt_1"]}), "vault_ids: A session's vaults are fixed"),
            (json!({"budget": {"type": "limit"}}), "budget.max_list_cost: Field required"),
            (json!({"agent": "agent_1"}), "agent: Input should be an object"),
            (json!({"agent": {"tools": [{"type": "nonsense"}]}}), "agent.tools.0.type: Input should be"),
            (json!({"agent": {"tools": twice}}), "agent.tools.1: agent_toolset_20260401 is there twice"),
            (json!({"agent": {"mcp_servers": [{"type": "url"}]}}), "agent.mcp_servers: This is not supported"),
            (json!({"agent": {"model": "m"}}), "agent.model: This is fixed for the session's life"),
            (json!({"agent": {"tools": [], "system": "s"}}), "agent.system: This is fixed for the session's life"),
            (json!({"agent": {"skills": []}}), "agent.skills: This is fixed for the session's life"),
            (json!({"agent": {"name": "n"}}), "agent.name: This is fixed for the session's life"),
            (json!({"colour": "red"}), "colour: Extra inputs"),
        ] {
            let message = update(body.clone()).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{body} gave {message}");
        }
    }
}
