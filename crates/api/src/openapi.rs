//! `/openapi.json`: the routes of this version, for generators and for people.

mod schema;

use serde_json::{Map, Value, json};

struct Route {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    request: Option<&'static str>,
    response: &'static str,
    query: &'static [&'static str],
}

macro_rules! routes {
    ($($method:ident $path:literal $summary:literal $request:expr => $response:literal [$($query:literal),*];)*) => {
        const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method), path: $path, summary: $summary, request: $request, response: $response, query: &[$($query),*],
        }),*];
    };
}

const PAGED: &[&str] = &["limit", "page"];

routes! {
    post "/v1/agents" "Create an agent" Some("AgentCreate") => "Agent" [];
    get "/v1/agents" "List agents" None => "AgentPage" ["created_at[gte]", "created_at[lte]", "include_archived"];
    get "/v1/agents/{agent_id}" "Retrieve an agent, or one version of it" None => "Agent" ["version"];
    post "/v1/agents/{agent_id}" "Update an agent: a new version, unless nothing changes" Some("AgentUpdate") => "Agent" [];
    post "/v1/agents/{agent_id}/archive" "Archive an agent" None => "Agent" [];
    get "/v1/agents/{agent_id}/versions" "List an agent's versions, newest first" None => "AgentPage" [];
    post "/v1/environments" "Create an environment" Some("EnvironmentCreate") => "Environment" [];
    get "/v1/environments" "List environments" None => "EnvironmentPage" ["include_archived"];
    get "/v1/environments/{environment_id}" "Retrieve an environment" None => "Environment" [];
    post "/v1/environments/{environment_id}" "Update an environment" Some("EnvironmentUpdate") => "Environment" [];
    delete "/v1/environments/{environment_id}" "Delete an environment that no session uses" None => "Deleted" [];
    post "/v1/environments/{environment_id}/archive" "Archive an environment" None => "Environment" [];
    get "/v1/environments/{environment_id}/work" "List work items; takes an environment key" None => "WorkPage" ["order"];
    get "/v1/environments/{environment_id}/work/poll" "Be given a work item, or null; takes an environment key" None => "PolledWork" ["block_ms", "reclaim_older_than_ms"];
    get "/v1/environments/{environment_id}/work/stats" "Count what is queued, and who polls" None => "WorkQueueStats" [];
    get "/v1/environments/{environment_id}/work/{work_id}" "Retrieve a work item" None => "Work" [];
    post "/v1/environments/{environment_id}/work/{work_id}" "Update a work item's metadata" Some("WorkUpdate") => "Work" [];
    post "/v1/environments/{environment_id}/work/{work_id}/ack" "Acknowledge a work item; takes an environment key or the item's token" None => "Work" [];
    post "/v1/environments/{environment_id}/work/{work_id}/heartbeat" "Keep the lease of a work item; takes an environment key or the item's token" None => "WorkHeartbeat" ["expected_last_heartbeat", "desired_ttl_seconds"];
    post "/v1/environments/{environment_id}/work/{work_id}/stop" "Have a work item end" Some("WorkStop") => "Work" [];
    post "/v1/vaults" "Create a vault" Some("VaultCreate") => "Vault" [];
    get "/v1/vaults" "List vaults" None => "VaultPage" ["include_archived"];
    get "/v1/vaults/{vault_id}" "Retrieve a vault" None => "Vault" [];
    post "/v1/vaults/{vault_id}" "Update a vault" Some("VaultUpdate") => "Vault" [];
    delete "/v1/vaults/{vault_id}" "Delete a vault and its credentials" None => "Deleted" [];
    post "/v1/vaults/{vault_id}/archive" "Archive a vault and its credentials, whose secrets are removed" None => "Vault" [];
    post "/v1/vaults/{vault_id}/credentials" "Create a credential" Some("CredentialCreate") => "Credential" [];
    get "/v1/vaults/{vault_id}/credentials" "List a vault's credentials" None => "CredentialPage" ["include_archived"];
    get "/v1/vaults/{vault_id}/credentials/{credential_id}" "Retrieve a credential, without its secrets" None => "Credential" [];
    post "/v1/vaults/{vault_id}/credentials/{credential_id}" "Update a credential" Some("CredentialUpdate") => "Credential" [];
    delete "/v1/vaults/{vault_id}/credentials/{credential_id}" "Delete a credential" None => "Deleted" [];
    post "/v1/vaults/{vault_id}/credentials/{credential_id}/archive" "Archive a credential, whose secrets are removed" None => "Credential" [];
    post "/v1/sessions" "Create a session" Some("SessionCreate") => "Session" [];
    get "/v1/sessions" "List sessions" None => "SessionPage" ["agent_id", "agent_version", "statuses[]", "order", "include_archived", "created_at[gt]", "created_at[gte]", "created_at[lt]", "created_at[lte]"];
    get "/v1/sessions/{session_id}" "Retrieve a session" None => "Session" [];
    post "/v1/sessions/{session_id}" "Update a session's title, metadata, budget, or its agent's tools" Some("SessionUpdate") => "Session" [];
    delete "/v1/sessions/{session_id}" "Delete a session that is not running" None => "Deleted" [];
    post "/v1/sessions/{session_id}/archive" "Archive a session that is not running" None => "Session" [];
    get "/v1/sessions/{session_id}/events" "List events" None => "EventPage" ["order", "types[]", "created_at[gt]", "created_at[gte]", "created_at[lt]", "created_at[lte]"];
    post "/v1/sessions/{session_id}/events" "Send events" Some("SendEvents") => "SentEvents" [];
    get "/v1/sessions/{session_id}/events/stream" "Stream events as they happen" None => "EventStream" ["event_deltas[]"];
    get "/v1/sessions/{session_id}/stream" "Stream events as they happen (alias)" None => "EventStream" ["event_deltas[]"];
    get "/v1/sessions/{session_id}/resources" "List a session's resources" None => "ResourcePage" [];
    post "/v1/sessions/{session_id}/resources" "Add an input file, which a live sandbox sees at once" Some("FileResource") => "Resource" [];
    get "/v1/sessions/{session_id}/resources/{resource_id}" "Retrieve a resource" None => "Resource" [];
    post "/v1/sessions/{session_id}/resources/{resource_id}" "Refused for files, which cannot be updated" None => "Resource" [];
    delete "/v1/sessions/{session_id}/resources/{resource_id}" "Remove an input file, from a live sandbox too" None => "Deleted" [];
    get "/v1/sessions/{session_id}/threads" "List threads" None => "ThreadPage" ["statuses[]"];
    get "/v1/sessions/{session_id}/threads/{thread_id}" "Retrieve a thread" None => "Thread" [];
    get "/v1/sessions/{session_id}/threads/{thread_id}/events" "List a thread's events" None => "EventPage" [];
    get "/v1/sessions/{session_id}/threads/{thread_id}/stream" "Stream a thread's events" None => "EventStream" ["event_deltas[]"];
    post "/v1/stead/keys" "Make an environment key, which is told once" Some("EnvironmentKeyCreate") => "NewEnvironmentKey" [];
    get "/v1/stead/keys" "List environment keys, the revoked ones too" None => "EnvironmentKeys" [];
    post "/v1/stead/keys/{key_id}/revoke" "Revoke an environment key" None => "EnvironmentKey" [];
    post "/v1/stead/vault/rotate" "Make a key that seals from now on" None => "VaultKey" [];
    post "/v1/stead/vault/check" "Try whether every stored secret opens" None => "VaultUpkeep" [];
    post "/v1/stead/vault/rewrap" "Bring every stored secret under the key that seals now" None => "VaultUpkeep" [];
    post "/v1/files" "Upload a file" Some("FileUpload") => "File" [];
    get "/v1/files" "List files" None => "FilePage" ["scope_id", "ids[]", "after_id", "before_id"];
    get "/v1/files/{file_id}" "Retrieve a file's metadata" None => "File" [];
    delete "/v1/files/{file_id}" "Delete a file" None => "Deleted" [];
    get "/v1/files/{file_id}/content" "Download a file that a session has left" None => "Bytes" [];
}

/// The document, pretty-printed, the same bytes every time.
pub fn document() -> String {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Stead",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The Claude Managed Agents wire API, self-hosted. docs/COMPATIBILITY.md says what differs.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "security": [{"key": []}, {"bearer": []}],
        "paths": paths,
        "components": {"schemas": schema::schemas(), "securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }},
    });
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn operation(route: &Route) -> Value {
    let mut parameters = vec![header("anthropic-version", "2023-06-01 or 2026-10-21", true)];
    let is_managed = !route.path.starts_with("/v1/files") && !route.path.starts_with("/v1/stead");
    if is_managed {
        parameters.push(header("anthropic-beta", "Must contain managed-agents-2026-04-01", true));
    }
    if route.path.ends_with("work/poll") {
        parameters.push(header("anthropic-worker-id", "Who polls: workers are counted by it", false));
    }
    let is_remembered = route.method == "post" && !route.path.starts_with("/v1/stead");
    if is_remembered {
        let meaning = "1 to 255 visible ASCII characters. For 24 hours the same request under the same key has no \
                       second effect, and is answered as it was the first time";
        parameters.push(header("idempotency-key", meaning, false));
    }
    let names = route.path.split(['{', '}']).skip(1).step_by(2);
    parameters
        .extend(names.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})));
    let paged = if route.response.ends_with("Page") { PAGED } else { &[] };
    parameters.extend(route.query.iter().chain(paged).map(|name| {
        let schema = if name.ends_with("[]") {
            json!({"type": "array", "items": {"type": "string"}})
        } else {
            json!({"type": "string"})
        };
        json!({"name": name, "in": "query", "schema": schema})
    }));
    let content = match route.response {
        "EventStream" => json!({"text/event-stream": {"schema": reference("Event")}}),
        "Bytes" => json!({"application/octet-stream": {}}),
        name => json!({"application/json": {"schema": reference(name)}}),
    };
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done", "content": content},
            "default": {"description": "Refused", "content": {"application/json": {"schema": reference("Error")}}},
        },
    });
    if route.path.ends_with("/heartbeat") {
        operation["responses"]["412"] = json!({
            "description": "Another worker may have the item: error.details tells the lease as it stands",
            "content": {"application/json": {"schema": reference("Error")}},
        });
    }
    if is_remembered {
        operation["responses"]["200"]["headers"] = json!({"idempotent-replayed": {
            "description": "There, and true, if this is the answer to an earlier send", "schema": {"type": "string"},
        }});
        operation["responses"]["422"] = json!({
            "description": "Another request was sent under this idempotency-key",
            "content": {"application/json": {"schema": reference("Error")}},
        });
    }
    if let Some(name) = route.request {
        let kind = if name == "FileUpload" { "multipart/form-data" } else { "application/json" };
        operation["requestBody"] = json!({"required": true, "content": {kind: {"schema": reference(name)}}});
    }
    operation
}

fn header(name: &str, description: &str, required: bool) -> Value {
    json!({"name": name, "in": "header", "required": required, "description": description, "schema": {"type": "string"}})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
