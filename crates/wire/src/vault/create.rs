//! Making a credential.

use serde_json::Value;

use super::{
    Auth, Credential, CredentialType, InjectionLocation, Networking, Places, Refresh, SecretField, Secrets,
    TokenEndpointAuth, optional_secret, required_secret, url,
};
use crate::read::{Fields, Invalid, Metadata, MetadataPatch, Read, join, text};
use crate::{CredentialId, Timestamp, VaultId};

/// Characters of what a client says of itself and of what it wants.
const LONGEST_TEXT: usize = 2_048;

/// The body of `POST /v1/vaults/{id}/credentials`.
#[derive(Debug)]
pub struct CredentialCreate {
    display_name: Option<String>,
    metadata: Metadata,
    auth: Auth,
    secrets: Secrets,
}

impl Read for CredentialCreate {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let display_name = fields.optional::<String>("display_name")?;
        let display_name = display_name.map(|name| text(name, "display_name", 0..=255)).transpose()?;
        let metadata = fields.optional::<MetadataPatch>("metadata")?.unwrap_or_default();
        let metadata = metadata.over(Metadata::new(), "metadata")?;
        let AuthCreate { auth, secrets } = fields.required("auth")?;
        fields.end()?;
        Ok(Self { display_name, metadata, auth, secrets })
    }
}

impl CredentialCreate {
    pub fn create(self, id: CredentialId, vault_id: VaultId, now: Timestamp) -> Result<(Credential, Secrets), Invalid> {
        if let Auth::McpOauth { expires_at: Some(at), .. } = &self.auth {
            check_future(*at, now)?;
        }
        let credential = Credential {
            id,
            r#type: CredentialType::VaultCredential,
            vault_id,
            display_name: self.display_name,
            auth: self.auth,
            metadata: self.metadata,
            created_at: now,
            updated_at: now,
            archived_at: None,
        };
        Ok((credential, self.secrets))
    }
}

pub(super) fn check_future(at: Timestamp, now: Timestamp) -> Result<(), Invalid> {
    if at > now {
        return Ok(());
    }
    Err(Invalid::new("auth.expires_at", "Input should be in the future"))
}

struct AuthCreate {
    auth: Auth,
    secrets: Secrets,
}

impl Read for AuthCreate {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let made = match fields.required::<String>("type")?.as_str() {
            "mcp_oauth" => oauth(&mut fields)?,
            "static_bearer" => {
                let auth = Auth::StaticBearer { mcp_server_url: address(&mut fields, "mcp_server_url")? };
                let token = required_secret(&mut fields, SecretField::Token)?;
                Self { auth, secrets: Secrets::default().with(SecretField::Token, Some(token)) }
            }
            "environment_variable" => variable(&mut fields)?,
            _ => {
                let message = "Input should be 'mcp_oauth', 'static_bearer' or 'environment_variable'";
                return Err(fields.invalid("type", message));
            }
        };
        fields.end()?;
        Ok(made)
    }
}

fn address(fields: &mut Fields, name: &str) -> Result<String, Invalid> {
    let path = fields.at(name);
    url::check(fields.required(name)?, &path)
}

fn oauth(fields: &mut Fields) -> Result<AuthCreate, Invalid> {
    let mcp_server_url = address(fields, "mcp_server_url")?;
    let access_token = required_secret(fields, SecretField::AccessToken)?;
    let expires_at = fields.optional("expires_at")?;
    let (refresh, secrets) = match fields.optional::<RefreshCreate>("refresh")? {
        Some(RefreshCreate { refresh, secrets }) => (Some(refresh), secrets),
        None => (None, Secrets::default()),
    };
    let auth = Auth::McpOauth { mcp_server_url, expires_at, refresh };
    Ok(AuthCreate { auth, secrets: secrets.with(SecretField::AccessToken, Some(access_token)) })
}

struct RefreshCreate {
    refresh: Refresh,
    secrets: Secrets,
}

impl Read for RefreshCreate {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let of = |value: String, name: &str| text(value, &join(path, name), 1..=LONGEST_TEXT);
        let client_id = of(fields.required("client_id")?, "client_id")?;
        let token_endpoint = address(&mut fields, "token_endpoint")?;
        let refresh_token = required_secret(&mut fields, SecretField::RefreshToken)?;
        let EndpointCreate { auth, secrets } = fields.required("token_endpoint_auth")?;
        let resource = fields.optional("resource")?.map(|resource| of(resource, "resource")).transpose()?;
        let scope = fields.optional::<String>("scope")?.filter(|scope| !scope.is_empty());
        let scope = scope.map(|scope| of(scope, "scope")).transpose()?;
        fields.end()?;
        let refresh = Refresh { client_id, token_endpoint, token_endpoint_auth: auth, resource, scope };
        Ok(Self { refresh, secrets: secrets.with(SecretField::RefreshToken, Some(refresh_token)) })
    }
}

struct EndpointCreate {
    auth: TokenEndpointAuth,
    secrets: Secrets,
}

impl Read for EndpointCreate {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let auth = endpoint_auth(&mut fields)?;
        let secret = match auth {
            TokenEndpointAuth::None => {
                if optional_secret(&mut fields, SecretField::ClientSecret)?.is_some() {
                    return Err(fields.invalid("client_secret", "The type 'none' sends no client secret"));
                }
                None
            }
            _ => Some(required_secret(&mut fields, SecretField::ClientSecret)?),
        };
        fields.end()?;
        Ok(Self { auth, secrets: Secrets::default().with(SecretField::ClientSecret, secret) })
    }
}

pub(super) fn endpoint_auth(fields: &mut Fields) -> Result<TokenEndpointAuth, Invalid> {
    Ok(match fields.required::<String>("type")?.as_str() {
        "none" => TokenEndpointAuth::None,
        "client_secret_basic" => TokenEndpointAuth::ClientSecretBasic,
        "client_secret_post" => TokenEndpointAuth::ClientSecretPost,
        _ => {
            let message = "Input should be 'none', 'client_secret_basic' or 'client_secret_post'";
            return Err(fields.invalid("type", message));
        }
    })
}

fn variable(fields: &mut Fields) -> Result<AuthCreate, Invalid> {
    let secret_name = check_variable(fields.required("secret_name")?, &fields.at("secret_name"))?;
    let secret_value = required_secret(fields, SecretField::SecretValue)?;
    let networking: Networking = fields.required("networking")?;
    let injection_location = match Places::take(fields)? {
        None => InjectionLocation { header: true, body: true },
        // A place that is not named in what is sent is none.
        Some(places) => {
            places.over(InjectionLocation { header: false, body: false }, &fields.at("injection_location"))?
        }
    };
    let auth = Auth::EnvironmentVariable { secret_name, networking, injection_location };
    Ok(AuthCreate { auth, secrets: Secrets::default().with(SecretField::SecretValue, Some(secret_value)) })
}

/// What a sandbox needs for itself. A value in its place would only break it, or have programs load what it names.
const TAKEN: [&str; 27] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PWD",
    "OLDPWD",
    "TERM",
    "LANG",
    "TMPDIR",
    "IFS",
    "ENV",
    "BASH_ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "PYTHONSTARTUP",
    "JAVA_TOOL_OPTIONS",
];

fn check_variable(name: String, path: &str) -> Result<String, Invalid> {
    let name = text(name, path, 1..=255)?;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_plain || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(Invalid::new(path, "Input should be letters, digits and '_', and not begin with a digit"));
    }
    let upper = name.to_ascii_uppercase();
    if TAKEN.contains(&upper.as_str()) || upper.starts_with("LD_") || upper.starts_with("GIT_CONFIG") {
        return Err(Invalid::new(path, format!("{name} is a variable that sandboxes need for themselves")));
    }
    Ok(name)
}
