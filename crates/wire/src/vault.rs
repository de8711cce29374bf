//! Vaults, and the credentials in them.
//!
//! What a client may read of a credential and what it may not are apart from the moment its request is read: an
//! [`Auth`] has no place for a secret, and [`Secrets`] can be neither printed nor written out.

mod create;
mod update;
mod url;

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::read::{Fields, Invalid, Metadata, MetadataPatch, Patch, Read, text};
use crate::{CredentialId, Timestamp, VaultId};

pub use create::CredentialCreate;
pub use update::CredentialUpdate;
pub use url::normal;

/// Active credentials of one vault.
pub const MAX_CREDENTIALS: usize = 20;

/// Hosts of one credential.
const MAX_HOSTS: usize = 16;

/// Bytes of a secret. The longest tokens in use are a few thousand.
const MAX_SECRET: usize = 32 << 10;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vault {
    pub id: VaultId,
    pub r#type: VaultType,
    pub display_name: String,
    pub metadata: Metadata,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub archived_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultType {
    Vault,
}

/// The body of create and of update: they differ in what may be left out.
#[derive(Debug, Clone)]
pub struct VaultChange {
    display_name: Option<String>,
    metadata: MetadataPatch,
}

impl Read for VaultChange {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let display_name = fields.optional::<String>("display_name")?;
        let display_name = display_name.map(|name| text(name, "display_name", 1..=255)).transpose()?;
        let metadata = fields.optional("metadata")?.unwrap_or_default();
        fields.end()?;
        Ok(Self { display_name, metadata })
    }
}

impl VaultChange {
    pub fn create(self, id: VaultId, now: Timestamp) -> Result<Vault, Invalid> {
        let Some(display_name) = self.display_name else {
            return Err(Invalid::new("display_name", "Field required"));
        };
        let metadata = self.metadata.over(Metadata::new(), "metadata")?;
        let r#type = VaultType::Vault;
        Ok(Vault { id, r#type, display_name, metadata, created_at: now, updated_at: now, archived_at: None })
    }

    /// The vault after an update: what is left out stays.
    pub fn over(self, current: Vault) -> Result<Vault, Invalid> {
        Ok(Vault {
            display_name: self.display_name.unwrap_or(current.display_name),
            metadata: self.metadata.over(current.metadata, "metadata")?,
            ..current
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub id: CredentialId,
    pub r#type: CredentialType,
    pub vault_id: VaultId,
    pub display_name: Option<String>,
    pub auth: Auth,
    pub metadata: Metadata,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub archived_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialType {
    VaultCredential,
}

/// What a credential is for. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Auth {
    McpOauth {
        mcp_server_url: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        expires_at: Option<Timestamp>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        refresh: Option<Refresh>,
    },
    StaticBearer {
        mcp_server_url: String,
    },
    EnvironmentVariable {
        secret_name: String,
        networking: Networking,
        injection_location: InjectionLocation,
    },
}

impl Auth {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::McpOauth { .. } => "mcp_oauth",
            Self::StaticBearer { .. } => "static_bearer",
            Self::EnvironmentVariable { .. } => "environment_variable",
        }
    }

    /// What no two active credentials of a vault share: the server, in the form that all its spellings have in common, or
    /// the variable.
    pub fn key(&self) -> String {
        match self {
            Self::McpOauth { mcp_server_url: url, .. } | Self::StaticBearer { mcp_server_url: url } => {
                format!("url {}", normal(url).unwrap_or_else(|| url.clone()))
            }
            Self::EnvironmentVariable { secret_name, .. } => format!("variable {secret_name}"),
        }
    }
}

/// How a new access token is had for a refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    pub client_id: String,
    pub token_endpoint: String,
    pub token_endpoint_auth: TokenEndpointAuth,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scope: Option<String>,
}

/// How the client is known to the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TokenEndpointAuth {
    None,
    ClientSecretBasic,
    ClientSecretPost,
}

/// The hosts that the value is put in for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Networking {
    Unrestricted,
    Limited { allowed_hosts: Vec<String> },
}

/// The parts of a request that the value is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectionLocation {
    pub header: bool,
    pub body: bool,
}

/// What a credential keeps to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretField {
    AccessToken,
    RefreshToken,
    ClientSecret,
    Token,
    SecretValue,
}

impl SecretField {
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
            Self::ClientSecret => "client_secret",
            Self::Token => "token",
            Self::SecretValue => "secret_value",
        }
    }
}

/// The secrets of a request, on their way to where they are sealed.
#[derive(Clone, Default)]
pub struct Secrets(pub BTreeMap<SecretField, SecretString>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    fn with(mut self, field: SecretField, secret: Option<SecretString>) -> Self {
        if let Some(secret) = secret {
            self.0.insert(field, secret);
        }
        self
    }
}

/// A secret as it is sent: not empty, and nothing that could not stand in a header or a variable.
struct Given(SecretString);

impl Read for Given {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        // The refusal of another type would show nothing of it either.
        let secret = SecretString::from(String::read(value, path)?);
        let bytes = secrecy::ExposeSecret::expose_secret(&secret).as_bytes();
        let why = if bytes.is_empty() {
            "String should have at least 1 character(s)"
        } else if bytes.len() > MAX_SECRET {
            "A secret has at most 32768 bytes"
        } else if bytes.contains(&0) {
            "A secret has no NUL"
        } else {
            return Ok(Self(secret));
        };
        Err(Invalid::new(path, why))
    }
}

fn required_secret(fields: &mut Fields, field: SecretField) -> Result<SecretString, Invalid> {
    Ok(fields.required::<Given>(field.name())?.0)
}

fn optional_secret(fields: &mut Fields, field: SecretField) -> Result<Option<SecretString>, Invalid> {
    Ok(fields.optional::<Given>(field.name())?.map(|given| given.0))
}

/// The injection location, where absent and null are not the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Places {
    header: Option<bool>,
    body: Option<bool>,
}

impl Places {
    const OMIT: &str = "Omit the field instead of sending null";

    fn take(fields: &mut Fields) -> Result<Option<Self>, Invalid> {
        match fields.patch::<Self>("injection_location")? {
            Patch::Absent => Ok(None),
            Patch::Null => Err(fields.invalid("injection_location", Self::OMIT)),
            Patch::Value(places) => Ok(Some(places)),
        }
    }

    fn over(self, current: InjectionLocation, path: &str) -> Result<InjectionLocation, Invalid> {
        let header = self.header.unwrap_or(current.header);
        let body = self.body.unwrap_or(current.body);
        if !header && !body {
            return Err(Invalid::new(path, "At least one of header and body must be true"));
        }
        Ok(InjectionLocation { header, body })
    }
}

impl Read for Places {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let take = |fields: &mut Fields, name: &str| match fields.patch::<bool>(name)? {
            Patch::Absent => Ok(None),
            Patch::Null => Err(fields.invalid(name, Self::OMIT)),
            Patch::Value(value) => Ok(Some(value)),
        };
        let places = Self { header: take(&mut fields, "header")?, body: take(&mut fields, "body")? };
        fields.end()?;
        Ok(places)
    }
}

impl Read for Networking {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let networking = match fields.required::<String>("type")?.as_str() {
            "unrestricted" => Self::Unrestricted,
            "limited" => Self::Limited { allowed_hosts: check_hosts(&mut fields)? },
            _ => return Err(fields.invalid("type", "Input should be 'unrestricted' or 'limited'")),
        };
        fields.end()?;
        Ok(networking)
    }
}

fn check_hosts(fields: &mut Fields) -> Result<Vec<String>, Invalid> {
    let hosts: Vec<String> = fields.required("allowed_hosts")?;
    let path = fields.at("allowed_hosts");
    if hosts.is_empty() {
        return Err(Invalid::new(path, "At least one host is needed: without one the secret could be used nowhere"));
    }
    if hosts.len() > MAX_HOSTS {
        return Err(Invalid::new(path, format!("At most {MAX_HOSTS} hosts are allowed")));
    }
    let is_host = |host: &str| match host.strip_prefix("*.") {
        Some(domain) => crate::environment::is_name(domain) && domain.contains('.'),
        None => host.parse::<std::net::Ipv4Addr>().is_ok() || crate::environment::is_name(host),
    };
    match hosts.iter().position(|host| !is_host(host)) {
        None => Ok(hosts),
        Some(index) => {
            let message =
                "Input should be a host name, an IPv4 address, or '*.' and a domain, without scheme, port or path";
            Err(Invalid::new(format!("{path}.{index}"), message))
        }
    }
}

#[cfg(test)]
mod tests;
