//! What the cluster is told of a pod, and what it tells.

use std::collections::BTreeMap;

use hand_protocol::{HOUSE, HOUSE_JOURNAL, HOUSE_SOCKET, House, OUTPUTS, OVERFLOW, Serve, UPLOADS, WORKSPACE};
use hands::Spec;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::kubernetes::Options;

/// The labels by which a pod is known again.
pub(crate) const HOME: &str = "stead.home";
pub(crate) const SESSION: &str = "stead.session";
pub(crate) const INCARNATION: &str = "stead.incarnation";

/// The one by which the operator's policies find all of them.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

pub(crate) const CONTAINER: &str = "hand";

/// Whom everything in the pod runs as.
const USER: u64 = 1_000;

/// The first process waits for the daemon, which is brought, and becomes it.
const WAIT: &str = "until [ -x /.stead/handd ]; do sleep 0.1; done; exec /.stead/handd house \"$1\"";

/// Bytes, for the daemon's program and its journal.
const HOUSE_ROOM: u64 = 512 << 20;
const UPLOADS_ROOM: u64 = 4 << 30;

/// What a node must have to spare. More is used where it is there, up to the limits.
const LEAST_MEMORY: u64 = 256 << 20;
const LEAST_CPUS: u64 = 100;

/// Reasons for a container to wait that do not pass by themselves.
const HOPELESS: [&str; 7] = [
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
];

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Pod {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) uid: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    reason: String,
    message: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Condition {
    status: String,
    message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    state: ContainerState,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    waiting: Option<Waiting>,
    running: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: String,
    message: String,
}

impl Pod {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.metadata.labels.get(name).map(String::as_str)
    }

    /// No pod of ours is ever started again.
    pub(crate) fn is_over(&self) -> bool {
        self.metadata.deletion_timestamp.is_some() || matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    pub(crate) fn is_running(&self) -> bool {
        let running = |container: &ContainerStatus| container.state.running.is_some();
        !self.is_over() && self.status.phase == "Running" && self.status.container_statuses.iter().any(running)
    }

    /// Why it will never run, if that is known.
    pub(crate) fn is_hopeless(&self) -> Option<String> {
        if self.is_over() {
            return Some(self.words());
        }
        let waiting = self.status.container_statuses.iter().filter_map(|container| container.state.waiting.as_ref());
        let mut hopeless = waiting.filter(|waiting| HOPELESS.contains(&waiting.reason.as_str()));
        hopeless.next().map(|Waiting { reason, message }| format!("{reason}: {message}"))
    }

    /// What the cluster has to say of its state.
    pub(crate) fn words(&self) -> String {
        let Status { phase, reason, message, conditions, .. } = &self.status;
        let unmet = conditions.iter().filter(|condition| condition.status == "False" && !condition.message.is_empty());
        let unmet: Vec<_> = unmet.map(|condition| condition.message.as_str()).collect();
        format!("it is {phase} {reason} {message} {}", unmet.join("; ")).trim().to_owned()
    }
}

pub(crate) fn name(incarnation: &str) -> String {
    format!("stead-{incarnation}")
}

/// Whether a value can be a label's, as names of sessions and homes have to.
pub(crate) fn is_label(value: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let is_end = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    value.len() <= 63 && value.chars().all(inner) && is_end(value.chars().next()) && is_end(value.chars().last())
}

/// What the cluster makes a pod from.
pub(crate) fn wanted(spec: &Spec, options: &Options, incarnation: &str) -> serde_json::Result<Value> {
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
    let asked = spec.ground.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let environment = std::iter::once(("HOME", WORKSPACE)).chain(asked);
    let environment: Vec<Value> = environment.map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let rooms = [
        ("house", HOUSE, HOUSE_ROOM),
        ("workspace", WORKSPACE, limits.disk),
        ("uploads", UPLOADS, UPLOADS_ROOM),
        ("outputs", OUTPUTS, limits.disk),
        ("overflow", OVERFLOW, limits.disk),
    ];
    let volumes = rooms.map(|(name, _, size)| json!({ "name": name, "emptyDir": { "sizeLimit": size.to_string() } }));
    let mounts = rooms.map(|(name, path, _)| json!({ "name": name, "mountPath": path }));
    let disk = limits.disk.saturating_add(HOUSE_ROOM).saturating_add(UPLOADS_ROOM);
    let mut most = json!({ "memory": limits.memory.to_string(), "ephemeral-storage": disk.to_string() });
    let mut least = json!({ "memory": limits.memory.min(LEAST_MEMORY).to_string(), "ephemeral-storage": "0" });
    let mut cpus = LEAST_CPUS;
    if limits.cpus > 0 {
        cpus = limits.cpus.min(LEAST_CPUS);
        most["cpu"] = format!("{}m", limits.cpus).into();
    }
    least["cpu"] = format!("{cpus}m").into();
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name(incarnation),
            "labels": { HOME: options.home, SESSION: spec.name, INCARNATION: incarnation, MANAGED_BY: "stead" },
        },
        "spec": {
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "hostname": "sandbox",
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": CONTAINER,
                "image": options.image,
                "command": ["/bin/sh", "-c", WAIT, "stead", told],
                "workingDir": WORKSPACE,
                "env": environment,
                "resources": { "limits": most, "requests": least },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "privileged": false,
                    "capabilities": { "drop": ["ALL"] },
                },
                "volumeMounts": mounts,
            }],
            "volumes": volumes,
        },
    });
    if let Some(class) = &options.runtime_class {
        pod["spec"]["runtimeClassName"] = class.as_str().into();
    }
    Ok(pod)
}

/// The command that brings so many bytes into a file, whole or not at all.
pub(crate) fn bring<'a>(script: &'a str, length: &'a str, path: &'a str) -> [&'a str; 6] {
    ["/bin/sh", "-c", script, "stead", length, path]
}

pub(crate) const BRING_DAEMON: &str =
    "head -c \"$1\" > \"$2.arriving\" && chmod 555 \"$2.arriving\" && mv \"$2.arriving\" \"$2\"";
pub(crate) const BRING_UPLOAD: &str = "mkdir -p \"${2%/*}\" && head -c \"$1\" > \"$2.arriving\" \
                                       && chmod 444 \"$2.arriving\" && mv -f \"$2.arriving\" \"$2\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options { home: "home".into(), ..Options::of("image") }
    }

    #[test]
    fn a_pod_is_as_restricted_as_pods_can_be() {
        let mut spec = Spec { name: "sesn_1".into(), ..Spec::default() };
        spec.limits.cpus = 1_500;
        let options = Options { runtime_class: Some("gvisor".into()), ..options() };
        let pod = wanted(&spec, &options, "one").unwrap();
        let inner = &pod["spec"];
        assert_eq!(inner["automountServiceAccountToken"], false);
        assert_eq!(inner["runtimeClassName"], "gvisor");
        assert_eq!(inner["securityContext"]["runAsNonRoot"], true);
        assert_eq!(inner["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let container = &inner["containers"][0];
        assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
        assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(container["resources"]["limits"]["memory"], (2_u64 << 30).to_string());
        assert_eq!(container["resources"]["limits"]["cpu"], "1500m");
        assert_eq!(inner["volumes"][1]["emptyDir"]["sizeLimit"], (1_u64 << 30).to_string());
        assert_eq!(pod["metadata"]["labels"]["app.kubernetes.io/managed-by"], "stead");
        let told: House = serde_json::from_str(container["command"][4].as_str().unwrap()).unwrap();
        assert_eq!(told.serve.incarnation, "one");
    }

    fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_states_of_a_pod_are_told_apart() {
        let state = |state: Value| {
            pod(json!({
                "metadata": { "name": "one" },
                "status": { "phase": "Pending", "containerStatuses": [{ "state": state }] },
            }))
        };
        assert!(state(json!({ "waiting": { "reason": "ContainerCreating" } })).is_hopeless().is_none());
        let why = state(json!({ "waiting": { "reason": "ErrImagePull", "message": "no such image" } })).is_hopeless();
        assert_eq!(why.as_deref(), Some("ErrImagePull: no such image"));

        let running = json!({ "phase": "Running", "containerStatuses": [{ "state": { "running": {} } }] });
        assert!(pod(json!({ "metadata": { "name": "one" }, "status": running })).is_running());
        let going = json!({ "name": "one", "deletionTimestamp": "2026-01-01T00:00:00Z" });
        let going = pod(json!({ "metadata": going, "status": running }));
        assert!(going.is_over() && !going.is_running());
        assert!(!pod(json!({ "metadata": { "name": "one" } })).is_running());
    }

    #[test]
    fn a_name_that_cannot_be_a_label_is_told() {
        assert!(is_label("sesn_011CZkZAbc"));
        for name in ["", "_a", "a-", "a/b", "a b", &"x".repeat(64)] {
            assert!(!is_label(name), "{name}");
        }
    }
}
