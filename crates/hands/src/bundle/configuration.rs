//! The container's configuration, by the OCI runtime specification.

use hand_protocol::{
    Serve, UPLOADS,
    guest::{self, Kind, ROOT},
};
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};

use crate::Spec;

/// Where the daemon's program shows inside. It can be read there, and not changed.
const DAEMON: &str = "/dev/handd";

/// What the launcher has for shared memory, in the root around the sandbox's.
const SHARED: &str = "/shm";

/// What every process's environment holds besides what the environment asks for. As in a sandbox without a guest.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root"), ("LANG", "C.UTF-8")];

/// What package managers need to install for other users than root. On gVisor they are its own, over its own files, and
/// mean nothing to this machine's kernel; else they hold over the users of the launcher's namespace alone.
const TO_INSTALL: [&str; 7] =
    ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"];

/// What of gVisor's own they need besides.
const OF_A_KERNEL: [&str; 1] = ["CAP_SYS_CHROOT"];

/// Files in memory are the processes' memory on gVisor, and so bounded by a part of that.
const SHARE_OF_MEMORY: u64 = 4;

/// Processes and threads of the porter, which have the same user.
const PORTER: u64 = 8;

/// Signals that wait.
const SIGNALS: u64 = 4_096;

/// What of `/proc` tells of this machine, or could change it if anybody here had a right to.
const MASKED: [&str; 3] = ["/proc/kcore", "/proc/keys", "/proc/timer_list"];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

pub(crate) fn write(kind: Kind, spec: &Spec, serve: &Serve) -> serde_json::Result<String> {
    let told = serde_json::to_string(serve)?;
    let own = ENVIRONMENT.iter().map(|(name, value)| format!("{name}={value}"));
    let asked = spec.ground.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let capabilities = capabilities(kind, spec.keep.is_some());
    let inheritable = if kind == Kind::Kernel { capabilities.clone() } else { Vec::new() };
    let command = match kind {
        Kind::Kernel => "guest",
        Kind::Runtime => "contained",
    };
    let configuration = json!({
        "ociVersion": "1.0.2",
        "hostname": "sandbox",
        "root": { "path": ROOT },
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "cwd": "/",
            "args": [DAEMON, command, told],
            "env": own.chain(asked).collect::<Vec<_>>(),
            "noNewPrivileges": kind == Kind::Runtime || spec.keep.is_none(),
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "inheritable": inheritable,
                "permitted": capabilities,
            },
            "rlimits": limits(kind, spec),
        },
        "mounts": mounts(kind, spec.limits.memory / SHARE_OF_MEMORY),
        "linux": linux(kind),
    });
    serde_json::to_string(&configuration)
}

fn capabilities(kind: Kind, to_install: bool) -> Vec<&'static str> {
    let of_a_kernel: &[_] = if kind == Kind::Kernel { &OF_A_KERNEL } else { &[] };
    let all = TO_INSTALL.iter().chain(of_a_kernel).copied();
    if to_install { all.collect() } else { Vec::new() }
}

/// No user namespace and no network: those are around all this. On gVisor the rest are its own, not of this machine's. A
/// runtime makes no other namespace for messages and shared memory either, where the launcher's bounds would not hold.
fn linux(kind: Kind) -> Value {
    let named = |kinds: &[&str]| kinds.iter().map(|kind| json!({ "type": kind })).collect::<Vec<_>>();
    match kind {
        Kind::Kernel => json!({ "namespaces": named(&["pid", "ipc", "uts", "mount"]) }),
        Kind::Runtime => json!({
            "namespaces": named(&["pid", "uts", "mount"]),
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
        }),
    }
}

fn limits(kind: Kind, spec: &Spec) -> Vec<Value> {
    let (processes, files) = (spec.limits.processes, spec.limits.open_files);
    match kind {
        Kind::Kernel => {
            vec![limit("RLIMIT_NPROC", processes), limit("RLIMIT_NOFILE", files), limit("RLIMIT_CORE", 0)]
        }
        // This machine's, where nobody inside the launcher's namespaces may have more than this server has.
        Kind::Runtime => vec![
            limit("RLIMIT_NPROC", at_most(Resource::Nproc, processes.saturating_add(PORTER))),
            limit("RLIMIT_NOFILE", at_most(Resource::Nofile, files)),
            limit("RLIMIT_SIGPENDING", at_most(Resource::Sigpending, SIGNALS)),
            limit("RLIMIT_MSGQUEUE", 0),
            limit("RLIMIT_NICE", 0),
            limit("RLIMIT_RTPRIO", 0),
            limit("RLIMIT_CORE", 0),
        ],
    }
}

fn at_most(resource: Resource, wanted: u64) -> u64 {
    getrlimit(resource).maximum.map_or(wanted, |most| most.min(wanted))
}

fn limit(kind: &str, most: u64) -> Value {
    json!({ "type": kind, "soft": most, "hard": most })
}

/// Either fills `/dev` itself. What is there from the host is read-only, but for what the launcher has for shared memory:
/// a directory of the writable layer, so that its size counts there.
fn mounts(kind: Kind, shared: u64) -> Vec<Value> {
    let shared = format!("size={shared}");
    let mut mounts = vec![mount("/proc", "proc", "proc", &["nosuid", "nodev", "noexec"])];
    match kind {
        Kind::Kernel => {
            mounts.push(mount("/dev", "tmpfs", "tmpfs", &["nosuid", "mode=0755", "size=65536k"]));
            mounts.push(mount("/dev/shm", "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=1777", &shared]));
        }
        Kind::Runtime => {
            mounts.push(mount("/dev", "tmpfs", "tmpfs", &["nosuid", "mode=0755", "size=64k", "nr_inodes=64"]));
            let terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "max=64"];
            mounts.push(mount("/dev/pts", "devpts", "devpts", &terminals));
            mounts.push(mount("/dev/shm", "bind", SHARED, &["bind", "nosuid", "nodev"]));
        }
    }
    mounts.push(mount(DAEMON, "bind", guest::DAEMON, &["bind", "ro", "nosuid", "nodev"]));
    mounts.push(mount(UPLOADS, "bind", guest::UPLOADS, &["bind", "ro", "nosuid", "nodev", "noexec"]));
    mounts
}

fn mount(at: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": at, "type": kind, "source": source, "options": options })
}

#[cfg(test)]
mod tests {
    use hand_protocol::Limits;

    use super::*;
    use crate::Ground;

    fn written(kind: Kind, spec: &Spec) -> Value {
        let limits = Limits { processes: 1, disk: 2, open_files: 3, call_seconds: 4, memory: 5 };
        let serve = Serve { incarnation: "one".into(), orphan_seconds: 9, limits, sockets: Vec::new() };
        serde_json::from_str(&write(kind, spec, &serve).unwrap()).unwrap()
    }

    #[test]
    fn the_daemon_is_told_who_it_is_and_has_no_rights() {
        let ground = Ground { environment: vec![("GOPATH".into(), "/opt/go".into())], ..Ground::default() };
        for (kind, command) in [(Kind::Kernel, "guest"), (Kind::Runtime, "contained")] {
            let process = written(kind, &Spec { ground: ground.clone(), ..Spec::default() })["process"].clone();
            assert_eq!((&process["args"][0], &process["args"][1]), (&json!(DAEMON), &json!(command)));
            let told: Serve = serde_json::from_str(process["args"][2].as_str().unwrap()).unwrap();
            assert_eq!((told.incarnation.as_str(), told.orphan_seconds), ("one", 9));
            assert_eq!(process["env"][3], "GOPATH=/opt/go");
            assert_eq!(process["capabilities"]["effective"], json!([]));
            assert_eq!(process["noNewPrivileges"], true);
        }
    }

    #[test]
    fn only_what_becomes_a_layer_may_be_installed_for_others() {
        let kept = Spec { keep: Some("/data/layer".into()), ..Spec::default() };
        for (kind, count) in [(Kind::Kernel, 8), (Kind::Runtime, 7)] {
            let process = written(kind, &kept)["process"].clone();
            assert_eq!(process["capabilities"]["bounding"].as_array().unwrap().len(), count);
            assert_eq!(process["noNewPrivileges"], kind == Kind::Runtime);
        }
    }

    #[test]
    fn a_mount_comes_after_the_one_it_is_in_and_all_from_the_host_are_read_only() {
        for kind in [Kind::Kernel, Kind::Runtime] {
            let mounts = written(kind, &Spec::default())["mounts"].clone();
            let mounts = mounts.as_array().unwrap();
            let place = |at: &str| mounts.iter().position(|mount| mount["destination"] == at);
            assert!(place("/dev") < place("/dev/shm") && place("/dev") < place(DAEMON));
            let of_the_host = |mount: &&Value| mount["type"] == "bind" && mount["source"] != SHARED;
            let bound: Vec<_> = mounts.iter().filter(of_the_host).collect();
            assert_eq!(bound.len(), 2);
            assert!(bound.iter().all(|mount| mount["options"][1] == "ro"));
        }
    }

    #[test]
    fn a_runtime_shares_what_the_launcher_bounds_and_asks_for_no_more_than_this_server_has() {
        let limits = crate::Limits { open_files: u64::MAX, ..crate::Limits::default() };
        let written = written(Kind::Runtime, &Spec { limits, ..Spec::default() });
        let kinds = written["linux"]["namespaces"].as_array().unwrap().iter();
        assert_eq!(kinds.map(|kind| kind["type"].as_str().unwrap()).collect::<Vec<_>>(), ["pid", "uts", "mount"]);
        let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let limits = written["process"]["rlimits"].as_array().unwrap();
        assert!(limits.iter().any(|limit| limit["type"] == "RLIMIT_NOFILE" && limit["hard"] == most));
    }
}
