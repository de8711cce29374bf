//! gVisor: what a program meets there is a kernel of the sandbox's own, and not this machine's.
//!
//! Every attack is made there all the same. Where what it gets hold of is that kernel's, its own word that something
//! was not refused says nothing: it is held if the host has not changed, if nobody there was reached, if no token shows,
//! and if the session goes on. Each of these is named here, with whose the thing is that it gets.

use crate::{house::is_on_gvisor, verdict::Verdict};

const CALLS: &str = "calls are gVisor's to answer, and no filter of ours is before it";
const DEVICES: &str = "the device files are gVisor's own";
const FILES: &str = "the files of /proc and /sys are gVisor's own, and lead to nothing of the machine";
const KEYS: &str = "the keyrings are gVisor's own";
const NAMESPACES: &str = "the namespaces are gVisor's own, and in the sandbox";
const NETWORK: &str = "the network is gVisor's own, and ends in the sandbox";
const PRIVILEGES: &str = "the privileges are over what is gVisor's own";
const ITS_OWN: &[(&str, &str)] = &[
    ("control_groups/entered", NAMESPACES),
    ("devices/nodes_found", DEVICES),
    ("devices/opened", DEVICES),
    ("devices/shared_attributes", DEVICES),
    ("filter/compatible_segment", CALLS),
    ("filter/further_filters", CALLS),
    ("filter/kept", CALLS),
    ("filter/programs_of_the_shell", CALLS),
    ("filter/socket_calls", CALLS),
    ("filter/traced_calls", CALLS),
    ("handd/namespaces", NAMESPACES),
    ("kernel/keys", KEYS),
    ("mounts/clone", NAMESPACES),
    ("mounts/clone3", NAMESPACES),
    ("mounts/unshare", NAMESPACES),
    ("mounts/user_namespace_programs", NAMESPACES),
    ("privileges/secure_bits", PRIVILEGES),
    ("privileges/urgency", PRIVILEGES),
    ("proc/kernel_log", FILES),
    ("proc/kernel_settings", FILES),
    ("proc/sys_tree", FILES),
    ("proc/sysrq", FILES),
    ("proc/writable_files", FILES),
    ("sockets/netlink", NETWORK),
    ("sockets/options", NETWORK),
    ("sockets/raw", NETWORK),
];

const SLOW: &str = "the program has not the time that it takes on gVisor";

/// What may not come to an end. Whatever else comes of it counts.
const UNENDING: &[(&str, &str)] =
    &[("exhaustion/orphans", SLOW), ("network/ports_inside", SLOW), ("server/processes", SLOW)];

/// How a program, or a step of it, is said to have had no time.
const NO_TIME: [&str; 2] = ["timed out", "SILENCE"];

const EXCHANGE: &str = "gVisor cannot exchange two names in one step, which the race is made of";

/// What cannot be tried.
const NOT_THERE: &[(&str, &str)] = &[
    ("outputs/exchanged_directory", EXCHANGE),
    ("outputs/exchanged_file", EXCHANGE),
    ("outputs/exchanged_while_listed", EXCHANGE),
];

/// Further errors by which gVisor refuses: it does not have what is asked for, and looks at no argument of it.
const REFUSALS: [&str; 4] = ["EINVAL", "ENOTTY", "ENOTSUP", "EOPNOTSUPP"];

/// What is said of a call whose daemon was ended with everything else inside, as it is for want of memory.
const ALL_ENDED: [&str; 2] = ["its end is not known", "memory limit of"];

pub(crate) fn refusals() -> &'static [&'static str] {
    if is_on_gvisor() { &REFUSALS } else { &[] }
}

/// A program's own word, or what it is worth here.
pub(crate) fn weighed(title: &str, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Broke(what) if NO_TIME.iter().any(|words| what.contains(words)) => match listed(UNENDING, title) {
            Some(why) => Verdict::Absent(why.into()),
            None => Verdict::Broke(what),
        },
        Verdict::Broke(what) if !what.contains("the program itself failed") => match listed(ITS_OWN, title) {
            Some(why) => Verdict::Held(format!("{why}: {what}")),
            None => Verdict::Broke(what),
        },
        verdict => verdict,
    }
}

/// Why it cannot be tried here.
pub(crate) fn absent(title: &str) -> Option<&'static str> {
    listed(NOT_THERE, title)
}

/// Whether a call was lost because everything inside was ended. That the session goes on then is asked for still.
pub(crate) fn all_ended(why: &str) -> bool {
    is_on_gvisor() && ALL_ENDED.iter().any(|words| why.contains(words))
}

fn listed(list: &[(&str, &'static str)], title: &str) -> Option<&'static str> {
    list.iter().find(|(known, _)| *known == title && is_on_gvisor()).map(|(_, why)| *why)
}

#[test]
fn whatever_is_named_here_is_an_attack() {
    let titles: Vec<_> = crate::attack::all().iter().map(crate::attack::Attack::title).collect();
    for (title, _) in ITS_OWN.iter().chain(UNENDING) {
        assert!(titles.iter().any(|known| known == title), "{title}");
    }
}
