//! What lies below a sandbox's own layer: what others have installed, and systems that are not the host's.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use hands::{Ground, Hand, Sandbox, Spec};
use rustix::{
    fs::{CWD, FileType, Mode, makedev, mknodat},
    process::geteuid,
};

use crate::bench::{Bench, LIMITS, bash, id, run};

fn over(layers: &[&Path], rootfs: Option<&Path>) -> Ground {
    let layers = layers.iter().map(|layer| layer.to_path_buf()).collect();
    Ground { rootfs: rootfs.map(Path::to_owned), layers, ..Ground::default() }
}

fn builder(keep: &Path, ground: Ground) -> Spec {
    Spec { name: "builder".into(), limits: LIMITS, keep: Some(keep.to_owned()), ground, ..Spec::default() }
}

fn on(name: &str, ground: Ground) -> Spec {
    Spec { name: name.into(), limits: LIMITS, ground, ..Spec::default() }
}

/// Makes a layer of what this command writes.
async fn built(bench: &Bench, name: &str, ground: Ground, command: &str) -> PathBuf {
    let keep = bench.data.path().join(name);
    let hand = bench.provision(&builder(&keep, ground)).await;
    let outcome = run(&*hand, &id(), command).await;
    assert!(!outcome.is_error, "{outcome:?}");
    bench.sandbox.harvest("builder").await.unwrap();
    keep
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Everything below a directory.
fn all(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_symlink() && path.is_dir() {
            found.extend(all(&path));
        }
        found.push(path);
    }
    found
}

const INSTALL: &str = "set -e; \
    printf '#!/bin/sh\\necho added\\n' > /usr/local/bin/stead-test-added; chmod 755 /usr/local/bin/stead-test-added; \
    echo setting > /etc/stead-test; mkdir /opt/own; chmod 700 /opt/own; echo own > /opt/own/file; \
    rm /usr/bin/env /etc/shells; rm -rf /var/lib/dpkg; mkdir /var/lib/dpkg; echo new > /var/lib/dpkg/new; \
    echo passing | tee /tmp/passing /run/passing /workspace/passing /var/tmp/passing > /dev/null";

#[tokio::test]
async fn what_one_sandbox_has_installed_others_have_and_each_changes_only_its_own() {
    let bench = Bench::new();
    let layer = built(&bench, "layer", Ground::default(), INSTALL).await;
    assert!(bench.sandbox.kept().await.is_empty());
    assert!(!layer.join("root-work").exists() && !layer.join("usr-work").exists());

    let one = bench.provision(&on("one", over(&[&layer], None))).await;
    let two = bench.provision(&on("two", over(&[&layer], None))).await;
    for hand in [&one, &two] {
        says(&**hand, "stead-test-added; cat /etc/stead-test /opt/own/file", "added\nsetting\nown").await;
        says(&**hand, "ls -A /tmp /run /workspace /var/tmp | grep -c passing", "0").await;
        says(&**hand, "ls /var/lib/dpkg; ls /usr/bin/env /etc/shells 2>&1 | grep -c 'No such'", "new\n2").await;
    }
    let change = "echo changed > /etc/stead-test; rm /usr/local/bin/stead-test-added; echo more > /opt/own/more";
    bash(&*one, change).await;
    let look = "cat /etc/stead-test; ls /opt/own; ls /usr/local/bin | grep stead-test";
    assert_eq!(bash(&*one, look).await, "changed\nfile\nmore");
    assert_eq!(bash(&*two, look).await, "setting\nfile\nstead-test-added");
    assert_eq!(fs::read_to_string(layer.join("root/etc/stead-test")).unwrap(), "setting\n");
    assert!(Path::new("/usr/bin/env").exists());
    bench.end().await;
}

#[tokio::test]
async fn the_first_layer_is_the_highest() {
    let bench = Bench::new();
    let write = "echo low | tee /etc/one /etc/two; echo low > /usr/share/three";
    let low = built(&bench, "low", Ground::default(), write).await;
    let change = "cat /etc/one; echo high > /etc/two; rm /usr/share/three";
    let high = built(&bench, "high", over(&[&low], None), change).await;
    let hand = bench.provision(&on("one", over(&[&high, &low], None))).await;
    says(&*hand, "cat /etc/one /etc/two; ls /usr/share/three 2>&1 | grep -c 'No such'", "low\nhigh\n1").await;
    bench.end().await;
}

#[tokio::test]
async fn a_layer_has_nothing_in_it_that_could_be_used_against_the_host() {
    let bench = Bench::new();
    let keep = bench.data.path().join("layer");
    let victim = bench.data.path().join("victim");
    fs::write(&victim, "secret").unwrap();
    fs::set_permissions(&victim, Permissions::from_mode(0o4755)).unwrap();
    let passwd = mode(Path::new("/etc/passwd"));
    let hand = bench.provision(&builder(&keep, Ground::default())).await;
    let plant = format!(
        "set -e; cd /usr/local; cp /bin/true bin/lent; chmod 6755 bin/lent; ln bin/lent lent; \
         ln -s /etc/passwd /opt/link; ln -s {} /opt/victim; ln -s / /opt/host; mkfifo /opt/pipe; \
         rm -rf /srv /var/tmp; ln -s /etc /srv; ln -s /etc /var/tmp",
        victim.display()
    );
    let outcome = run(&*hand, &id(), &plant).await;
    assert!(!outcome.is_error, "{outcome:?}");
    let is_root = geteuid().is_root();
    if is_root {
        // Nobody inside can make one: as if somebody could.
        mknodat(CWD, keep.join("root/opt/disk"), FileType::BlockDevice, Mode::RWXU, makedev(254, 0)).unwrap();
    }
    bench.sandbox.harvest("builder").await.unwrap();
    assert_eq!((mode(&keep.join("usr/local/bin/lent")), mode(&keep.join("usr/local/lent"))), (0o755, 0o755));
    assert_eq!(fs::read_link(keep.join("root/opt/link")).unwrap(), Path::new("/etc/passwd"));
    for gone in ["root/opt/pipe", "root/opt/disk", "root/var/tmp"] {
        assert!(!keep.join(gone).is_symlink() && !keep.join(gone).exists(), "{gone}");
    }
    for path in all(&keep) {
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o6000), (geteuid().as_raw(), 0), "{}", path.display());
    }
    assert_eq!((mode(&victim), mode(Path::new("/etc/passwd"))), (0o4755, passwd));
    // Harvested once, it is gone; and one that keeps nothing is left alone.
    assert!(bench.sandbox.harvest("builder").await.is_err());
    let hand = bench.hand().await;
    assert!(bench.sandbox.harvest("one").await.is_err());
    assert_eq!(bash(&*hand, "echo alive").await, "alive");
    bench.end().await;
}

#[tokio::test]
async fn files_are_given_to_other_users_and_are_theirs_in_the_next_sandbox() {
    let bench = Bench::new();
    if !bench.sandbox.installs_for_others() {
        eprintln!("skipped: there are no users to give files to");
        return;
    }
    let give = "set -e; echo mail > /opt/mail; chown 8:12 /opt/mail; chmod 640 /opt/mail; cat /opt/mail; \
                install -d -o 33 -g 33 -m 700 /opt/web; touch /opt/web/file";
    let layer = built(&bench, "layer", Ground::default(), give).await;
    let found = fs::metadata(layer.join("root/opt/mail")).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (8, 12, 0o640));
    assert_eq!(fs::metadata(layer.join("root")).unwrap().uid(), 0);
    let hand = bench.provision(&on("one", over(&[&layer], None))).await;
    assert_eq!(bash(&*hand, "stat -c '%u:%g %a' /opt/mail /opt/web").await, "8:12 640\n33:33 700");
    bench.end().await;
}

#[tokio::test]
async fn the_hosts_own_programs_can_be_replaced_wherever_they_are() {
    let bench = Bench::new();
    if !bench.sandbox.installs_for_others() {
        eprintln!("skipped: who is not root owns nothing of the host's inside");
        return;
    }
    // What a package manager does to what is there: a second name for it, then another file in its place.
    let replace = "set -e; cd /usr/share; found=$(find . -mindepth 4 -type f | head -n 1); \
                   echo \"$found\" > /opt/found; ln \"$found\" \"$found.old\"; echo new > \"$found.new\"; \
                   mv \"$found.new\" \"$found\"; chown 0:0 \"$found\"; rm \"$found.old\"";
    let layer = built(&bench, "layer", Ground::default(), replace).await;
    let found = fs::read_to_string(layer.join("root/opt/found")).unwrap();
    assert_eq!(fs::read_to_string(layer.join("usr/share").join(found.trim())).unwrap(), "new\n");
    assert_ne!(fs::read(Path::new("/usr/share").join(found.trim())).unwrap(), b"new\n");
    let hand = bench.provision(&on("one", over(&[&layer], None))).await;
    says(&*hand, "cat \"/usr/share/$(cat /opt/found)\"", "new").await;
    bench.end().await;
}

#[tokio::test]
async fn a_sandbox_that_installs_may_give_files_away_and_no_more() {
    let bench = Bench::new();
    let hand = bench.provision(&builder(&bench.data.path().join("layer"), Ground::default())).await;
    let status = "grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status | \
                  sed 's/0000000000//' | tr -d '\\t'";
    let said = "CapInh:000000\nCapPrm:0000fb\nCapEff:0000fb\nCapBnd:0000fb\nCapAmb:000000\nNoNewPrivs:1\nSeccomp:2";
    assert_eq!(bash(&*hand, status).await, said);
    for attempt in [
        "mount -t tmpfs none /mnt",
        "mount -o remount,rw /mnt/session/uploads",
        "touch /mnt/session/uploads/file",
        "umount /proc",
        "unshare --user --map-root-user true",
        "unshare --mount true",
        "nsenter --target 1 --mount true",
        "chroot / true",
        "ls /proc/1/root/",
        "cat /proc/1/environ",
        "cat /proc/1/fd/4",
        "head -c 1 /proc/1/mem",
        "echo x > /proc/sys/kernel/hostname",
        "echo 1 > /proc/sys/user/max_user_namespaces",
        "echo h > /proc/sysrq-trigger",
        "mknod /tmp/disk b 254 0",
        "ip link set lo down",
        "ls /home | grep .",
    ] {
        let outcome = run(&*hand, &id(), attempt).await;
        assert!(outcome.is_error, "{attempt}: {outcome:?}");
    }
    assert_eq!(bash(&*hand, "kill -9 1; kill -STOP 1; echo alive").await, "alive");
    bench.end().await;
}

#[tokio::test]
async fn a_layer_that_cannot_be_had_is_named() {
    let bench = Bench::new();
    let missing = bench.data.path().join("missing");
    let refused = bench.sandbox.provision(&on("one", over(&[&missing], None)), 1).await.err().unwrap().to_string();
    assert!(refused.contains(missing.to_str().unwrap()), "{refused}");
    let parts = bench.data.path().join("layer");
    fs::create_dir(&parts).unwrap();
    let refused = bench.sandbox.provision(&on("one", over(&[&*parts; 33], None)), 1).await.err().unwrap().to_string();
    assert!(refused.contains("33") && refused.contains("32"), "{refused}");
    // One with neither part in it is one without effect.
    let hand = bench.provision(&on("one", over(&[&parts], None))).await;
    assert_eq!(bash(&*hand, "echo works").await, "works");
    bench.end().await;
}

/// A small system, with these programs of the host's and what they are linked with.
fn image(at: &Path, programs: &[&str]) {
    for directory in ["bin", "etc", "var"] {
        fs::create_dir_all(at.join(directory)).unwrap();
    }
    for program in programs {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        let listed = Command::new("ldd").arg(found.trim()).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
        for library in libraries {
            copy(library, &at.join(library.trim_start_matches('/')));
        }
        copy(found.trim(), &at.join("bin").join(program));
    }
    fs::write(at.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    fs::write(at.join("etc/image"), "an image\n").unwrap();
    symlink("../run/resolv.conf", at.join("etc/resolv.conf")).unwrap();
    symlink("/var/mnt", at.join("mnt")).unwrap();
    for path in all(at).iter().filter(|path| path.is_dir()) {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(at, Permissions::from_mode(0o755)).unwrap();
}

fn copy(from: &str, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o755)).unwrap();
}

async fn says(hand: &dyn Hand, command: &str, expected: &str) {
    assert_eq!(bash(hand, command).await, expected, "{command}");
}

#[tokio::test]
async fn an_image_is_a_system_of_its_own() {
    let bench = Bench::new();
    let rootfs = bench.data.path().join("rootfs");
    image(&rootfs, &["bash", "cat", "ls", "id", "rm", "mkdir"]);
    let hand = bench.provision(&on("one", over(&[], Some(&rootfs)))).await;
    says(&*hand, "id -u; pwd; cat /etc/image", "0\n/workspace\nan image").await;
    says(&*hand, "ls /usr; ls /bin/grep 2>/dev/null || echo none", "none").await;
    let settings = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\nsandbox";
    says(&*hand, "cat /etc/resolv.conf /etc/hostname", settings).await;
    says(&*hand, "ls /mnt/session; echo x > /dev/null", "outputs\ntool_outputs\nuploads").await;
    says(&*hand, "ls -d /proc/self /dev/shm", "/dev/shm\n/proc/self").await;
    says(&*hand, "rm /etc/image /bin/mkdir; echo new > /etc/new; ls /etc/new /etc/image 2>/dev/null", "/etc/new").await;
    assert!(rootfs.join("etc/image").exists() && rootfs.join("bin/mkdir").exists() && !rootfs.join("etc/new").exists());
    bench.end().await;
}

#[tokio::test]
async fn a_layer_can_be_made_over_an_image() {
    let bench = Bench::new();
    let rootfs = bench.data.path().join("rootfs");
    image(&rootfs, &["bash", "cat", "ls", "rm", "mkdir"]);
    let install = "mkdir -p /usr/bin; echo 'echo added' > /usr/bin/added; rm /etc/image";
    let layer = built(&bench, "layer", over(&[], Some(&rootfs)), install).await;
    assert!(layer.join("root/usr/bin/added").exists());
    for ours in ["etc/hosts", "etc/hostname", "etc/resolv.conf", "mnt", "proc", "dev", "tmp"] {
        assert!(!layer.join("root").join(ours).exists(), "{ours}");
    }
    let hand = bench.provision(&on("one", over(&[&layer], Some(&rootfs)))).await;
    let look = ". /usr/bin/added; ls /etc/image 2>/dev/null || echo none; cat /etc/hostname";
    says(&*hand, look, "added\nnone\nsandbox").await;
    bench.end().await;
}

#[tokio::test]
async fn an_image_with_the_plain_shell_alone_has_a_shell_that_stays() {
    let bench = Bench::new();
    let rootfs = bench.data.path().join("rootfs");
    image(&rootfs, &["sh", "cat"]);
    let hand = bench.provision(&on("one", over(&[], Some(&rootfs)))).await;
    says(&*hand, "NAME=value; cd /etc; cat image", "an image").await;
    says(&*hand, "echo $NAME; pwd", "value\n/etc").await;
    assert!(run(&*hand, &id(), "echo 'open").await.is_error);
    says(&*hand, "echo $NAME", "value").await;
    bench.end().await;
}

#[tokio::test]
async fn an_image_without_a_shell_is_refused_and_told_of_it() {
    let bench = Bench::new();
    let rootfs = bench.data.path().join("rootfs");
    image(&rootfs, &["cat"]);
    // Not what it would mean outside.
    symlink("/usr/bin/env", rootfs.join("bin/sh")).unwrap();
    let refused = bench.sandbox.provision(&on("one", over(&[], Some(&rootfs))), 1).await.err().unwrap().to_string();
    assert!(refused.contains("image") && refused.contains("/bin/sh"), "{refused}");
    bench.end().await;
}
