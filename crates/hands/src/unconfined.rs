//! Sandboxes that hold nothing: what an agent runs, this server's user runs, on this machine and its network.
//!
//! For machines where nothing else works, and agents that may do whatever that user can. `handd` is a process like any
//! other. A mount namespace puts the sandbox's own places where models are told that they are, and promises nothing.
//! Memory is watched, open files have a limit, and calls a time; processes that stay below the daemon end with it. That is
//! against accidents alone: who wants to can pass all of it.

use crate::{
    ProvisionError, Spec,
    namespace::{Fact, Namespace, Options},
};

/// What the addresses of these sandboxes say.
pub(crate) const BACKEND: &str = "none";

/// This machine itself, without any isolation. A gate would have nothing to do: all networks are reached without it.
#[must_use]
pub fn new(options: Options) -> Namespace {
    Namespace::new(options).without_groups().within_nothing()
}

/// A network is no less than what there is; what asks for layers, an image or a checkpoint would get another system than
/// it asked for.
pub(crate) fn check(spec: &Spec) -> Result<(), ProvisionError> {
    let lacks = [
        (spec.ground.rootfs.is_some(), "an image"),
        (!spec.ground.layers.is_empty(), "installed packages"),
        (spec.keep.is_some(), "what is to become a layer"),
        (spec.restore.is_some(), "files of a sandbox that was put away"),
    ];
    match lacks.into_iter().find(|(asked, _)| *asked) {
        Some((_, what)) => {
            let reason = format!("without a sandbox there is no system but this machine's, and so no {what}");
            Err(ProvisionError::Unsupported { step: BACKEND.into(), reason })
        }
        None => Ok(()),
    }
}

/// In the place of all others.
pub(crate) fn facts() -> Vec<Fact> {
    let fact = |part, how: &str, better| Fact { part, how: how.into(), better };
    let better = Some("choose any other sandbox that this machine can offer");
    vec![
        fact("isolation", "NONE: what agents run can do whatever the user of this server can", better),
        fact("memory", "only a watchdog, which ends the largest process four times a second", None),
        fact("open files", "the kernel's limit for each process, or the server's own where that is lower", None),
        fact("calls", "timed by the daemon, which ends the processes of one that takes too long", None),
        fact("files", "this machine's, as this user sees and may change them; no limit on the disk", None),
        fact("network", "this machine's: what environments allow is NOT ENFORCED, and nothing is audited", None),
        fact("processes", "not bounded; those that leave the daemon's tree outlive the sandbox", None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ground, Network, Reach};

    #[test]
    fn what_only_another_system_has_is_refused_and_a_network_is_there_anyway() {
        let network = Some(Network { reach: Reach::Unrestricted, egress: None });
        assert!(check(&Spec { network, ..Spec::default() }).is_ok());
        for spec in [
            Spec { ground: Ground { rootfs: Some("/image".into()), ..Ground::default() }, ..Spec::default() },
            Spec { ground: Ground { layers: vec!["/layer".into()], ..Ground::default() }, ..Spec::default() },
            Spec { keep: Some("/keep".into()), ..Spec::default() },
            Spec { restore: Some("/checkpoint".into()), ..Spec::default() },
        ] {
            assert!(matches!(check(&spec), Err(ProvisionError::Unsupported { .. })), "{spec:?}");
        }
    }
}
