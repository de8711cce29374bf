use secrecy::ExposeSecret;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const LATER: &str = "2030-01-01T00:00:00Z";

fn create(auth: Value) -> Result<(Credential, Secrets), Invalid> {
    let (id, vault) = (CredentialId::from_bits(1), VaultId::from_bits(2));
    CredentialCreate::read(json!({"auth": auth}), "")?.create(id, vault, NOW)
}

fn update(credential: Credential, auth: Value) -> Result<(Credential, Secrets), Invalid> {
    CredentialUpdate::read(json!({"auth": auth}), "")?.over(credential, NOW)
}

fn oauth() -> Value {
    json!({
        "type": "mcp_oauth", "mcp_server_url": "https://mcp.example.com/mcp", "access_token": "at-1",
        "expires_at": LATER,
        "refresh": {
            "client_id": "c", "refresh_token": "rt-1", "token_endpoint": "https://auth.example.com/token",
            "token_endpoint_auth": {"type": "client_secret_post", "client_secret": "cs-1"}, "scope": "a b",
        },
    })
}

fn variable(extra: Value) -> Value {
    let mut auth = json!({
        "type": "environment_variable", "secret_name": "API_KEY", "secret_value": "sv-1",
        "networking": {"type": "limited", "allowed_hosts": ["api.example.com", "*.example.org", "192.0.2.1"]},
    });
    auth.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    auth
}

fn said(secrets: &Secrets) -> Vec<(&'static str, &str)> {
    secrets.0.iter().map(|(field, secret)| (field.name(), secret.expose_secret())).collect()
}

#[test]
fn secrets_are_parted_from_what_is_read_back() {
    let (credential, secrets) = create(oauth()).unwrap();
    assert_eq!(said(&secrets), [("access_token", "at-1"), ("refresh_token", "rt-1"), ("client_secret", "cs-1")]);
    let shown = serde_json::to_value(&credential).unwrap();
    assert_eq!(
        shown["auth"],
        json!({
            "type": "mcp_oauth", "mcp_server_url": "https://mcp.example.com/mcp", "expires_at": "2030-01-01T00:00:00.000Z",
            "refresh": {
                "client_id": "c", "token_endpoint": "https://auth.example.com/token",
                "token_endpoint_auth": {"type": "client_secret_post"}, "scope": "a b",
            },
        })
    );
    let all = format!("{shown} {credential:?} {secrets:?}");
    assert!(!["at-1", "rt-1", "cs-1"].iter().any(|secret| all.contains(secret)), "{all}");
    assert_eq!(serde_json::from_value::<Credential>(shown).unwrap(), credential);
}

#[test]
fn injection_locations_are_as_documented() {
    let of = |extra: Value| {
        let (credential, _) = create(variable(extra))?;
        let Auth::EnvironmentVariable { injection_location, .. } = credential.auth else { panic!("another type") };
        Ok::<_, Invalid>((injection_location.header, injection_location.body))
    };
    assert_eq!(of(json!({})).unwrap(), (true, true));
    assert_eq!(of(json!({"injection_location": {"header": true}})).unwrap(), (true, false));
    assert_eq!(of(json!({"injection_location": {"body": true}})).unwrap(), (false, true));
    for (given, path) in [
        (json!({}), "auth.injection_location"),
        (json!({"header": false, "body": false}), "auth.injection_location"),
        (Value::Null, "auth.injection_location"),
        (json!({"header": null, "body": true}), "auth.injection_location.header"),
    ] {
        assert_eq!(of(json!({"injection_location": given})).unwrap_err().path, path, "{given}");
    }
    let (credential, _) = create(variable(json!({}))).unwrap();
    let (credential, secrets) =
        update(credential, json!({"type": "environment_variable", "injection_location": {"body": false}})).unwrap();
    let Auth::EnvironmentVariable { injection_location, .. } = &credential.auth else { panic!("another type") };
    assert_eq!((injection_location.header, injection_location.body, secrets.0.len()), (true, false, 0));
    let refused = update(credential, json!({"type": "environment_variable", "injection_location": {"header": false}}));
    assert_eq!(refused.unwrap_err().path, "auth.injection_location");
}

#[test]
fn an_update_replaces_secrets_and_keeps_what_the_credential_is_for() {
    let (credential, _) = create(oauth()).unwrap();
    let change = json!({
        "type": "mcp_oauth", "access_token": "at-2",
        "refresh": {"refresh_token": "rt-2", "scope": "", "token_endpoint_auth": {"type": "client_secret_basic", "client_secret": "cs-2"}},
    });
    let (credential, secrets) = update(credential, change).unwrap();
    assert_eq!(said(&secrets), [("access_token", "at-2"), ("refresh_token", "rt-2"), ("client_secret", "cs-2")]);
    let Auth::McpOauth { refresh: Some(refresh), expires_at: Some(_), .. } = &credential.auth else { panic!() };
    assert_eq!((refresh.scope.as_deref(), refresh.token_endpoint_auth), (None, TokenEndpointAuth::ClientSecretPost));
    for (change, path) in [
        (json!({"type": "static_bearer", "token": "t"}), "auth.type"),
        (json!({"type": "mcp_oauth", "mcp_server_url": "https://mcp.example.com/mcp"}), "auth.mcp_server_url"),
        (json!({"type": "mcp_oauth", "refresh": {"client_id": "d"}}), "auth.refresh.client_id"),
        (
            json!({"type": "mcp_oauth", "refresh": {"token_endpoint": "https://e.example"}}),
            "auth.refresh.token_endpoint",
        ),
        (json!({"type": "mcp_oauth", "expires_at": "2001-01-01T00:00:00Z"}), "auth.expires_at"),
        (
            json!({"type": "mcp_oauth", "refresh": {"token_endpoint_auth": {"type": "none"}}}),
            "auth.refresh.token_endpoint_auth.type",
        ),
    ] {
        assert_eq!(update(credential.clone(), change.clone()).unwrap_err().path, path, "{change}");
    }
}

#[test]
fn a_refresh_cannot_be_added_or_given_a_secret_later() {
    let mut bare = oauth();
    bare.as_object_mut().unwrap().remove("refresh");
    let (credential, _) = create(bare).unwrap();
    let refused = update(credential, json!({"type": "mcp_oauth", "refresh": {"refresh_token": "r"}}));
    assert_eq!(refused.unwrap_err().path, "auth.refresh");
    let mut public = oauth();
    public["refresh"]["token_endpoint_auth"] = json!({"type": "none"});
    let (credential, _) = create(public).unwrap();
    let secret = json!({"type": "client_secret_post", "client_secret": "s"});
    let refused = update(credential, json!({"type": "mcp_oauth", "refresh": {"token_endpoint_auth": secret}}));
    assert_eq!(refused.unwrap_err().path, "auth.refresh.token_endpoint_auth");
}

#[test]
fn refusals_name_the_field_and_never_show_a_secret() {
    let hosts = |hosts: Value| variable(json!({"networking": {"type": "limited", "allowed_hosts": hosts}}));
    for (auth, path) in [
        (json!({"type": "password"}), "auth.type"),
        (json!({"type": "static_bearer", "mcp_server_url": "https://a.example"}), "auth.token"),
        (json!({"type": "static_bearer", "mcp_server_url": "a", "token": "s3cret"}), "auth.mcp_server_url"),
        (json!({"type": "static_bearer", "mcp_server_url": "https://a.example", "token": ""}), "auth.token"),
        (json!({"type": "static_bearer", "mcp_server_url": "https://a.example", "token": ["s3cret"]}), "auth.token"),
        (json!({"type": "static_bearer", "mcp_server_url": "https://a.example", "token": "a\0s3cret"}), "auth.token"),
        (variable(json!({"secret_name": "1A"})), "auth.secret_name"),
        (variable(json!({"secret_name": "LD_PRELOAD"})), "auth.secret_name"),
        (variable(json!({"secret_name": "https_proxy"})), "auth.secret_name"),
        (variable(json!({"networking": null})), "auth.networking"),
        (hosts(json!([])), "auth.networking.allowed_hosts"),
        (hosts(json!(vec!["a.example"; 17])), "auth.networking.allowed_hosts"),
        (hosts(json!(["a.example", "https://b.example"])), "auth.networking.allowed_hosts.1"),
        (hosts(json!(["a.example:443"])), "auth.networking.allowed_hosts.0"),
        (hosts(json!(["::1"])), "auth.networking.allowed_hosts.0"),
        (hosts(json!(["*.com"])), "auth.networking.allowed_hosts.0"),
        (hosts(json!(["a.*.com"])), "auth.networking.allowed_hosts.0"),
        (variable(json!({"extra": 1})), "auth.extra"),
    ] {
        let refused = create(auth.clone()).unwrap_err();
        assert_eq!(refused.path, path, "{auth}");
        assert!(!refused.message.contains("s3cret"), "{refused}");
    }
}

#[test]
fn what_must_be_unique_in_a_vault_is_the_server_or_the_variable() {
    let key = |auth: Value| create(auth).unwrap().0.auth.key();
    let bearer = |url: &str| json!({"type": "static_bearer", "mcp_server_url": url, "token": "t"});
    assert_eq!(key(oauth()), key(bearer("HTTPS://MCP.example.com:443/mcp/")));
    assert_ne!(key(oauth()), key(bearer("https://mcp.example.com/other")));
    assert_ne!(key(oauth()), key(variable(json!({}))));
}

#[test]
fn a_vault_needs_a_name() {
    let read = |body: Value| VaultChange::read(body, "")?.create(VaultId::from_bits(1), NOW);
    for body in [json!({}), json!({"display_name": ""}), json!({"display_name": "a".repeat(256)})] {
        assert_eq!(read(body).unwrap_err().path, "display_name");
    }
    let vault = read(json!({"display_name": "mine", "metadata": {"a": "1"}})).unwrap();
    let change = VaultChange::read(json!({"metadata": {"a": null, "b": "2"}}), "").unwrap();
    let vault = change.over(vault).unwrap();
    assert_eq!((vault.display_name.as_str(), vault.metadata.keys().next().unwrap().as_str()), ("mine", "b"));
}
