//! What an operator can do when the kernel refuses.

use std::fs;

use super::{guest, identity, layers, root};

/// A number below `/proc/sys`, where this kernel has it.
pub(super) fn setting(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok()
}

/// The likely cause of `errno` at `step`, as something to do. `setting` reads a kernel setting.
pub(super) fn advice(step: &str, errno: i32, setting: impl Fn(&str) -> Option<u64>) -> Option<String> {
    let denied = matches!(errno, libc::EPERM | libc::EACCES);
    let namespaces = step == identity::USER_NAMESPACE || step == identity::NAMESPACES;
    let advice = if namespaces && (errno == libc::ENOSPC || setting("user/max_user_namespaces") == Some(0)) {
        "namespaces are turned off or used up here; allow more with `sysctl -w user.max_user_namespaces=15000`, and \
         likewise user.max_net_namespaces, user.max_mnt_namespaces and user.max_pid_namespaces if they are low"
    } else if denied && namespaces && setting("kernel/unprivileged_userns_clone") == Some(0) {
        "ordinary users may not make user namespaces here; allow it with `sysctl -w kernel.unprivileged_userns_clone=1`"
    } else if denied && setting("kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        "AppArmor keeps user namespaces of ordinary users powerless here; give Stead an AppArmor profile that allows \
         `userns`, or allow it for all with `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
    } else if denied && step == root::PROC {
        "the /proc that Stead itself sees is partly masked, as containers make it, and the kernel then allows no fresh \
         one; run the container with `--security-opt systempaths=unconfined` (Kubernetes: `procMount: Unmasked`)"
    } else if denied && (namespaces || step == identity::IDS) {
        "a container's seccomp profile, or missing CAP_SETUID and CAP_SETGID, may forbid it; run Stead on the host, or \
         its container with `--security-opt seccomp=unconfined`"
    } else if denied && (step == layers::BASE || step == layers::UPLOADS) {
        "root needs CAP_SYS_ADMIN here; give it to the container (`--cap-add SYS_ADMIN`), or run Stead as an ordinary user"
    } else if errno == libc::ENOSYS && (step == layers::BASE || step == layers::UPLOADS) {
        "this needs Linux 5.12 or newer (mount_setattr)"
    } else if step == guest::GROUPS {
        "a container runtime needs control groups of version 2 and their namespaces in the kernel (CONFIG_CGROUPS), even \
         where nothing is mounted of them; without them use the sandbox `namespace`"
    } else if errno == libc::EINVAL && step == root::KEPT_ROOT {
        "the file system of the data directory cannot be the upper of an overlay, as that of a container or of a network \
         cannot; put the data directory on a local disk (in a container: on a volume)"
    } else if matches!(errno, libc::EINVAL | libc::ENODEV | libc::EPERM)
        && matches!(step, root::ROOT | root::USR | root::KEPT_ROOT)
    {
        "overlayfs must be built into the kernel or loaded (`modprobe overlay`), and be allowed in user namespaces \
         (Linux 5.11 or newer)"
    } else {
        return None;
    };
    Some(advice.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_what_would_lift_it() {
        let table: &[(&str, i32, (&str, u64), &str)] = &[
            (identity::USER_NAMESPACE, libc::ENOSPC, ("", 0), "user.max_user_namespaces"),
            (identity::USER_NAMESPACE, libc::EPERM, ("user/max_user_namespaces", 0), "user.max_user_namespaces"),
            (identity::USER_NAMESPACE, libc::EPERM, ("kernel/unprivileged_userns_clone", 0), "userns_clone=1"),
            (root::ROOT, libc::EACCES, ("kernel/apparmor_restrict_unprivileged_userns", 1), "AppArmor"),
            (root::PROC, libc::EPERM, ("", 0), "systempaths=unconfined"),
            (identity::USER_NAMESPACE, libc::EPERM, ("", 0), "seccomp=unconfined"),
            (layers::BASE, libc::EPERM, ("", 0), "CAP_SYS_ADMIN"),
            (layers::UPLOADS, libc::ENOSYS, ("", 0), "5.12"),
            (root::USR, libc::ENODEV, ("", 0), "modprobe overlay"),
            (guest::GROUPS, libc::ENODEV, ("", 0), "CONFIG_CGROUPS"),
            (root::KEPT_ROOT, libc::EINVAL, ("", 0), "on a volume"),
        ];
        for (step, errno, (name, value), part) in table {
            let advice = advice(step, *errno, |asked| (asked == *name).then_some(*value)).unwrap_or_default();
            assert!(advice.contains(part), "{step} {errno}: {advice}");
        }
        assert_eq!(advice(root::ROOT, libc::EIO, |_| None), None);
    }
}
