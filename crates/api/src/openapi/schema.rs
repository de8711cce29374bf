//! The schemas of `/openapi.json`.

mod vaults;

use serde_json::{Value, json};
use wire::event::KINDS;

pub(super) fn schemas() -> Value {
    let mut schemas = json!({
        "Error": object(json!({
            "type": {"const": "error"},
            "error": object(json!({"type": string(), "message": string(), "details": {"type": "object"}}), &["type", "message"]),
            "request_id": string(),
        }), &["type", "error", "request_id"]),
        "Deleted": object(json!({"id": string(), "type": string()}), &["id", "type"]),
        "Metadata": {"type": "object", "maxProperties": 16, "additionalProperties": {"type": "string", "maxLength": 512}},
        "Model": object(json!({"id": string(), "effort": {"type": "object"}, "speed": {"enum": ["standard"]}}), &["id"]),
        "Tool": {"oneOf": [
            object(json!({"type": {"const": "agent_toolset_20260401"}, "default_config": object(tool_fields(), &[]),
                "configs": {"type": "array", "items": object(with(tool_fields(), json!({"name": string(), "type": string()})),
                    &["name"])}}), &["type"]),
            object(json!({"type": {"const": "custom"}, "name": string(), "description": string(),
                "input_schema": {"type": "object"}}), &["type", "name", "description", "input_schema"]),
        ]},
        "AgentCreate": object(agent_fields(), &["name", "model"]),
        "AgentUpdate": object(with(agent_fields(), json!({"version": {"type": "integer", "minimum": 1}})), &[]),
        "Agent": object(with(agent_fields(), resource("agent", json!({
            "version": {"type": "integer"}, "mcp_servers": array(), "skills": array(), "multiagent": {"type": "null"},
        }))), &["id", "type", "name", "model", "tools", "metadata", "version", "created_at", "updated_at"]),
        "EnvironmentCreate": object(environment_fields(), &["name"]),
        "EnvironmentUpdate": object(environment_fields(), &[]),
        "Environment": object(with(environment_fields(), resource("environment", json!({"scope": {"const": "organization"}}))),
            &["id", "type", "name", "config", "metadata", "created_at", "updated_at"]),
        "SessionCreate": object(json!({
            "agent": {"oneOf": [string(), object(json!({"type": {"const": "agent"}, "id": string(),
                "version": {"type": "integer"}}), &["type", "id"])]},
            "environment_id": string(), "title": nullable(), "metadata": of("Metadata"),
            "resources": {"type": "array", "maxItems": 500, "items": of("FileResource")},
            "initial_events": {"type": "array", "maxItems": 50, "items": of("ClientEvent")}, "budget": budgeted(),
            "vault_ids": {"type": "array", "maxItems": 50, "items": string()},
        }), &["agent", "environment_id"]),
        "SessionUpdate": object(json!({"title": nullable(), "metadata": of("Metadata"), "budget": budgeted(),
            "agent": object(json!({"tools": {"type": ["array", "null"], "maxItems": 256, "items": of("Tool")},
                "mcp_servers": {"type": ["array", "null"], "maxItems": 0}}), &[])}), &[]),
        "Session": object(resource("session", json!({
            "title": nullable(), "status": status(), "agent": {"type": "object"}, "environment_id": string(),
            "metadata": of("Metadata"), "resources": {"type": "array", "items": of("Resource")}, "vault_ids": array(),
            "budget": budgeted(), "usage": {"type": "object"}, "stats": {"type": "object"},
            "outcome_evaluations": array(), "deployment_id": {"type": "null"},
        })), &["id", "type", "status", "agent", "environment_id", "created_at", "updated_at"]),
        "FileResource": object(json!({"type": {"const": "file"}, "file_id": string(), "mount_path": nullable()}),
            &["type", "file_id"]),
        "Resource": object(json!({"id": string(), "type": {"const": "file"}, "file_id": string(), "mount_path": string(),
            "created_at": time(), "updated_at": time()}), &["id", "type", "file_id", "mount_path"]),
        "Thread": object(resource("session_thread", json!({"session_id": string(), "parent_thread_id": nullable(),
            "agent": {"type": "object"}, "status": status(), "stats": {"type": ["object", "null"]},
            "usage": {"type": ["object", "null"]}})), &["id", "type", "session_id", "status"]),
        "ClientEvent": {"type": "object", "required": ["type"], "properties": {"type": {"enum":
            ["user.message", "user.interrupt", "user.tool_confirmation", "user.custom_tool_result", "user.tool_result",
                "system.message"]}}},
        "Event": {"type": "object", "required": ["id", "type", "processed_at"], "properties": {
            "id": string(), "type": {"enum": KINDS}, "processed_at": {"type": ["string", "null"], "format": "date-time"}}},
        "SendEvents": object(json!({"events": {"type": "array", "minItems": 1, "maxItems": 100, "items": of("ClientEvent")}}), &["events"]),
        "SentEvents": object(json!({"data": {"type": "array", "items": of("Event")}}), &["data"]),
        "FileUpload": object(json!({"file": {"type": "string", "format": "binary"},
            "expires_in_seconds": {"type": "integer", "minimum": 3600, "maximum": 7776000}}), &["file"]),
        "File": object(json!({"id": string(), "type": {"const": "file"}, "filename": string(), "mime_type": string(),
            "size_bytes": {"type": "integer"}, "created_at": time(), "downloadable": {"type": "boolean"},
            "expires_at": {"type": ["string", "null"]}, "scope": {"type": ["object", "null"]}}),
            &["id", "type", "filename", "mime_type", "size_bytes", "created_at"]),
    });
    schemas["Budget"] = budget();
    if let (Some(schemas), Value::Object(more)) = (schemas.as_object_mut(), of_workers()) {
        schemas.extend(more);
    }
    if let (Some(schemas), Value::Object(more)) = (schemas.as_object_mut(), vaults::schemas()) {
        schemas.extend(more);
    }
    schemas["Policy"] = object(json!({"type": {"enum": ["always_allow", "always_ask", "auto"]}}), &["type"]);
    for name in
        ["Agent", "Environment", "Session", "Event", "Resource", "Thread", "File", "Work", "Vault", "Credential"]
    {
        schemas[format!("{name}Page")] =
            object(json!({"data": {"type": "array", "items": of(name)}, "next_page": nullable()}), &["data"]);
    }
    schemas
}

fn of_workers() -> Value {
    let at = || json!({"type": ["string", "null"], "format": "date-time"});
    let state = || json!({"enum": ["queued", "starting", "active", "stopping", "stopped"]});
    let work = json!({
        "id": string(), "type": {"const": "work"}, "environment_id": string(), "state": state(),
        "data": object(json!({"type": {"const": "session"}, "id": string()}), &["type", "id"]),
        "metadata": of("Metadata"), "secret": nullable(), "created_at": time(), "acknowledged_at": at(),
        "started_at": at(), "latest_heartbeat_at": at(), "stop_requested_at": at(), "stopped_at": at(),
    });
    let key = json!({"id": string(), "type": {"const": "environment_key"}, "environment_id": string(),
        "name": nullable(), "created_at": time(), "revoked_at": at()});
    let required = ["id", "type", "environment_id", "created_at"];
    json!({
        "Work": object(work, &["id", "type", "environment_id", "data", "state", "metadata", "created_at"]),
        "PolledWork": {"oneOf": [of("Work"), {"type": "null"}]},
        "WorkUpdate": object(json!({"metadata": of("MetadataPatch")}), &[]),
        "MetadataPatch": {"type": "object", "additionalProperties": {"type": ["string", "null"], "maxLength": 512}},
        "WorkStop": object(json!({"force": {"type": "boolean"}}), &[]),
        "WorkHeartbeat": object(json!({"type": {"const": "work_heartbeat"}, "last_heartbeat": string(),
            "lease_extended": {"type": "boolean"}, "state": state(), "ttl_seconds": {"type": "integer"}}),
            &["type", "last_heartbeat", "lease_extended", "state", "ttl_seconds"]),
        "WorkQueueStats": object(json!({"type": {"const": "work_queue_stats"}, "depth": {"type": "integer"},
            "pending": {"type": "integer"}, "oldest_queued_at": at(), "workers_polling": {"type": ["integer", "null"]}}),
            &["type", "depth", "pending"]),
        "EnvironmentKeyCreate": object(json!({"environment_id": string(), "name": nullable()}), &["environment_id"]),
        "EnvironmentKey": object(key.clone(), &required),
        "NewEnvironmentKey": object(with(key, json!({"key": string()})), &[&required[..], &["key"]].concat()),
        "EnvironmentKeys": object(json!({"data": {"type": "array", "items": of("EnvironmentKey")}}), &["data"]),
    })
}

fn agent_fields() -> Value {
    json!({
        "name": {"type": "string", "minLength": 1, "maxLength": 256}, "description": nullable(), "system": nullable(),
        "model": {"oneOf": [string(), of("Model")]}, "tools": {"type": "array", "maxItems": 256, "items": of("Tool")},
        "metadata": of("Metadata"), "execution_identity": {"type": ["object", "null"]},
    })
}

fn tool_fields() -> Value {
    json!({"enabled": {"type": "boolean"}, "permission_policy": of("Policy")})
}

fn budget() -> Value {
    let amount = json!({"type": "string", "pattern": "^[1-9][0-9]{0,8}$", "description": "whole cents"});
    let most = object(json!({"amount": amount, "currency": {"const": "USD"}}), &["amount", "currency"]);
    object(json!({"type": {"const": "limit"}, "max_list_cost": most}), &["type", "max_list_cost"])
}

/// A budget, or null for none.
fn budgeted() -> Value {
    json!({"oneOf": [of("Budget"), {"type": "null"}]})
}

fn environment_fields() -> Value {
    json!({
        "name": {"type": "string", "minLength": 1, "maxLength": 256}, "description": nullable(),
        "config": {"type": "object", "description": "cloud, with networking and packages; or self_hosted"}, "metadata": of("Metadata"),
    })
}

/// The fields that every resource has, and its own.
fn resource(kind: &str, own: Value) -> Value {
    let common = json!({"id": string(), "type": {"const": kind}, "created_at": time(), "updated_at": time(),
        "archived_at": {"type": ["string", "null"], "format": "date-time"}});
    with(common, own)
}

fn with(mut fields: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    fields
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

fn of(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn string() -> Value {
    json!({"type": "string"})
}

fn nullable() -> Value {
    json!({"type": ["string", "null"]})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn array() -> Value {
    json!({"type": "array"})
}

fn status() -> Value {
    json!({"enum": ["idle", "running", "rescheduling", "terminated"]})
}
