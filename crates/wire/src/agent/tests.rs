use serde_json::json;

use super::*;

fn create(extra: Value) -> Result<Create, Invalid> {
    let mut body = json!({"name": "Helper", "model": "claude-opus-5-5"});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Create::read(body, "")
}

fn refusal(extra: Value) -> String {
    create(extra).unwrap_err().to_string()
}

#[test]
fn defaults_are_resolved() {
    let made = create(json!({"tools": [{"type": "agent_toolset_20260401"}]})).unwrap();
    assert_eq!(
        serde_json::to_value(&made.definition).unwrap(),
        json!({
            "name": "Helper", "description": null, "system": null,
            "model": {"id": "claude-opus-5-5", "effort": {"type": "high"}, "speed": "standard"},
            "tools": [{
                "type": "agent_toolset_20260401",
                "default_config": {"enabled": true, "permission_policy": {"type": "always_allow"}}, "configs": [],
            }],
            "mcp_servers": [], "skills": [], "multiagent": null, "execution_identity": {"type": "service_account"},
        })
    );
}

#[test]
fn a_config_takes_what_it_leaves_out_from_the_default() {
    let made = create(json!({"tools": [{
        "type": "agent_toolset_20260401",
        "default_config": {"enabled": false, "permission_policy": {"type": "always_ask"}},
        "configs": [{"name": "bash", "enabled": true}],
    }]}))
    .unwrap();
    let Tool::Toolset { configs, .. } = &made.definition.tools[0] else { panic!() };
    assert_eq!(configs[0].permission_policy, Policy::AlwaysAsk);
    assert!(configs[0].enabled);
}

#[test]
fn calls_may_be_judged_one_by_one() {
    let made = create(json!({"tools": [{
        "type": "agent_toolset_20260401",
        "default_config": {"permission_policy": {"type": "auto"}},
        "configs": [{"name": "read", "permission_policy": {"type": "always_allow"}}, {"name": "bash"}],
    }]}))
    .unwrap();
    let Tool::Toolset { default_config, configs } = &made.definition.tools[0] else { panic!() };
    assert_eq!(default_config.permission_policy, Policy::Auto);
    let policies: Vec<_> = configs.iter().map(|config| config.permission_policy).collect();
    assert_eq!(policies, [Policy::AlwaysAllow, Policy::Auto]);
    assert_eq!(serde_json::to_value(Policy::Auto).unwrap(), json!({"type": "auto"}));
}

#[test]
fn refusals_name_the_field() {
    let schema = json!({"type": "object"});
    let under = |policy: &str| {
        let config = json!({"permission_policy": {"type": policy}});
        json!({"tools": [{"type": "agent_toolset_20260401", "default_config": config}]})
    };
    let custom =
        |name: &str| json!({"tools": [{"type": "custom", "name": name, "description": "d", "input_schema": schema}]});
    let cases = [
        (json!({"name": ""}), "name: String should have at least 1"),
        (json!({"name": 4}), "name: Input should be a valid string"),
        (json!({"model": null}), "model: Input should be an object"),
        (json!({"model": {"id": "m", "effort": "huge"}}), "model.effort: Input should be 'low'"),
        (json!({"model": {"id": "m", "speed": "fast"}}), "model.speed: This is not supported"),
        (
            json!({"tools": [{"type": "agent_toolset_20260401", "configs": [{"name": "bsh"}]}]}),
            "tools.0.configs.0.name: Unknown tool",
        ),
        (under("ask"), "tools.0.default_config.permission_policy.type: Input should be 'always_allow'"),
        (
            json!({"tools": [{"type": "agent_toolset_20260401"}, {"type": "agent_toolset_20260401"}]}),
            "tools.1: agent_toolset_20260401 is there twice",
        ),
        (custom("bash"), "tools.0.name: This name is reserved"),
        (custom("mcp__x"), "tools.0.name: This name is reserved"),
        (custom("a b"), "tools.0.name: Only letters"),
        (
            json!({"tools": [{"type": "custom", "name": "x", "description": "d", "input_schema": {"type": "object", "properties": {"a": {"$ref": "#"}}}}]}),
            "tools.0.input_schema.properties.a.$ref: References",
        ),
        (json!({"mcp_servers": [{"type": "url"}]}), "mcp_servers: This is not supported"),
        (json!({"multiagent": {"type": "coordinator"}}), "multiagent: This is not supported"),
        (json!({"colour": "red"}), "colour: Extra inputs"),
        (json!({"metadata": {"k": 1}}), "metadata.k: Input should be a valid string"),
    ];
    for (extra, expected) in cases {
        let message = refusal(extra.clone());
        assert!(message.starts_with(expected), "{extra} gave {message}");
    }
}

#[test]
fn an_update_keeps_what_it_leaves_out() {
    let made = create(json!({"system": "s", "description": "d", "model": {"id": "m", "effort": "low"}})).unwrap();
    let update = |body| Update::read(body, "").unwrap().over(&made.definition, &made.metadata).unwrap().0;
    assert_eq!(update(json!({})), made.definition);
    assert_eq!(update(json!({"system": ""})).system, None);
    assert_eq!(update(json!({"model": "m"})).model.effort, Effort::Low, "the same model keeps its effort");
    assert_eq!(update(json!({"model": "n"})).model.effort, Effort::High, "another model starts anew");
    assert!(Update::read(json!({"name": null}), "").is_err());
}
