//! Ways out that people try.

use hands::{Lost, Spec};

use crate::bench::{Bench, LIMITS, bash, id, run, text};

#[tokio::test]
async fn nothing_of_the_host_can_be_reached() {
    let bench = Bench::new();
    let secret = bench.data.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let hand = bench.hand().await;
    let host = secret.display();
    for attempt in [
        // More mounts, more namespaces.
        "mount -t tmpfs none /mnt".to_owned(),
        "umount /proc".into(),
        "unshare --user --map-root-user true".into(),
        "unshare --mount true".into(),
        "nsenter --target 1 --mount true".into(),
        "chroot / true".into(),
        // The daemon, by way of /proc.
        "ls /proc/1/root/".into(),
        "cat /proc/1/environ".into(),
        "cat /proc/1/fd/4".into(),
        "head -c 1 /proc/1/mem".into(),
        "cat /proc/1/maps | grep .".into(),
        // The kernel's settings.
        "echo x > /proc/sys/kernel/hostname".into(),
        "echo 1 > /proc/sys/user/max_user_namespaces".into(),
        "echo h > /proc/sysrq-trigger".into(),
        "ls -A /sys | grep .".into(),
        "dmesg | grep .".into(),
        // Files.
        "cat /etc/shadow".into(),
        format!("cat {host}"),
        "mknod /tmp/disk b 254 0".into(),
        "ls /home | grep .".into(),
    ] {
        let outcome = run(&*hand, &id(), &attempt).await;
        assert!(outcome.is_error, "{attempt}: {outcome:?}");
    }
    assert_eq!(bash(&*hand, "kill -9 1; kill -STOP 1; echo alive").await, "alive");
    bench.end().await;
}

#[tokio::test]
async fn there_is_no_privilege_to_use_or_to_gain() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let status = "grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb)' /proc/self/status | grep -cv 0000000000000000; \
                  grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'";
    assert_eq!(bash(&*hand, status).await, "0\nNoNewPrivs:1\nSeccomp:2");
    // Root outside is never among the users inside.
    let map = bash(&*hand, "cat /proc/self/uid_map").await;
    let outside: u32 = map.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_ne!(outside, 0, "{map}");
    assert!(run(&*hand, &id(), "chown 1:1 /workspace").await.is_error);
    bench.end().await;
}

#[tokio::test]
async fn the_filter_refuses_and_ordinary_programs_do_not_notice() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    if run(&*hand, &id(), "test -x /usr/bin/python3").await.is_error {
        eprintln!("skipped: this machine has no /usr/bin/python3 to make the calls with");
        return bench.end().await;
    }
    let program = r#"
import ctypes, os, socket, threading
libc = ctypes.CDLL(None, use_errno=True)
def family(*arguments):
    try: socket.socket(*arguments); return 0
    except OSError as error: return error.errno
zero = ctypes.c_long(0)
attempts = {
    "ptrace": ctypes.get_errno() if libc.ptrace(16, 1, zero, zero) < 0 else 0,
    "unshare": ctypes.get_errno() if libc.unshare(0x10000000) < 0 else 0,
    "alg": family(38, 5), "vsock": family(40, 1), "packet": family(17, 3), "netlink": family(16, 3, 15),
}
threading.Thread(target=lambda: None).start()
ordinary = [family(1, 1), family(2, 1), family(16, 3, 0)]
print(attempts, ordinary, os.waitpid(os.spawnlp(os.P_NOWAIT, "true", "true"), 0)[1])
"#;
    let said = text(&run(&*hand, &id(), &format!("/usr/bin/python3 - <<'END'\n{program}\nEND")).await);
    let refused = "{'ptrace': 1, 'unshare': 1, 'alg': 97, 'vsock': 97, 'packet': 97, 'netlink': 97}";
    assert_eq!(said, format!("{refused} [0, 0, 0] 0"));
    bench.end().await;
}

#[tokio::test]
async fn a_link_among_the_outputs_leads_nowhere() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    bash(&*hand, "cd /mnt/session/outputs && ln -s /etc/passwd link && ln -s / root && echo real > file").await;
    let (entries, _) = hand.outputs().await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>(), ["file"]);
    for path in ["link", "root/etc/passwd", "../uploads", "/etc/passwd"] {
        assert!(matches!(hand.fetch(path, 0, 100).await, Err(Lost::Refused(_))), "{path}");
    }
    bench.end().await;
}

#[tokio::test]
async fn two_sandboxes_do_not_see_each_other() {
    let bench = Bench::new();
    let one = bench.hand().await;
    let spec = Spec { name: "two".into(), limits: LIMITS, ..Spec::default() };
    let two = bench.provision(&spec).await;
    bash(&*one, "echo one > /workspace/file; sleep 2121.21 > /dev/null 2>&1 &").await;
    assert_eq!(bash(&*two, "ls /workspace").await, "(no output)");
    assert!(!bash(&*two, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").await.contains("2121.21"));
    bench.end().await;
}
