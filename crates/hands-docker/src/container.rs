//! What the engine is told of a container, and what it tells.

use std::collections::HashMap;

use hand_protocol::{HOUSE_DAEMON, HOUSE_JOURNAL, HOUSE_SOCKET, House, Serve, WORKSPACE};
use hands::Spec;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    archive::USER,
    docker::{Options, Way},
};

/// The labels by which a container is known again.
pub(crate) const HOME: &str = "stead.home";
pub(crate) const SESSION: &str = "stead.session";
pub(crate) const INCARNATION: &str = "stead.incarnation";

/// Nanoseconds of processor time in a second, for thousandths of a processor.
const NANOS_OF_A_THOUSANDTH: u64 = 1_000_000;

/// A container in a list.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Listed {
    #[serde(rename = "Id")]
    pub(crate) id: String,
    #[serde(rename = "Labels", default)]
    labels: Option<HashMap<String, String>>,
    #[serde(rename = "State", default)]
    pub(crate) state: String,
}

impl Listed {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// Whether its processes have ended, for good: no container of ours is ever started again.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "exited" | "dead" | "removing" | "stopped")
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == "running"
    }
}

/// What the engine makes a container from. Its network is none, unless both the operator and the session want one.
pub(crate) fn wanted(spec: &Spec, options: &Options, incarnation: &str, has_quota: bool) -> serde_json::Result<Value> {
    let limits = &spec.limits;
    let house = House {
        socket: HOUSE_SOCKET.into(),
        journal: HOUSE_JOURNAL.into(),
        serve: Serve {
            incarnation: incarnation.to_owned(),
            orphan_seconds: limits.orphan_seconds,
            limits: hand_protocol::Limits {
                processes: limits.processes,
                disk: limits.disk,
                open_files: limits.open_files,
                call_seconds: limits.call_seconds,
                memory: limits.memory,
            },
            sockets: Vec::new(),
        },
    };
    let told = serde_json::to_string(&house)?;
    // Another home than the image's, whose owner is another user.
    let home = format!("HOME={WORKSPACE}");
    let asked = spec.ground.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let environment: Vec<String> = std::iter::once(home).chain(asked).collect();
    let network = match (options.network, &spec.network) {
        (Way::HostPolicy, Some(_)) => "bridge",
        _ => "none",
    };
    let mut host = json!({
        "NetworkMode": network,
        "AutoRemove": false,
        "RestartPolicy": { "Name": "no" },
        "Privileged": false,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "IpcMode": "private",
        // `handd` is the first process, and reaps.
        "Init": false,
        "Memory": limits.memory,
        // As much as that, and no swap besides.
        "MemorySwap": limits.memory,
        "PidsLimit": limits.processes,
        "Ulimits": [
            { "Name": "nofile", "Soft": limits.open_files, "Hard": limits.open_files },
            { "Name": "core", "Soft": 0, "Hard": 0 },
        ],
    });
    if let Some(host) = host.as_object_mut() {
        if limits.cpus > 0 {
            host.insert("NanoCpus".into(), limits.cpus.saturating_mul(NANOS_OF_A_THOUSANDTH).into());
        }
        if has_quota {
            host.insert("StorageOpt".into(), json!({ "size": limits.disk.to_string() }));
        }
        if let Some(runtime) = &options.runtime {
            host.insert("Runtime".into(), runtime.as_str().into());
        }
    }
    Ok(json!({
        "Image": options.image,
        "Hostname": "sandbox",
        "User": format!("{USER}:{USER}"),
        "Env": environment,
        "Entrypoint": [HOUSE_DAEMON, "house", told],
        "Cmd": [],
        "WorkingDir": WORKSPACE,
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "OpenStdin": false,
        "Tty": false,
        "Labels": { HOME: options.home, SESSION: spec.name, INCARNATION: incarnation },
        "HostConfig": host,
    }))
}

/// What is run in a container from outside. As root: nothing inside may then signal or trace it, for nothing inside is
/// root, or can become it. It has no capability either.
pub(crate) fn executed(command: &[&str]) -> Value {
    json!({
        "AttachStdin": true,
        "AttachStdout": true,
        "AttachStderr": true,
        "Tty": false,
        "User": "0:0",
        "Cmd": command,
    })
}

#[cfg(test)]
mod tests {
    use hands::{Network, Reach};

    use super::*;

    fn options(network: Way) -> Options {
        Options { home: "home".into(), network, ..Options::of("/run/engine.sock", "image", "/data") }
    }

    #[test]
    fn a_container_has_every_bound_that_the_engine_knows() {
        let mut spec = Spec { name: "sesn_1".into(), ..Spec::default() };
        spec.limits.cpus = 1_500;
        let wanted = wanted(&spec, &options(Way::None), "one", true).unwrap();
        let host = &wanted["HostConfig"];
        assert_eq!(host["CapDrop"], json!(["ALL"]));
        assert_eq!(host["SecurityOpt"], json!(["no-new-privileges"]));
        assert_eq!(host["NetworkMode"], "none");
        assert_eq!(host["NanoCpus"], 1_500_000_000_u64);
        assert_eq!((&host["Memory"], &host["MemorySwap"]), (&json!(2_u64 << 30), &json!(2_u64 << 30)));
        assert_eq!(host["PidsLimit"], 512);
        assert_eq!(host["StorageOpt"]["size"], (1_u64 << 30).to_string());
        assert_eq!(wanted["User"], "1000:1000");
        assert_eq!(wanted["Labels"], json!({ HOME: "home", SESSION: "sesn_1", INCARNATION: "one" }));
        let told: House = serde_json::from_str(wanted["Entrypoint"][2].as_str().unwrap()).unwrap();
        assert_eq!(told.serve.incarnation, "one");
    }

    #[test]
    fn a_network_takes_the_operator_and_the_session() {
        let with = Spec { network: Some(Network { reach: Reach::Unrestricted, egress: None }), ..Spec::default() };
        let mode =
            |spec: &Spec, way| wanted(spec, &options(way), "one", false).unwrap()["HostConfig"]["NetworkMode"].clone();
        assert_eq!(mode(&with, Way::HostPolicy), "bridge");
        assert_eq!(mode(&with, Way::None), "none");
        assert_eq!(mode(&Spec::default(), Way::HostPolicy), "none");
    }
}
