//! What `stead doctor` says of sandboxes on gVisor, where it differs.

use super::Platform;
use crate::namespace::Fact;

/// In the place of those of the same part.
pub(super) fn own(version: &str, platform: Platform) -> Vec<Fact> {
    vec![
        fact("kernel", format!("gVisor {version} ({platform}), in namespaces and a root of its own"), slower(platform)),
        fact("processes", "gVisor's limit on processes and threads; a group bounds gVisor's own", None),
        fact(
            "memory",
            "measured four times a second; over it, all processes of the sandbox are ended and its files stay; a group \
             bounds the whole where this server may make one",
            None,
        ),
    ]
}

fn fact(part: &'static str, how: impl Into<String>, better: Option<&'static str>) -> Fact {
    Fact { part, how: how.into(), better }
}

fn slower(platform: Platform) -> Option<&'static str> {
    (platform == Platform::Ptrace).then_some("a newer runsc has the platform systrap, which is several times as quick")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_platform_could_be_better() {
        let kernel = |platform| own("0.0~1", platform).swap_remove(0);
        assert!(kernel(Platform::Ptrace).how.starts_with("gVisor 0.0~1 (ptrace)"));
        assert!(kernel(Platform::Ptrace).better.is_some() && kernel(Platform::Systrap).better.is_none());
    }
}
