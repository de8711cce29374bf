//! The configuration: defaults, then file, then environment, then flags. An unknown key is an error that names it.

mod backends;
mod environments;
mod limits;
mod network;
mod pool;
mod vault;
mod worker;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

pub(crate) use self::backends::{Engine, Kubernetes, Oci, Way};
pub(crate) use self::environments::Environments;
pub(crate) use self::limits::Limits;
pub(crate) use self::network::Network;
pub(crate) use self::pool::Pool;
pub(crate) use self::vault::Vault;
pub(crate) use self::worker::Worker;

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
    pub(crate) network: Network,
    pub(crate) environments: Environments,
    pub(crate) pool: Pool,
    pub(crate) vault: Vault,
    pub(crate) worker: Worker,
    pub(crate) oci: Oci,
    pub(crate) kubernetes: Kubernetes,
    pub(crate) turn: Turn,
    pub(crate) node: Node,
    pub(crate) judge: Judge,
    /// Unset: SQLite in the data directory.
    #[serde(skip_serializing)]
    pub(crate) database_url: Option<Secret>,
    #[serde(skip_serializing)]
    pub(crate) nats_url: Option<Secret>,
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
            network: Network::default(),
            environments: Environments::default(),
            pool: Pool::default(),
            vault: Vault::default(),
            worker: Worker::default(),
            oci: Oci::default(),
            kubernetes: Kubernetes::default(),
            turn: Turn::default(),
            node: Node::default(),
            judge: Judge::default(),
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
    /// Whether the model takes system messages in the middle of a conversation.
    pub(crate) system_messages: Option<bool>,
    pub(crate) context: Option<Context>,
}

/// What the model is shown of a session that has become long. Shares are of `window`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Context {
    /// At this share the conversation is summed up; 0 never.
    pub(crate) compact_at: f64,
    /// At this share old tool results are cleared; 0 never.
    pub(crate) clear_at: f64,
    /// The newest tool results, which are never cleared.
    pub(crate) keep_results: usize,
}

impl Default for Context {
    fn default() -> Self {
        Self { compact_at: 0.8, clear_at: 0.5, keep_results: 8 }
    }
}

/// This process among others on one database.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Node {
    /// Milliseconds that this node's leases last without a heartbeat.
    pub(crate) lease_ms: u64,
    /// Milliseconds that a model request may still take once the server stops.
    pub(crate) drain_ms: u64,
    /// Milliseconds that a sandbox is waited for whose node cannot be reached.
    pub(crate) grace_ms: u64,
    /// Where the other nodes reach this one: an address of a private network. Port 0 takes any.
    pub(crate) internal_listen: SocketAddr,
    /// Connections to PostgreSQL.
    pub(crate) connections: u32,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            lease_ms: 10_000,
            drain_ms: 10_000,
            grace_ms: 30_000,
            internal_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            connections: 24,
        }
    }
}

/// Who judges calls under the permission policy `auto`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Judge {
    pub(crate) kind: JudgeKind,
    /// The model that judges; the agent's own if left out.
    pub(crate) model: Option<String>,
    /// Asked in order, before the built-in ones.
    #[serde(skip_serializing)]
    pub(crate) rules: Vec<brain::Rule>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JudgeKind {
    #[default]
    Model,
    Rules,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Provider {
    Anthropic,
    OpenaiChat,
    OpenaiResponses,
    /// The scripted model, to give it a price or a window.
    Script,
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

/// Bounds of a turn.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Turn {
    /// Answers with tool calls.
    pub(crate) rounds: u32,
    /// Model requests in a row that fail.
    pub(crate) attempts: u32,
    /// Compactions in a row without an answer between them.
    pub(crate) compactions: u32,
    /// Milliseconds before the first retry; doubled for each further one.
    pub(crate) retry_ms: u64,
}

impl Default for Turn {
    fn default() -> Self {
        Self { rounds: 200, attempts: 6, compactions: 3, retry_ms: 500 }
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
    /// Needed for STEAD_SANDBOX=none: agents can do whatever this user can
    #[arg(long)]
    #[serde(skip)]
    pub(crate) i_know_this_is_unsafe: bool,
}

/// `STEAD_*` variables that are keys of the configuration, but for the API key.
const VARIABLES: [&str; 4] = ["listen", "data_dir", "sandbox", "scripts_dir"];

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
        // Read as they are: a key of digits alone is not a number.
        let secret = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret);
        config.api_key = secret("STEAD_API_KEY").or(config.api_key);
        config.database_url = secret("STEAD_DATABASE_URL").or(config.database_url);
        config.nats_url = secret("STEAD_NATS_URL").or(config.nats_url);
        config.check()?;
        config.data_dir = std::path::absolute(&config.data_dir).context("the data directory has no absolute path")?;
        Ok(config)
    }

    /// Refuses to make sandboxes that hold nothing, unless whoever starts it has said so besides.
    pub(crate) fn ensure_deliberate(&self, is_told: bool) -> anyhow::Result<()> {
        if self.sandbox == SandboxKind::None && !is_told {
            bail!(
                "STEAD_SANDBOX=none lets agents do whatever this user can, on this machine and its network: start it with \
                 --i-know-this-is-unsafe, or choose another sandbox (`stead doctor` says which work here)"
            );
        }
        Ok(())
    }

    fn check(&self) -> anyhow::Result<()> {
        if let Some(Secret(url)) = &self.database_url
            && !(url.starts_with("postgres://") || url.starts_with("postgresql://"))
        {
            bail!("STEAD_DATABASE_URL should begin with postgres://; leave it unset for SQLite in the data directory");
        }
        if self.nats_url.is_some() && self.database_url.is_none() {
            bail!("STEAD_NATS_URL is set without STEAD_DATABASE_URL: SQLite serves one process, which needs no bus");
        }
        if self.node.lease_ms < 1_000 {
            bail!("node.lease_ms is {}: a lease lasts at least 1000 ms", self.node.lease_ms);
        }
        self.limits.check()?;
        self.network.check()?;
        self.environments.check()?;
        self.pool.check()?;
        self.vault.check()?;
        self.worker.check()?;
        match self.sandbox {
            SandboxKind::Oci if self.oci.engine == Engine::Docker => self.oci.check(),
            SandboxKind::Kubernetes => self.kubernetes.check(),
            SandboxKind::Namespace | SandboxKind::Gvisor | SandboxKind::Oci | SandboxKind::None => Ok(()),
        }
    }
}
