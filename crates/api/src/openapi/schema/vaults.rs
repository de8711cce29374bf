//! Vaults and credentials.

use serde_json::{Value, json};

use super::{array, nullable, object, of, resource, string, time, with};

pub(super) fn schemas() -> Value {
    let name = || json!({"type": "string", "minLength": 1, "maxLength": 255});
    let vault = json!({"display_name": name(), "metadata": of("Metadata")});
    let patch = json!({"display_name": {"type": ["string", "null"]}, "metadata": of("MetadataPatch")});
    let credential = |auth: Value| json!({"display_name": nullable(), "metadata": of("Metadata"), "auth": auth});
    json!({
        "VaultCreate": object(vault.clone(), &["display_name"]),
        "VaultUpdate": object(patch.clone(), &[]),
        "Vault": object(with(vault, resource("vault", json!({}))),
            &["id", "type", "display_name", "metadata", "created_at", "updated_at"]),
        "CredentialCreate": object(credential(auths(true)), &["auth"]),
        "CredentialUpdate": object(with(patch, json!({"auth": updates()})), &[]),
        "Credential": object(with(credential(auths(false)), resource("vault_credential", json!({"vault_id": string()}))),
            &["id", "type", "vault_id", "auth", "metadata", "created_at", "updated_at"]),
        "CredentialNetworking": {"oneOf": [
            object(json!({"type": {"const": "unrestricted"}}), &["type"]),
            object(json!({"type": {"const": "limited"}, "allowed_hosts": with(array(), json!({"minItems": 1, "maxItems": 16,
                "items": string()}))}), &["type", "allowed_hosts"]),
        ]},
        "VaultKey": object(json!({"key": string()}), &["key"]),
        "VaultUpkeep": object(json!({"secrets": {"type": "integer"}, "rewrapped": {"type": "integer"},
            "keys": {"type": "object", "additionalProperties": {"type": "integer"}},
            "faults": {"type": "array", "items": object(json!({"vault_id": string(), "credential_id": string(),
                "field": string(), "reason": string()}), &["vault_id", "credential_id", "field", "reason"])}}),
            &["secrets", "rewrapped", "keys", "faults"]),
        "InjectionLocation": object(json!({"header": {"type": "boolean"}, "body": {"type": "boolean"}}), &[]),
    })
}

fn secret() -> Value {
    json!({"type": "string", "writeOnly": true, "maxLength": 32768})
}

/// What a credential is made of, with its secrets or as it is read back.
fn auths(secrets: bool) -> Value {
    let kept = |fields: Value, own: Value| if secrets { with(fields, own) } else { fields };
    let required = |names: &[&'static str], own: &[&'static str]| {
        if secrets { [names, own].concat() } else { names.to_vec() }
    };
    let endpoint = |kind: &str, secret_fields: Value, own: &[&'static str]| {
        object(kept(json!({"type": {"const": kind}}), secret_fields), &required(&["type"], own))
    };
    let with_secret = |kind: &str| endpoint(kind, json!({"client_secret": secret()}), &["client_secret"]);
    let endpoint_auth = json!({"oneOf": [
        endpoint("none", json!({}), &[]), with_secret("client_secret_basic"), with_secret("client_secret_post"),
    ]});
    let refresh = kept(
        json!({"client_id": string(), "token_endpoint": string(), "token_endpoint_auth": endpoint_auth,
            "resource": nullable(), "scope": nullable()}),
        json!({"refresh_token": secret()}),
    );
    let refresh =
        object(refresh, &required(&["client_id", "token_endpoint", "token_endpoint_auth"], &["refresh_token"]));
    let url = || json!({"type": "string", "format": "uri", "maxLength": 2048});
    let oauth =
        json!({"type": {"const": "mcp_oauth"}, "mcp_server_url": url(), "expires_at": time(), "refresh": refresh});
    let bearer = json!({"type": {"const": "static_bearer"}, "mcp_server_url": url()});
    let variable = json!({"type": {"const": "environment_variable"}, "secret_name": string(),
        "networking": of("CredentialNetworking"), "injection_location": of("InjectionLocation")});
    json!({"oneOf": [
        object(kept(oauth, json!({"access_token": secret()})), &required(&["type", "mcp_server_url"], &["access_token"])),
        object(kept(bearer, json!({"token": secret()})), &required(&["type", "mcp_server_url"], &["token"])),
        object(kept(variable, json!({"secret_value": secret()})),
            &required(&["type", "secret_name", "networking"], &["secret_value"])),
    ]})
}

fn updates() -> Value {
    let endpoints = ["client_secret_basic", "client_secret_post"]
        .map(|kind| object(json!({"type": {"const": kind}, "client_secret": secret()}), &["type"]));
    let endpoint = json!({"oneOf": endpoints});
    let refresh = object(json!({"refresh_token": secret(), "scope": nullable(), "token_endpoint_auth": endpoint}), &[]);
    json!({"oneOf": [
        object(json!({"type": {"const": "mcp_oauth"}, "access_token": secret(), "expires_at": time(), "refresh": refresh}),
            &["type"]),
        object(json!({"type": {"const": "static_bearer"}, "token": secret()}), &["type"]),
        object(json!({"type": {"const": "environment_variable"}, "secret_value": secret(),
            "networking": of("CredentialNetworking"), "injection_location": of("InjectionLocation")}), &["type"]),
    ]})
}
