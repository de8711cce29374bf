//! Environments: what a session's sandbox is made of.

mod packages;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::packages::PackagesChange;
use crate::read::{Fields, Invalid, Metadata, MetadataPatch, Patch, Read, text};
use crate::{EnvironmentId, Timestamp};

pub use packages::{Manager, Packages};

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
    Cloud {
        networking: Networking,
        packages: Packages,
    },
    /// Workers of the client's own run the calls; nothing of ours does.
    SelfHosted {},
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

/// The body of create and of update: they differ in what may be left out.
#[derive(Debug, Clone)]
pub struct Change {
    name: Option<String>,
    description: Patch<String>,
    config: Option<ConfigChange>,
    metadata: MetadataPatch,
}

#[derive(Debug, Clone)]
enum ConfigChange {
    Cloud { networking: Option<NetworkingChange>, packages: Option<PackagesChange> },
    SelfHosted,
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
        let change = match fields.required::<String>("type")?.as_str() {
            "cloud" => {
                Self::Cloud { networking: fields.optional("networking")?, packages: fields.optional("packages")? }
            }
            "self_hosted" => Self::SelfHosted,
            _ => return Err(fields.invalid("type", "Input should be 'cloud' or 'self_hosted'")),
        };
        fields.end()?;
        Ok(change)
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

const MAX_HOSTS: usize = 1_000;

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// What ends in a number is none: some programs take it for an address.
pub(crate) fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    let last = text.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let hexadecimal = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(hexadecimal);
    text.len() <= 253 && text.split('.').all(is_label) && !is_number
}

/// A bare host, or `*.` and a host. Clients of the launch wrote `https://` in front, so that is taken off.
fn check_hosts(hosts: Vec<String>, path: &str) -> Result<Vec<String>, Invalid> {
    if hosts.len() > MAX_HOSTS {
        return Err(Invalid::new(format!("{path}.allowed_hosts"), format!("At most {MAX_HOSTS} hosts are allowed")));
    }
    let check = |(index, host): (usize, String)| {
        let bare = host.strip_prefix("https://").unwrap_or(&host).to_owned();
        if !bare.strip_prefix("*.").map_or_else(|| is_address(&bare) || is_name(&bare), is_name) {
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
        let config = match self.config {
            Some(ConfigChange::SelfHosted) => Config::SelfHosted {},
            Some(ConfigChange::Cloud { .. }) | None => Config::default(),
        };
        self.over(Settings { name, description: None, config, metadata: Metadata::new() })
    }

    /// The settings after an update: what is left out stays.
    pub fn over(self, current: Settings) -> Result<Settings, Invalid> {
        Ok(Settings {
            name: self.name.unwrap_or(current.name),
            description: self.description.over(current.description),
            config: match self.config {
                Some(change) => change.over(current.config)?,
                None => current.config,
            },
            metadata: self.metadata.over(current.metadata, "metadata")?,
        })
    }
}

impl ConfigChange {
    fn over(self, current: Config) -> Result<Config, Invalid> {
        let (networking, packages, reach, software) = match (current, self) {
            (Config::Cloud { networking, packages }, Self::Cloud { networking: reach, packages: software }) => {
                (networking, packages, reach, software)
            }
            (Config::SelfHosted {}, Self::SelfHosted) => return Ok(Config::SelfHosted {}),
            (Config::Cloud { .. }, Self::SelfHosted) | (Config::SelfHosted {}, Self::Cloud { .. }) => {
                let code = Some("invalid_config_type_change");
                let message = "The type of an environment does not change. Create another environment";
                return Err(Invalid { code, ..Invalid::new("config.type", message) });
            }
        };
        let networking = match reach {
            Some(change) => change.over(networking),
            None => networking,
        };
        let packages = match software {
            Some(change) => change.over(packages),
            None => packages,
        };
        if let Networking::Limited { allow_package_managers: false, .. } = networking
            && !packages.is_empty()
        {
            let message = "Packages under limited networking need allow_package_managers: true";
            return Err(Invalid::new("config.packages", message));
        }
        Ok(Config::Cloud { networking, packages })
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
        let config = Change::read(update, "").unwrap().over(settings).unwrap().config;
        let Config::Cloud { networking, .. } = config else { panic!("{config:?}") };
        let expected = Networking::Limited {
            allowed_hosts: vec!["a.example".into()],
            allow_mcp_servers: true,
            allow_package_managers: true,
        };
        assert_eq!(networking, expected);
    }

    #[test]
    fn an_update_keeps_the_managers_it_leaves_out() {
        let packages = json!({"pip": ["a==1"], "npm": ["b@2"]});
        let settings = create(json!({"name": "e", "config": {"type": "cloud", "packages": packages}})).unwrap();
        let update = json!({"config": {"type": "cloud", "packages": {"pip": [], "apt": ["c"]}}});
        let config = Change::read(update, "").unwrap().over(settings).unwrap().config;
        let Config::Cloud { packages, .. } = config else { panic!("{config:?}") };
        let of = |manager| packages.of(manager).to_vec();
        assert_eq!(Manager::ALL.map(of).concat(), ["c", "b@2"]);
    }

    #[test]
    fn the_type_of_an_environment_stays() {
        let of = |kind: &str| create(json!({"name": "e", "config": {"type": kind}})).unwrap();
        let own = serde_json::to_value(of("self_hosted").config).unwrap();
        assert_eq!(own, json!({"type": "self_hosted"}));
        for (from, to, changes) in
            [("cloud", "cloud", false), ("cloud", "self_hosted", true), ("self_hosted", "cloud", true)]
        {
            let update = Change::read(json!({"config": {"type": to}}), "").unwrap();
            let refused = update.over(of(from)).err();
            let expected = changes.then_some(("config.type", Some("invalid_config_type_change")));
            assert_eq!(refused.as_ref().map(|refused| (refused.path.as_str(), refused.code)), expected, "{from} {to}");
        }
        let renamed = Change::read(json!({"name": "f"}), "").unwrap().over(of("self_hosted")).unwrap();
        assert_eq!((renamed.name.as_str(), renamed.config), ("f", Config::SelfHosted {}));
    }

    #[test]
    fn refusals_name_the_field() {
        for (body, expected) in [
            (json!({}), "name: Field required"),
            (json!({"name": "e", "config": {"type": "hosted"}}), "config.type: Input should be"),
            (json!({"name": "e", "config": {"type": "self_hosted", "packages": {}}}), "config.packages: Extra inputs"),
            (
                json!({"name": "e", "config": {"type": "cloud", "packages": {"pip": ["x", "--index=y"]}}}),
                "config.packages.pip.1: Input should be a package",
            ),
            (
                json!({"name": "e", "config": {"type": "cloud", "packages": {"pip": ["x"]},
                    "networking": {"type": "limited", "allowed_hosts": ["files.example"]}}}),
                "config.packages: Packages under limited networking need",
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
