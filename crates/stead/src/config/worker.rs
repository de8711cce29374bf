//! `[worker]`: what `stead worker` makes its sandboxes of, and how much it takes on.

use std::time::Duration;

use anyhow::{anyhow, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wire::environment::{self, Change};
use wire::read::Read;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Worker {
    /// Sessions that are served at once.
    pub(crate) concurrency: usize,
    /// Seconds after which a worker that died is replaced.
    pub(crate) lease_seconds: u64,
    /// Seconds that a session may have nothing to do before it is given back.
    pub(crate) idle_seconds: u64,
    /// Hours that the files of a session without work are kept.
    pub(crate) keep_hours: u64,
    /// What its sandboxes may reach, as in an environment of type `cloud`. Unset: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    networking: Option<Value>,
    /// What is installed in them, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    packages: Option<Value>,
}

impl Default for Worker {
    fn default() -> Self {
        Self { concurrency: 4, lease_seconds: 60, idle_seconds: 60, keep_hours: 24, networking: None, packages: None }
    }
}

impl Worker {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.concurrency > 0, "worker.concurrency is 0: a worker serves one session at least");
        ensure!(self.lease_seconds > 0, "worker.lease_seconds is 0: a lease lasts a second at least");
        ensure!(self.keep_hours > 0, "worker.keep_hours is 0: files are kept for an hour at least");
        self.environment().map(drop)
    }

    pub(crate) fn has_network(&self) -> bool {
        self.networking.is_some()
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    pub(crate) fn max_idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    pub(crate) fn keep(&self) -> Duration {
        Duration::from_secs(self.keep_hours.saturating_mul(60 * 60))
    }

    /// What an environment of the server's own would say.
    pub(crate) fn environment(&self) -> anyhow::Result<environment::Config> {
        let nowhere = || json!({"type": "limited", "allow_package_managers": true});
        let networking = self.networking.clone().unwrap_or_else(nowhere);
        let config = json!({"type": "cloud", "networking": networking, "packages": self.packages});
        let settings = Change::read(json!({"name": "worker", "config": config}), "").and_then(Change::create);
        let named = |path: &str| path.replacen("config", "worker", 1);
        Ok(settings.map_err(|invalid| anyhow!("{}: {}", named(&invalid.path), invalid.message))?.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Worker> {
        let worker: Worker = toml::from_str(text)?;
        worker.check()?;
        Ok(worker)
    }

    #[test]
    fn what_sandboxes_are_made_of_is_said_as_in_an_environment() {
        let worker = read("networking = { type = \"unrestricted\" }\npackages = { pip = [\"requests\"] }").unwrap();
        let environment = serde_json::to_value(worker.environment().unwrap()).unwrap();
        assert_eq!(environment["networking"], json!({"type": "unrestricted"}));
        assert_eq!(environment["packages"]["pip"], json!(["requests"]));
        assert!(worker.has_network() && !read("").unwrap().has_network());
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        for (text, name) in [
            ("concurrency = 0", "worker.concurrency"),
            ("lease_seconds = 0", "worker.lease_seconds"),
            ("keep_hours = 0", "worker.keep_hours"),
            ("networking = { type = \"open\" }", "worker.networking.type"),
            ("networking = { type = \"limited\", allowed_hosts = [\"a b\"] }", "worker.networking.allowed_hosts.0"),
            ("packages = { pip = 1 }", "worker.packages"),
        ] {
            let refused = read(text).unwrap_err().to_string();
            assert!(refused.contains(name), "{text}: {refused}");
        }
    }
}
