//! The system call filter. Everything is allowed but what would widen the sandbox, reach the kernel's rarely used parts, or
//! change the machine: most of it is refused to a process without capabilities anyway, and this is the second bar.

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, sock_filter,
};

use super::failure::Failure;

const STEP: &str = "system call filter";

/// Above every number of x86-64 proper: the same calls once more, with 32-bit pointers, and past any list of numbers.
const X32: u32 = 0x4000_0000;

/// `open_tree_attr` (Linux 6.15), which libc does not name yet. The same number on every architecture.
const OPEN_TREE_ATTR: i64 = 467;

const REFUSED: &[i64] = &[
    // Mounts.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // Namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Kernel interfaces with a long list of past holes.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_vhangup,
    // Past the checks on a path, or on a process.
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

/// A new user namespace would bring capabilities in it.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Both put characters into a terminal's input, as if its user had typed them.
const TERMINAL: [u64; 2] = [0x5412, 0x541c];

/// Every other family is code of the kernel that nobody audits.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Installs the filter, for this process and all that come of it. Needs `no_new_privs`.
pub(super) fn install() -> Result<(), Failure> {
    let programs = programs().map_err(|error| Failure::new(STEP, error.to_string()))?;
    for program in programs {
        apply_filter(&program).map_err(|error| {
            Failure::new(STEP, format!("{error}; the kernel must be built with CONFIG_SECCOMP_FILTER"))
        })?;
    }
    Ok(())
}

/// One program for each way to refuse.
fn programs() -> Result<[BpfProgram; 3], BackendError> {
    let mut refused: Rules = REFUSED.iter().map(|number| (*number, Vec::new())).collect();
    let flag = |flag: &i32| one(0, SeccompCmpOp::MaskedEq(mask(*flag)), mask(*flag));
    refused.push((libc::SYS_clone, NAMESPACES.iter().map(flag).collect::<Result<_, _>>()?));
    let request = |request: &u64| one(1, SeccompCmpOp::Eq, *request);
    refused.push((libc::SYS_ioctl, TERMINAL.iter().map(request).collect::<Result<_, _>>()?));

    // Of another process: the daemon has the same user as what it runs.
    refused.push((libc::SYS_prlimit64, vec![one(0, SeccompCmpOp::Ne, 0)?]));

    // Its flags are behind a pointer, where no filter can look. Told that there is no such call, libc uses the old one.
    let unknown = vec![(libc::SYS_clone3, Vec::new())];

    let other = FAMILIES.iter().map(|family| argument(0, SeccompCmpOp::Ne, mask(*family)));
    let netlink = [argument(0, SeccompCmpOp::Eq, mask(libc::AF_NETLINK)), argument(2, SeccompCmpOp::Ne, 0)];
    let other = SeccompRule::new(other.collect::<Result<_, _>>()?)?;
    // Of netlink only the part that lists interfaces and routes.
    let netlink = SeccompRule::new(netlink.into_iter().collect::<Result<_, _>>()?)?;
    let families =
        vec![(libc::SYS_socket, vec![other.clone(), netlink.clone()]), (libc::SYS_socketpair, vec![other, netlink])];

    Ok([
        without_x32(compile(refused, libc::EPERM)?),
        compile(unknown, libc::ENOSYS)?,
        compile(families, libc::EAFNOSUPPORT)?,
    ])
}

/// System calls, each with the rules of which any one must match; without rules it always does.
type Rules = Vec<(i64, Vec<SeccompRule>)>;

fn compile(rules: Rules, errno: i32) -> Result<BpfProgram, BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules.into_iter().collect(), SeccompAction::Allow, refuse, architecture)?.try_into()
}

fn one(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![argument(index, operator, value)?])
}

/// All arguments looked at are ints, of which the kernel itself ignores the upper half.
fn argument(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
}

fn mask(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

/// The crate's program compares call numbers for equality. x86-64 kernels may take a second set of numbers for the same
/// calls, which would pass it all: there is no such call here.
fn without_x32(mut program: BpfProgram) -> BpfProgram {
    if cfg!(target_arch = "x86_64") {
        let code = |code: u32| (code & 0xff) as u16;
        let load_number = sock_filter { code: code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), jt: 0, jf: 0, k: 0 };
        let at_least = sock_filter { code: code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K), jt: 0, jf: 1, k: X32 };
        let no_such_call = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
        let refuse = sock_filter { code: code(libc::BPF_RET | libc::BPF_K), jt: 0, jf: 0, k: no_such_call };
        program.splice(0..0, [load_number, at_least, refuse]);
    }
    program
}

#[cfg(test)]
mod tests;
