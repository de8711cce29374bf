//! Agents: what they are on the wire, and what a client may ask them to be.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::read::{Fields, Invalid, Metadata, MetadataPatch, Patch, Read, join, text, unsupported};
use crate::{AgentId, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    pub id: AgentId,
    pub r#type: AgentType,
    #[serde(flatten)]
    pub definition: Definition,
    pub metadata: Metadata,
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub archived_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentType {
    #[default]
    Agent,
}

/// What an agent is, apart from its identity: the part that a session snapshots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    pub name: String,
    pub description: Option<String>,
    pub model: Model,
    pub system: Option<String>,
    pub tools: Vec<Tool>,
    pub mcp_servers: Vec<Value>,
    pub skills: Vec<Value>,
    pub multiagent: Option<Value>,
    pub execution_identity: ExecutionIdentity,
}

/// A session's snapshot of its agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub r#type: AgentType,
    pub id: AgentId,
    pub version: u64,
    #[serde(flatten)]
    pub definition: Definition,
}

impl From<&Agent> for Snapshot {
    fn from(agent: &Agent) -> Self {
        Self { r#type: AgentType::Agent, id: agent.id, version: agent.version, definition: agent.definition.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub id: String,
    pub effort: Effort,
    pub speed: Speed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Effort {
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speed {
    Standard,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ExecutionIdentity {
    #[default]
    ServiceAccount,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Tool {
    #[serde(rename = "agent_toolset_20260401")]
    Toolset { default_config: ToolDefault, configs: Vec<ToolConfig> },
    #[serde(rename = "custom")]
    Custom { name: String, description: String, input_schema: Map<String, Value> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolDefault {
    pub enabled: bool,
    pub permission_policy: Policy,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolConfig {
    pub r#type: String,
    pub name: String,
    pub enabled: bool,
    pub permission_policy: Policy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Policy {
    AlwaysAllow,
    AlwaysAsk,
    /// Each call is judged by what the user asked for.
    Auto,
}

/// The built-in tools, in the order in which a model is told of them.
pub const BUILT_IN: [&str; 8] = ["bash", "read", "write", "edit", "glob", "grep", "web_fetch", "web_search"];

/// Built-in tools that this version does not have.
pub const ABSENT: [&str; 2] = ["web_fetch", "web_search"];

const MAX_TOOLS: usize = 256;

impl Read for Model {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        if let Value::String(id) = value {
            let id = text(id, path, 1..=256)?;
            return Ok(Self { id, effort: Effort::High, speed: Speed::Standard });
        }
        let mut fields = Fields::of(value, path)?;
        let id = text(fields.required("id")?, &join(path, "id"), 1..=256)?;
        let effort = fields.optional("effort")?.unwrap_or(Effort::High);
        match fields.optional::<String>("speed")?.as_deref() {
            None | Some("standard") => {}
            Some("fast") => return Err(unsupported(&join(path, "speed"))),
            Some(_) => return Err(fields.invalid("speed", "Input should be 'standard' or 'fast'")),
        }
        fields.unsupported("inference_geo")?;
        fields.end()?;
        Ok(Self { id, effort, speed: Speed::Standard })
    }
}

impl Read for Effort {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let name = match value {
            Value::String(name) => name,
            object => {
                let mut fields = Fields::of(object, path)?;
                let name = fields.required("type")?;
                fields.end()?;
                name
            }
        };
        Ok(match name.as_str() {
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::Xhigh,
            "max" => Self::Max,
            _ => return Err(Invalid::new(path, "Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")),
        })
    }
}

impl Read for ExecutionIdentity {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        match fields.required::<String>("type")?.as_str() {
            "service_account" => fields.end().map(|()| Self::ServiceAccount),
            "aws_role" => Err(unsupported(path)),
            _ => Err(fields.invalid("type", "Input should be 'service_account' or 'aws_role'")),
        }
    }
}

impl Read for Policy {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let policy = match fields.required::<String>("type")?.as_str() {
            "always_allow" => Self::AlwaysAllow,
            "always_ask" => Self::AlwaysAsk,
            "auto" => Self::Auto,
            _ => return Err(fields.invalid("type", "Input should be 'always_allow', 'always_ask' or 'auto'")),
        };
        fields.end()?;
        Ok(policy)
    }
}

impl Read for ToolDefault {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let enabled = fields.optional("enabled")?.unwrap_or(true);
        let permission_policy = fields.optional("permission_policy")?.unwrap_or(Policy::AlwaysAllow);
        fields.end()?;
        Ok(Self { enabled, permission_policy })
    }
}

impl Read for Tool {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        match fields.required::<String>("type")?.as_str() {
            "agent_toolset_20260401" => read_toolset(fields, path),
            "custom" => read_custom(fields, path),
            "mcp_toolset" => Err(unsupported(path)),
            _ => Err(fields.invalid("type", "Input should be 'agent_toolset_20260401', 'mcp_toolset' or 'custom'")),
        }
    }
}

fn read_toolset(mut fields: Fields, path: &str) -> Result<Tool, Invalid> {
    let default_config = fields
        .optional("default_config")?
        .unwrap_or(ToolDefault { enabled: true, permission_policy: Policy::AlwaysAllow });
    let entries: Vec<Value> = fields.optional("configs")?.unwrap_or_default();
    fields.end()?;
    let mut configs: Vec<ToolConfig> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let config = read_config(entry, &format!("{path}.configs.{index}"), default_config)?;
        if configs.iter().any(|other| other.name == config.name) {
            return Err(Invalid::new(format!("{path}.configs.{index}.name"), "This tool is configured twice"));
        }
        configs.push(config);
    }
    Ok(Tool::Toolset { default_config, configs })
}

fn read_config(entry: Value, path: &str, default: ToolDefault) -> Result<ToolConfig, Invalid> {
    let mut fields = Fields::of(entry, path)?;
    let name: String = fields.required("name")?;
    if !BUILT_IN.contains(&name.as_str()) {
        return Err(fields.invalid("name", format!("Unknown tool; the toolset has {}", BUILT_IN.join(", "))));
    }
    if fields.optional::<String>("type")?.is_some_and(|r#type| r#type != name) {
        return Err(fields.invalid("type", "Input should be the same as name"));
    }
    let enabled = fields.optional("enabled")?;
    let absent = ABSENT.contains(&name.as_str());
    if absent && enabled == Some(true) {
        return Err(unsupported(&fields.at("enabled")));
    }
    for setting in ["allowed_domains", "blocked_domains", "max_content_tokens", "user_location", "url_sources"] {
        if absent {
            fields.unsupported(setting)?;
        }
    }
    let permission_policy = fields.optional("permission_policy")?.unwrap_or(default.permission_policy);
    fields.end()?;
    Ok(ToolConfig {
        r#type: name.clone(),
        name,
        enabled: !absent && enabled.unwrap_or(default.enabled),
        permission_policy,
    })
}

fn read_custom(mut fields: Fields, path: &str) -> Result<Tool, Invalid> {
    let name = text(fields.required("name")?, &fields.at("name"), 1..=128)?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        return Err(fields.invalid("name", "Only letters, digits, '_' and '-' are allowed"));
    }
    if BUILT_IN.contains(&name.as_str()) || name.starts_with("mcp__") || name.starts_with("ant__") {
        return Err(fields.invalid("name", "This name is reserved"));
    }
    let description = text(fields.required("description")?, &fields.at("description"), 1..=usize::MAX)?;
    let input_schema = read_schema(fields.required("input_schema")?, &join(path, "input_schema"))?;
    fields.end()?;
    Ok(Tool::Custom { name, description, input_schema })
}

fn read_schema(value: Value, path: &str) -> Result<Map<String, Value>, Invalid> {
    let Value::Object(schema) = value else {
        return Err(Invalid::new(path, "Input should be a JSON schema of type object"));
    };
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(Invalid::new(join(path, "type"), "Input should be 'object'"));
    }
    if let Some(keyword) = ["oneOf", "anyOf", "allOf"].into_iter().find(|keyword| schema.contains_key(*keyword)) {
        return Err(Invalid::new(join(path, keyword), "Not allowed at the top level of a tool's schema"));
    }
    if let Some(Value::Object(properties)) = schema.get("properties") {
        for name in properties.keys() {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
            if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
                return Err(Invalid::new(
                    format!("{path}.properties.{name}"),
                    "A property name is 1 to 64 of A-Z a-z 0-9 _ . -",
                ));
            }
        }
    }
    if let Some(at) = find_reference(&Value::Object(schema.clone()), path) {
        return Err(Invalid::new(at, "References are not allowed in a tool's schema"));
    }
    Ok(schema)
}

fn find_reference(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            let at = join(path, key);
            if matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef") {
                Some(at)
            } else {
                find_reference(value, &at)
            }
        }),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| find_reference(item, &join(path, &index.to_string())))
        }
        _ => None,
    }
}

/// The body of `POST /v1/agents`.
#[derive(Debug, Clone)]
pub struct Create {
    pub definition: Definition,
    pub metadata: Metadata,
}

impl Read for Create {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let definition = Definition {
            name: text(fields.required("name")?, "name", 1..=256)?,
            description: optional_text(fields.optional("description")?, "description", 2_048)?,
            model: fields.required("model")?,
            system: optional_text(fields.optional("system")?, "system", 100_000)?,
            tools: read_tools(&mut fields)?.over(None).unwrap_or_default(),
            mcp_servers: Vec::new(),
            skills: Vec::new(),
            multiagent: None,
            execution_identity: fields.optional("execution_identity")?.unwrap_or_default(),
        };
        let metadata =
            fields.optional::<MetadataPatch>("metadata")?.unwrap_or_default().over(Metadata::new(), "metadata")?;
        refuse_absent(&mut fields)?;
        fields.end()?;
        Ok(Self { definition, metadata })
    }
}

/// The body of `POST /v1/agents/{id}`.
#[derive(Debug, Clone)]
pub struct Update {
    /// The version that the client believes is current.
    pub version: Option<u64>,
    name: Option<String>,
    description: Patch<String>,
    model: Option<(Model, bool)>,
    system: Patch<String>,
    tools: Patch<Vec<Tool>>,
    execution_identity: Patch<ExecutionIdentity>,
    metadata: Option<MetadataPatch>,
}

impl Read for Update {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let version = fields.optional("version")?;
        if version == Some(0) {
            return Err(fields.invalid("version", "Input should be 1 or above"));
        }
        let name = match fields.patch::<String>("name")? {
            Patch::Absent => None,
            Patch::Null => return Err(fields.invalid("name", "This cannot be cleared")),
            Patch::Value(name) => Some(text(name, "name", 1..=256)?),
        };
        let model = match fields.patch::<Value>("model")? {
            Patch::Absent => None,
            Patch::Null => return Err(fields.invalid("model", "This cannot be cleared")),
            Patch::Value(value) => {
                let names_effort = value.get("effort").is_some_and(|effort| !effort.is_null());
                Some((Model::read(value, "model")?, names_effort))
            }
        };
        let update = Self {
            version,
            name,
            model,
            description: bounded(fields.patch("description")?, "description", 2_048)?,
            system: bounded(fields.patch("system")?, "system", 100_000)?,
            tools: read_tools(&mut fields)?,
            execution_identity: fields.patch("execution_identity")?,
            metadata: fields.optional("metadata")?,
        };
        refuse_absent(&mut fields)?;
        fields.end()?;
        Ok(update)
    }
}

impl Update {
    /// The definition and metadata after the update. Equal to what came in if nothing changes.
    pub fn over(self, current: &Definition, metadata: &Metadata) -> Result<(Definition, Metadata), Invalid> {
        let mut next = current.clone();
        if let Some(name) = self.name {
            next.name = name;
        }
        next.description = self.description.over(next.description).filter(|text| !text.is_empty());
        next.system = self.system.over(next.system).filter(|text| !text.is_empty());
        next.tools = self.tools.over(Some(next.tools)).unwrap_or_default();
        next.execution_identity = self.execution_identity.over(Some(next.execution_identity)).unwrap_or_default();
        if let Some((model, names_effort)) = self.model {
            // The same model without an effort keeps the one it had; another model starts from its own default.
            let keeps = !names_effort && model.id == next.model.id;
            next.model = Model { effort: if keeps { next.model.effort } else { model.effort }, ..model };
        }
        let metadata = self.metadata.unwrap_or_default().over(metadata.clone(), "metadata")?;
        Ok((next, metadata))
    }
}

fn refuse_absent(fields: &mut Fields) -> Result<(), Invalid> {
    ["mcp_servers", "skills", "multiagent"].into_iter().try_for_each(|name| fields.unsupported(name))
}

fn optional_text(value: Option<String>, path: &str, most: usize) -> Result<Option<String>, Invalid> {
    value.filter(|value| !value.is_empty()).map(|value| text(value, path, 0..=most)).transpose()
}

fn bounded(patch: Patch<String>, path: &str, most: usize) -> Result<Patch<String>, Invalid> {
    match patch {
        Patch::Value(value) => Ok(Patch::Value(text(value, path, 0..=most)?)),
        other => Ok(other),
    }
}

/// An agent's tools, each read and all of them checked together.
pub(crate) fn read_tools(fields: &mut Fields) -> Result<Patch<Vec<Tool>>, Invalid> {
    match fields.patch("tools")? {
        Patch::Value(tools) => check_tools(tools, &fields.at("tools")).map(Patch::Value),
        other => Ok(other),
    }
}

fn check_tools(tools: Vec<Tool>, path: &str) -> Result<Vec<Tool>, Invalid> {
    let mut names = std::collections::HashSet::new();
    let mut count = 0;
    for (index, tool) in tools.iter().enumerate() {
        let name = match tool {
            Tool::Toolset { .. } => "agent_toolset_20260401",
            Tool::Custom { name, .. } => name,
        };
        count += if matches!(tool, Tool::Toolset { .. }) { BUILT_IN.len() } else { 1 };
        if !names.insert(name) {
            return Err(Invalid::new(join(path, &index.to_string()), format!("{name} is there twice")));
        }
    }
    if count > MAX_TOOLS {
        return Err(Invalid::new(
            path,
            format!("At most {MAX_TOOLS} tools are allowed across all toolsets, not {count}"),
        ));
    }
    Ok(tools)
}

#[cfg(test)]
mod tests;
