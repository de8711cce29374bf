//! Environments: what a session's sandbox is made of.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::read::{Fields, Invalid, Metadata, MetadataPatch, Patch, Read, text, unsupported};
use crate::{EnvironmentId, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    pub id: EnvironmentId,
    pub r#type: EnvironmentType,
    #[serde(flatten)]
    pub settings: Settings,
    pub scope: Scope,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub archived_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentType {
    Environment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Organization,
}

/// What a client chooses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub name: String,
    pub description: Option<String>,
    pub config: Config,
    pub metadata: Metadata,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Config {
    Cloud { networking: Networking, packages: Packages },
}

impl Default for Config {
    fn default() -> Self {
        Self::Cloud { networking: Networking::Unrestricted, packages: Packages::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Networking {
    Unrestricted,
    Limited { allowed_hosts: Vec<String>, allow_mcp_servers: bool, allow_package_managers: bool },
}

/// No manager's packages are installed yet, so every list is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packages {
    r#type: String,
    apt: Vec<String>,
    cargo: Vec<String>,
    gem: Vec<String>,
    go: Vec<String>,
    npm: Vec<String>,
    pip: Vec<String>,
}

impl Default for Packages {
    fn default() -> Self {
        let none = Vec::new;
        Self {
            r#type: "packages".into(),
            apt: none(),
            cargo: none(),
            gem: none(),
            go: none(),
            npm: none(),
            pip: none(),
        }
    }
}

/// The body of create and of update: they differ in what may be left out.
#[derive(Debug, Clone)]
pub struct Change {
    name: Option<String>,
    description: Patch<String>,
    config: Option<ConfigChange>,
    metadata: MetadataPatch,
}

#[derive(Debug, Clone, Default)]
struct ConfigChange {
    networking: Option<NetworkingChange>,
}

#[derive(Debug, Clone)]
enum NetworkingChange {
    Unrestricted,
    Limited {
        allowed_hosts: Option<Vec<String>>,
        allow_mcp_servers: Option<bool>,
        allow_package_managers: Option<bool>,
    },
}

impl Read for Change {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let name = fields.optional::<String>("name")?.map(|name| text(name, "name", 1..=256)).transpose()?;
        let description = match fields.patch::<String>("description")? {
            Patch::Value(value) => Patch::Value(text(value, "description", 0..=2_048)?),
            other => other,
        };
        let config = fields.optional("config")?;
        let mut metadata = fields.optional::<MetadataPatch>("metadata")?.unwrap_or_default();
        // Here, and only here, an empty string removes a key as null does.
        for value in metadata.0.values_mut() {
            value.take_if(|value| value.is_empty());
        }
        match fields.optional::<String>("scope")?.as_deref() {
            None | Some("organization") => {}
            Some(_) => return Err(fields.invalid("scope", "Input should be 'organization'")),
        }
        fields.end()?;
        Ok(Self { name, description, config, metadata })
    }
}

impl Read for ConfigChange {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        match fields.required::<String>("type")?.as_str() {
            "cloud" => {}
            "self_hosted" => return Err(unsupported(&fields.at("type"))),
            _ => return Err(fields.invalid("type", "Input should be 'cloud' or 'self_hosted'")),
        }
        let networking = fields.optional("networking")?;
        if let Some(packages) = fields.optional::<Value>("packages")? {
            let mut packages = Fields::of(packages, &fields.at("packages"))?;
            packages.ignore("type");
            ["apt", "cargo", "gem", "go", "npm", "pip"].into_iter().try_for_each(|name| packages.unsupported(name))?;
            packages.end()?;
        }
        fields.end()?;
        Ok(Self { networking })
    }
}

impl Read for NetworkingChange {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let networking = match fields.required::<String>("type")?.as_str() {
            "unrestricted" => Self::Unrestricted,
            "limited" => Self::Limited {
                allowed_hosts: fields.optional("allowed_hosts")?.map(|hosts| check_hosts(hosts, path)).transpose()?,
                allow_mcp_servers: fields.optional("allow_mcp_servers")?,
                allow_package_managers: fields.optional("allow_package_managers")?,
            },
            _ => return Err(fields.invalid("type", "Input should be 'unrestricted' or 'limited'")),
        };
        fields.end()?;
        Ok(networking)
    }
}

/// A bare host, or `*.` and a host. Clients of the launch wrote `https://` in front, so that is taken off.
fn check_hosts(hosts: Vec<String>, path: &str) -> Result<Vec<String>, Invalid> {
    let check = |(index, host): (usize, String)| {
        let bare = host.strip_prefix("https://").unwrap_or(&host).to_owned();
        let labels = bare.strip_prefix("*.").unwrap_or(&bare);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if labels.is_empty() || bare.len() > 255 || !labels.bytes().all(plain) {
            let message = "Input should be a host name, or '*.' and one, without scheme, port or path";
            return Err(Invalid::new(format!("{path}.allowed_hosts.{index}"), message));
        }
        Ok(bare)
    };
    hosts.into_iter().enumerate().map(check).collect()
}

impl Change {
    /// The settings of a new environment.
    pub fn create(self) -> Result<Settings, Invalid> {
        let Some(name) = self.name.clone() else {
            return Err(Invalid::new("name", "Field required"));
        };
        self.over(Settings { name, description: None, config: Config::default(), metadata: Metadata::new() })
    }

    /// The settings after an update: what is left out stays.
    pub fn over(self, current: Settings) -> Result<Settings, Invalid> {
        let Config::Cloud { networking, packages } = current.config;
        let networking = match self.config.and_then(|config| config.networking) {
            None => networking,
            Some(change) => change.over(networking),
        };
        Ok(Settings {
            name: self.name.unwrap_or(current.name),
            description: self.description.over(current.description),
            config: Config::Cloud { networking, packages },
            metadata: self.metadata.over(current.metadata, "metadata")?,
        })
    }
}

impl NetworkingChange {
    fn over(self, current: Networking) -> Networking {
        let Self::Limited { allowed_hosts, allow_mcp_servers, allow_package_managers } = self else {
            return Networking::Unrestricted;
        };
        let (hosts, mcp, packages) = match current {
            Networking::Limited { allowed_hosts, allow_mcp_servers, allow_package_managers } => {
                (allowed_hosts, allow_mcp_servers, allow_package_managers)
            }
            Networking::Unrestricted => (Vec::new(), false, false),
        };
        Networking::Limited {
            allowed_hosts: allowed_hosts.unwrap_or(hosts),
            allow_mcp_servers: allow_mcp_servers.unwrap_or(mcp),
            allow_package_managers: allow_package_managers.unwrap_or(packages),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn create(body: Value) -> Result<Settings, Invalid> {
        Change::read(body, "")?.create()
    }

    #[test]
    fn defaults_are_resolved() {
        let settings = create(json!({"name": "e"})).unwrap();
        assert_eq!(
            serde_json::to_value(settings.config).unwrap(),
            json!({"type": "cloud", "networking": {"type": "unrestricted"},
                "packages": {"type": "packages", "apt": [], "cargo": [], "gem": [], "go": [], "npm": [], "pip": []}})
        );
    }

    #[test]
    fn an_update_keeps_the_parts_it_leaves_out() {
        let limited = json!({"type": "limited", "allowed_hosts": ["https://a.example"], "allow_mcp_servers": true});
        let settings = create(json!({"name": "e", "config": {"type": "cloud", "networking": limited}})).unwrap();
        let update =
            json!({"config": {"type": "cloud", "networking": {"type": "limited", "allow_package_managers": true}}});
        let Config::Cloud { networking, .. } = Change::read(update, "").unwrap().over(settings).unwrap().config;
        let expected = Networking::Limited {
            allowed_hosts: vec!["a.example".into()],
            allow_mcp_servers: true,
            allow_package_managers: true,
        };
        assert_eq!(networking, expected);
    }

    #[test]
    fn refusals_name_the_field() {
        for (body, expected) in [
            (json!({}), "name: Field required"),
            (json!({"name": "e", "config": {"type": "self_hosted"}}), "config.type: This is not supported"),
            (
                json!({"name": "e", "config": {"type": "cloud", "packages": {"pip": ["x"]}}}),
                "config.packages.pip: This is not supported",
            ),
            (
                json!({"name": "e", "config": {"type": "cloud", "networking": {"type": "limited", "allowed_hosts": ["a/b"]}}}),
                "config.networking.allowed_hosts.0: Input should be a host name",
            ),
            (json!({"name": "e", "scope": "account"}), "scope: Input should be"),
        ] {
            let message = create(body.clone()).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{body} gave {message}");
        }
    }
}
