//! The configuration: defaults, then file, then environment, then flags. An unknown key is an error that names it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    /// Everything the server writes is below it.
    pub(crate) data_dir: PathBuf,
    #[serde(skip_serializing)]
    pub(crate) api_key: Option<Secret>,
    pub(crate) sandbox: SandboxKind,
    /// Where `script/<name>` is looked up before the built-in scripts.
    pub(crate) scripts_dir: Option<PathBuf>,
    pub(crate) models: Vec<Model>,
    pub(crate) limits: Limits,
    pub(crate) turn: Turn,
    database_url: Option<String>,
    nats_url: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8420)),
            data_dir: ".stead".into(),
            api_key: None,
            sandbox: SandboxKind::Namespace,
            scripts_dir: None,
            models: Vec::new(),
            limits: Limits::default(),
            turn: Turn::default(),
            database_url: None,
            nats_url: None,
        }
    }
}

/// Never printed.
#[derive(Clone, Deserialize)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SandboxKind {
    Namespace,
    Gvisor,
    Oci,
    Kubernetes,
    None,
}

/// A `[[models]]` entry: which provider answers for the model ids that match.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// A glob on the agent's model id.
    pub(crate) r#match: String,
    pub(crate) provider: Provider,
    pub(crate) base_url: Option<String>,
    /// The environment variable that holds the key.
    pub(crate) api_key_env: Option<String>,
    /// The provider's name for the model, if it is not the agent's.
    pub(crate) model: Option<String>,
    /// The most tokens of one answer.
    pub(crate) max_tokens: Option<u32>,
    /// Whether the provider takes an effort.
    pub(crate) effort: Option<bool>,
    pub(crate) prices: Option<Prices>,
    /// Tokens that question and answer may have together.
    pub(crate) window: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Provider {
    Anthropic,
    OpenaiChat,
    OpenaiResponses,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prices {
    pub(crate) input: f64,
    pub(crate) output: f64,
    /// A tenth of `input` if left out.
    pub(crate) cache_read: Option<f64>,
    /// One and a quarter of `input` if left out.
    pub(crate) cache_write: Option<f64>,
}

/// What one sandbox may use.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) memory_mib: u64,
    pub(crate) processes: u64,
    pub(crate) disk_mib: u64,
    /// Seconds that a sandbox outlives the server.
    pub(crate) orphan_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_mib: 2_048, processes: 512, disk_mib: 1_024, orphan_seconds: 600 }
    }
}

/// Bounds of a turn.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Turn {
    /// Answers with tool calls.
    pub(crate) rounds: u32,
    /// Model requests in a row that fail.
    pub(crate) attempts: u32,
    /// Milliseconds before the first retry; doubled for each further one.
    pub(crate) retry_ms: u64,
}

impl Default for Turn {
    fn default() -> Self {
        Self { rounds: 200, attempts: 6, retry_ms: 500 }
    }
}

#[derive(Debug, Clone, Default, clap::Args, Serialize)]
pub(crate) struct Flags {
    /// Address to listen on [env: STEAD_LISTEN] [default: 127.0.0.1:8420]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    /// Directory for everything the server writes [env: STEAD_DATA_DIR] [default: ./.stead]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
}

/// `STEAD_*` variables that are keys of the configuration, but for the API key.
const VARIABLES: [&str; 6] = ["listen", "data_dir", "sandbox", "scripts_dir", "database_url", "nats_url"];

impl Config {
    pub(crate) fn load(file: Option<&Path>, flags: &Flags) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        let default = Path::new("stead.toml");
        match file {
            Some(file) => {
                anyhow::ensure!(file.exists(), "the configuration file {} does not exist", file.display());
                figment = figment.merge(Toml::file_exact(file));
            }
            None if default.exists() => figment = figment.merge(Toml::file_exact(default)),
            None => {}
        }
        // An empty variable is as good as none.
        let set = |key: &figment::value::UncasedStr| {
            std::env::var_os(format!("STEAD_{key}").to_uppercase()).is_some_and(|value| !value.is_empty())
        };
        figment =
            figment.merge(Env::prefixed("STEAD_").only(&VARIABLES).filter(set)).merge(Serialized::defaults(flags));
        let mut config: Self = figment.extract().context("the configuration cannot be used")?;
        // Read as it is: a key of digits alone is not a number.
        let key = std::env::var("STEAD_API_KEY").ok().filter(|key| !key.is_empty());
        config.api_key = key.map(Secret).or(config.api_key);
        config.check()?;
        config.data_dir = std::path::absolute(&config.data_dir).context("the data directory has no absolute path")?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.database_url.is_some() {
            bail!("STEAD_DATABASE_URL is set, but this version of Stead stores everything in SQLite: unset it");
        }
        if self.nats_url.is_some() {
            bail!("STEAD_NATS_URL is set, but this version of Stead runs as one process without a bus: unset it");
        }
        match self.sandbox {
            SandboxKind::Namespace => Ok(()),
            SandboxKind::None => {
                bail!("STEAD_SANDBOX=none lets agents do whatever this user can; this version of Stead refuses it")
            }
            other => {
                bail!("the sandbox {other:?} is not in this version of Stead: leave STEAD_SANDBOX unset for namespace")
            }
        }
    }
}
