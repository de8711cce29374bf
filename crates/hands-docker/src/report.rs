//! What a sandbox is made of, for `stead doctor`.

use hands::namespace::Fact;

use crate::docker::{Options, Way};

pub(crate) fn facts(options: &Options, has_quota: bool) -> Vec<Fact> {
    let fact = |part, how: String, better| Fact { part, how, better };
    let (disk, more_disk) = if has_quota {
        ("bounded by the engine's storage, if the trial has succeeded".to_owned(), None)
    } else {
        let better = "give the engine storage with quotas: overlay2 on XFS mounted with `pquota`, btrfs or zfs";
        ("not bounded: the engine's storage has no quotas, and a sandbox can fill its disk".to_owned(), Some(better))
    };
    let (network, more_network) = match options.network {
        Way::None => ("none".to_owned(), None),
        Way::HostPolicy => {
            let how = "THE ENGINE'S OWN, for sessions that have one: no gateway is between, and what environments allow \
                       is not enforced";
            (how.to_owned(), Some("leave `network` out of the configuration, and sandboxes reach nothing"))
        }
    };
    let (kernel, more_kernel) = match &options.runtime {
        Some(runtime) => (format!("the runtime {runtime}; no capability, no new privileges"), None),
        None => {
            let how = "this machine's, by the engine's usual runtime and its filter; no capability, no new privileges";
            let better = "install gVisor or Kata Containers in the engine, and name it as `runtime`";
            (how.to_owned(), Some(better))
        }
    };
    vec![
        fact("engine", format!("at {}; VERIFIED AGAINST FAKE ENGINES ONLY", options.socket.display()), None),
        fact("image", options.image.clone(), None),
        fact("users", "user 1000 of the container, who is user 1000 outside unless the engine maps users".into(), None),
        fact("limits", "memory, processes, processors and open files, by the engine's control groups".into(), None),
        fact("disk", disk, more_disk),
        fact("network", network, more_network),
        fact("kernel", kernel, more_kernel),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_held_is_said() {
        let options = Options { network: Way::HostPolicy, ..Options::of("/run/engine.sock", "image", "/data") };
        let said: Vec<_> = facts(&options, false).into_iter().map(|fact| fact.how).collect();
        assert!(said.iter().any(|how| how.contains("can fill its disk")));
        assert!(said.iter().any(|how| how.contains("is not enforced")));
        assert!(said.iter().any(|how| how.contains("FAKE ENGINES ONLY")));
    }
}
