//! What lies below a sandbox's own: what others have installed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::bench::{Bench, ONE, bash, id, names, run, spec};
use crate::{Ground, Spec};

const BUILDER: &str = "builder";

fn over(layers: &[&Path]) -> Ground {
    Ground { layers: layers.iter().map(|layer| layer.to_path_buf()).collect(), ..Ground::default() }
}

/// Makes a layer of what this command writes.
async fn built(bench: &Bench, name: &str, ground: Ground, command: &str) -> PathBuf {
    let keep = bench.host(name);
    let hand = bench.provision(&Spec { keep: Some(keep.clone()), ground, ..spec(BUILDER) }).await;
    let outcome = run(&*hand, &id(), command).await;
    assert!(!outcome.is_error, "{outcome:?}");
    bench.sandbox.harvest(BUILDER).await.expect("what was kept becomes a layer");
    keep
}

const INSTALL: &str = "set -e; \
    printf '#!/bin/sh\\necho added\\n' > /usr/local/bin/stead-test-added; chmod 755 /usr/local/bin/stead-test-added; \
    echo setting > /etc/stead-test; mkdir /opt/own; chmod 700 /opt/own; echo own > /opt/own/file; \
    rm /usr/bin/env /etc/shells; \
    echo passing | tee /tmp/passing /run/passing /workspace/passing /var/tmp/passing > /dev/null";

pub(super) async fn what_one_sandbox_has_installed_others_have(bench: &Bench) {
    let layer = built(bench, "layer", Ground::default(), INSTALL).await;
    assert_eq!(names(&*bench.sandbox).await, [""; 0], "who was harvested is no more");
    let one = bench.provision(&Spec { ground: over(&[&layer]), ..spec(ONE) }).await;
    let two = bench.provision(&Spec { ground: over(&[&layer]), ..spec("two") }).await;
    for hand in [&*one, &*two] {
        let look = "stead-test-added; cat /etc/stead-test /opt/own/file; stat -c %a /opt/own";
        assert_eq!(bash(hand, look).await, "added\nsetting\nown\n700");
        let look = "ls -A /tmp /run /workspace /var/tmp | grep -c passing; \
                    ls /usr/bin/env /etc/shells 2>&1 | grep -c 'No such'";
        assert_eq!(bash(hand, look).await, "0\n2", "what installs nothing is left out, and what was removed stays so");
    }
    for kept in bench.sandbox.kept().await {
        assert_eq!(kept.layers, std::slice::from_ref(&layer), "what it stands on is known");
    }
    let change = "echo changed > /etc/stead-test; rm /usr/local/bin/stead-test-added; echo more > /opt/own/more";
    bash(&*one, change).await;
    let look = "cat /etc/stead-test; ls /opt/own; ls /usr/local/bin | grep stead-test; true";
    assert_eq!(bash(&*one, look).await, "changed\nfile\nmore");
    assert_eq!(bash(&*two, look).await, "setting\nfile\nstead-test-added", "each changes only its own");
    assert_eq!(fs::read_to_string(layer.join("root/etc/stead-test")).unwrap(), "setting\n");
    assert!(Path::new("/usr/bin/env").exists(), "and nobody the host's");
}

pub(super) async fn the_first_layer_is_the_highest(bench: &Bench) {
    let write = "echo low | tee /etc/one /etc/two; echo low > /usr/share/three";
    let low = built(bench, "low", Ground::default(), write).await;
    let change = "cat /etc/one; echo high > /etc/two; rm /usr/share/three";
    let high = built(bench, "high", over(&[&low]), change).await;
    let hand = bench.provision(&Spec { ground: over(&[&high, &low]), ..spec(ONE) }).await;
    let look = "cat /etc/one /etc/two; ls /usr/share/three 2>&1 | grep -c 'No such'";
    assert_eq!(bash(&*hand, look).await, "low\nhigh\n1");
}

pub(super) async fn only_what_was_kept_is_harvested_and_only_once(bench: &Bench) {
    built(bench, "layer", Ground::default(), "true").await;
    assert!(bench.sandbox.harvest(BUILDER).await.is_err(), "it is no more");
    let hand = bench.hand().await;
    assert!(bench.sandbox.harvest(ONE).await.is_err(), "it keeps nothing");
    assert_eq!(bash(&*hand, "echo alive").await, "alive", "and is left alone");
    let full = bench.host("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("notes"), "somebody's").unwrap();
    bench.refusal(&*bench.sandbox, &Spec { keep: Some(full.clone()), ..spec(BUILDER) }).await;
    assert_eq!(fs::read_to_string(full.join("notes")).unwrap(), "somebody's", "what is not a sandbox's stays");
}

pub(super) async fn a_layer_that_cannot_be_had_is_named(bench: &Bench) {
    let missing = bench.host("missing");
    let refused = bench.refusal(&*bench.sandbox, &Spec { ground: over(&[&missing]), ..spec(ONE) }).await.to_string();
    assert!(refused.contains(&missing.display().to_string()), "{refused}");
}
