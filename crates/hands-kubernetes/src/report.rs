//! What a sandbox is made of, for `stead doctor`.

use hands::namespace::Fact;

use crate::kubernetes::{Options, Way};

pub(crate) fn facts(options: &Options, at: String) -> Vec<Fact> {
    let fact = |part, how: &str, better| Fact { part, how: how.to_owned(), better };
    let cluster = format!("{at}; VERIFIED AGAINST FAKE CLUSTERS ONLY");
    let network = match options.network {
        Way::None => fact("network", "none, by the operator's policy, if the trial has succeeded", None),
        Way::HostPolicy => fact(
            "network",
            "WHATEVER THE CLUSTER'S POLICIES ALLOW, for all sessions: what environments allow is not enforced",
            Some("leave `network` out of the configuration, and apply a policy that denies all"),
        ),
    };
    let kernel = match &options.runtime_class {
        Some(class) => fact("kernel", &format!("by the runtime class {class}; no capability, no new privileges"), None),
        None => fact(
            "kernel",
            "the node's, by the cluster's usual runtime and its filter; no capability, no new privileges",
            Some("name a class of gVisor or Kata Containers as `runtime_class`"),
        ),
    };
    vec![
        fact("cluster", &cluster, None),
        fact("image", &options.image, None),
        fact("users", "user 1000 of the pod, who is user 1000 on the node unless the cluster maps users", None),
        fact("memory", "with processors, by the cluster's limits on the pod", None),
        fact(
            "processes",
            "not bounded by this server, nor are open files: pods cannot say so",
            Some("set `podPidsLimit` in the configuration of the cluster's nodes"),
        ),
        fact("disk", "by the sizes of the pod's volumes; the node ends a pod that is over them, after a while", None),
        fact("files", "input files are copies in the pod, which a session can take away from itself", None),
        network,
        kernel,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_held_is_said() {
        let options = Options { network: Way::HostPolicy, ..Options::of("image") };
        let said: Vec<_> = facts(&options, "there".into()).into_iter().map(|fact| fact.how).collect();
        assert!(said.iter().any(|how| how.contains("is not enforced")));
        assert!(said.iter().any(|how| how.contains("FAKE CLUSTERS ONLY")));
        assert!(said.iter().any(|how| how.contains("not bounded")));
    }
}
