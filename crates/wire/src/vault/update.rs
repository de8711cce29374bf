//! Changing a credential. What it is for stays; its secrets, and where they may go, may change.

use secrecy::SecretString;
use serde_json::Value;

use super::create::{check_future, endpoint_auth};
use super::{Auth, Credential, Networking, Places, Refresh, SecretField, Secrets, TokenEndpointAuth, optional_secret};
use crate::Timestamp;
use crate::read::{Fields, Invalid, MetadataPatch, Patch, Read, text};

/// Characters of a scope.
const LONGEST_SCOPE: usize = 2_048;

/// The body of `POST /v1/vaults/{id}/credentials/{id}`.
#[derive(Debug, Clone)]
pub struct CredentialUpdate {
    display_name: Patch<String>,
    metadata: MetadataPatch,
    auth: Option<AuthUpdate>,
}

#[derive(Debug, Clone)]
struct AuthUpdate {
    /// Of what type it says it is.
    name: &'static str,
    secrets: Secrets,
    expires_at: Option<Timestamp>,
    refresh: Option<RefreshUpdate>,
    networking: Option<Networking>,
    places: Option<Places>,
}

#[derive(Debug, Clone)]
struct RefreshUpdate {
    refresh_token: Option<SecretString>,
    /// Empty to clear it.
    scope: Option<String>,
    /// There if the client's way of being known was named, with its new secret if there is one.
    client_secret: Option<Option<SecretString>>,
}

impl Read for CredentialUpdate {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let display_name = match fields.patch::<String>("display_name")? {
            Patch::Value(name) => Patch::Value(text(name, "display_name", 1..=255)?),
            other => other,
        };
        let metadata = fields.optional("metadata")?.unwrap_or_default();
        let auth = fields.optional("auth")?;
        fields.end()?;
        Ok(Self { display_name, metadata, auth })
    }
}

impl Read for AuthUpdate {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let nothing = |name| Self {
            name,
            secrets: Secrets::default(),
            expires_at: None,
            refresh: None,
            networking: None,
            places: None,
        };
        let secret = |fields: &mut Fields, field| {
            Ok::<_, Invalid>(Secrets::default().with(field, optional_secret(fields, field)?))
        };
        let update = match fields.required::<String>("type")?.as_str() {
            "mcp_oauth" => Self {
                secrets: secret(&mut fields, SecretField::AccessToken)?,
                expires_at: fields.optional("expires_at")?,
                refresh: fields.optional("refresh")?,
                ..nothing("mcp_oauth")
            },
            "static_bearer" => Self { secrets: secret(&mut fields, SecretField::Token)?, ..nothing("static_bearer") },
            "environment_variable" => Self {
                secrets: secret(&mut fields, SecretField::SecretValue)?,
                networking: fields.optional("networking")?,
                places: Places::take(&mut fields)?,
                ..nothing("environment_variable")
            },
            _ => {
                let message = "Input should be 'mcp_oauth', 'static_bearer' or 'environment_variable'";
                return Err(fields.invalid("type", message));
            }
        };
        for name in ["mcp_server_url", "secret_name"] {
            refuse_fixed(&mut fields, name)?;
        }
        fields.end()?;
        Ok(update)
    }
}

/// What a credential is for cannot be sent again, not even unchanged.
fn refuse_fixed(fields: &mut Fields, name: &str) -> Result<(), Invalid> {
    match fields.optional::<Value>(name)? {
        None => Ok(()),
        Some(_) => Err(fields.invalid(name, "This cannot be changed. Create another credential")),
    }
}

impl Read for RefreshUpdate {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let refresh_token = optional_secret(&mut fields, SecretField::RefreshToken)?;
        let scope = fields.optional::<String>("scope")?;
        let scope = scope.map(|scope| text(scope, &fields.at("scope"), 0..=LONGEST_SCOPE)).transpose()?;
        let client_secret = fields.optional::<EndpointUpdate>("token_endpoint_auth")?.map(|update| update.0);
        for name in ["client_id", "token_endpoint", "resource"] {
            refuse_fixed(&mut fields, name)?;
        }
        fields.end()?;
        Ok(Self { refresh_token, scope, client_secret })
    }
}

struct EndpointUpdate(Option<SecretString>);

impl Read for EndpointUpdate {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        if endpoint_auth(&mut fields)? == TokenEndpointAuth::None {
            let message = "Input should be 'client_secret_basic' or 'client_secret_post'";
            return Err(fields.invalid("type", message));
        }
        let secret = optional_secret(&mut fields, SecretField::ClientSecret)?;
        fields.end()?;
        Ok(Self(secret))
    }
}

impl CredentialUpdate {
    /// The credential after the update, and the secrets that take the place of those it has.
    pub fn over(self, current: Credential, now: Timestamp) -> Result<(Credential, Secrets), Invalid> {
        let (auth, secrets) = match self.auth {
            None => (current.auth, Secrets::default()),
            Some(update) => update.over(current.auth, now)?,
        };
        let credential = Credential {
            display_name: self.display_name.over(current.display_name),
            metadata: self.metadata.over(current.metadata, "metadata")?,
            auth,
            ..current
        };
        Ok((credential, secrets))
    }
}

impl AuthUpdate {
    fn over(self, current: Auth, now: Timestamp) -> Result<(Auth, Secrets), Invalid> {
        if self.name != current.name() {
            let message = format!("The type of a credential does not change: this one is '{}'", current.name());
            return Err(Invalid::new("auth.type", message));
        }
        let mut secrets = self.secrets;
        let auth = match current {
            Auth::McpOauth { mcp_server_url, expires_at, refresh } => {
                if let Some(at) = self.expires_at {
                    check_future(at, now)?;
                }
                let refresh = match (self.refresh, refresh) {
                    (None, refresh) => refresh,
                    (Some(_), None) => {
                        let message = "The credential was made without a refresh token. Create another credential";
                        return Err(Invalid::new("auth.refresh", message));
                    }
                    (Some(update), Some(refresh)) => Some(update.over(refresh, &mut secrets)?),
                };
                Auth::McpOauth { mcp_server_url, expires_at: self.expires_at.or(expires_at), refresh }
            }
            Auth::StaticBearer { mcp_server_url } => Auth::StaticBearer { mcp_server_url },
            Auth::EnvironmentVariable { secret_name, networking, injection_location } => Auth::EnvironmentVariable {
                secret_name,
                networking: self.networking.unwrap_or(networking),
                injection_location: match self.places {
                    None => injection_location,
                    Some(places) => places.over(injection_location, "auth.injection_location")?,
                },
            },
        };
        Ok((auth, secrets))
    }
}

impl RefreshUpdate {
    fn over(self, current: Refresh, secrets: &mut Secrets) -> Result<Refresh, Invalid> {
        if self.client_secret.is_some() && current.token_endpoint_auth == TokenEndpointAuth::None {
            let message = "The credential was made with the type 'none'. Create another credential";
            return Err(Invalid::new("auth.refresh.token_endpoint_auth", message));
        }
        let client_secret = self.client_secret.flatten();
        *secrets = std::mem::take(secrets)
            .with(SecretField::RefreshToken, self.refresh_token)
            .with(SecretField::ClientSecret, client_secret);
        let scope = match self.scope {
            None => current.scope,
            Some(scope) => Some(scope).filter(|scope| !scope.is_empty()),
        };
        Ok(Refresh { scope, ..current })
    }
}
