//! Runs the compiled programs over made-up calls, as the kernel would.

use super::*;

const ALLOW: u32 = 0x7fff_0000;

/// What the kernel would answer: the errno of the first program that refuses.
fn verdict(number: i64, arguments: [u64; 3]) -> Option<i32> {
    let mut data = Vec::new();
    data.extend(u32::try_from(number).unwrap().to_le_bytes());
    let architecture: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    data.extend(architecture.to_le_bytes());
    data.extend(0_u64.to_le_bytes());
    for argument in arguments {
        data.extend(argument.to_le_bytes());
    }
    data.resize(64, 0);
    programs().unwrap().iter().find_map(|program| match run(program, &data) {
        ALLOW => None,
        refused => {
            assert_eq!(refused & 0xffff_0000, libc::SECCOMP_RET_ERRNO, "call {number}");
            Some((refused & 0xffff).cast_signed())
        }
    })
}

fn run(program: &[sock_filter], data: &[u8]) -> u32 {
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let instruction = &program[at];
        let k = instruction.k;
        at += 1;
        let jump = |yes: bool| usize::from(if yes { instruction.jt } else { instruction.jf });
        match instruction.code {
            0x20 => {
                let place = k as usize;
                accumulator = u32::from_le_bytes(data[place..place + 4].try_into().unwrap());
            }
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x06 => return k,
            code => panic!("an instruction that the interpreter does not know: {code:#x}"),
        }
    }
}

#[test]
fn ordinary_calls_pass() {
    for number in [libc::SYS_read, libc::SYS_execve, libc::SYS_openat, libc::SYS_ptrace, libc::SYS_futex] {
        assert_eq!(verdict(number, [0, 0, 0]), None);
    }
}

#[test]
fn what_would_widen_the_sandbox_is_refused() {
    for number in REFUSED {
        assert_eq!(verdict(*number, [0, 0, 0]), Some(libc::EPERM));
    }
}

#[test]
fn a_fork_passes_and_a_new_namespace_does_not() {
    let flags = |flags: i32| [u64::from(flags.cast_unsigned()), 0, 0];
    assert_eq!(verdict(libc::SYS_clone, flags(libc::SIGCHLD)), None);
    assert_eq!(verdict(libc::SYS_clone, flags(libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD)), None);
    for namespace in NAMESPACES {
        assert_eq!(verdict(libc::SYS_clone, flags(namespace | libc::SIGCHLD)), Some(libc::EPERM));
    }
    assert_eq!(verdict(libc::SYS_clone3, [0, 0, 0]), Some(libc::ENOSYS));
}

#[test]
fn a_process_limits_itself_and_nobody_else() {
    assert_eq!(verdict(libc::SYS_prlimit64, [0, 7, 0]), None);
    assert_eq!(verdict(libc::SYS_prlimit64, [1, 7, 0]), Some(libc::EPERM));
}

#[test]
fn only_common_socket_families_exist() {
    let socket = |family: i32, protocol: u64| verdict(libc::SYS_socket, [mask(family), 1, protocol]);
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK] {
        assert_eq!(socket(family, 0), None);
    }
    assert_eq!(socket(libc::AF_INET, 6), None);
    assert_eq!(socket(libc::AF_NETLINK, 15), Some(libc::EAFNOSUPPORT));
    for family in [libc::AF_PACKET, libc::AF_ALG, libc::AF_VSOCK] {
        assert_eq!(socket(family, 0), Some(libc::EAFNOSUPPORT));
    }
}

#[test]
fn nobody_types_into_a_terminal_for_its_user() {
    for request in TERMINAL {
        assert_eq!(verdict(libc::SYS_ioctl, [0, request, 0]), Some(libc::EPERM));
        // The kernel ignores the upper half, so the filter must too.
        assert_eq!(verdict(libc::SYS_ioctl, [0, request | 1 << 32, 0]), Some(libc::EPERM));
    }
    assert_eq!(verdict(libc::SYS_ioctl, [0, 0x5413, 0]), None);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_second_set_of_numbers_is_closed() {
    assert_eq!(verdict(i64::from(X32) | libc::SYS_mount, [0, 0, 0]), Some(libc::ENOSYS));
}
