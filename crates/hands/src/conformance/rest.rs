//! Sandboxes that are put away, and others that begin with what they have written.

use std::path::Path;

use super::bench::{Bench, ONE, assert_gone, bash, id, names, run, spec};
use crate::{Checkpoint, Hand, Kept, Lost, Sandbox, Spec};

/// Writes of every kind, one of them a removal.
const WRITE: &str = "set -e; cd /workspace; echo kept > file; mkdir -p deep/er; echo deep > deep/er/file; \
    ln -s file link; ln file hard; printf '#!/bin/sh\\necho runs\\n' > program; chmod 750 program; \
    truncate -s 1M holes; : > empty; \
    touch -d 2001-02-03T04:05:06Z old; echo '127.0.0.1 added' >> /etc/hosts; rm /usr/bin/env; \
    echo local > /usr/local/own; echo out > /mnt/session/outputs/out; printf x > \"it's
odd\"";

const LOOK: &str = "cd /workspace; cat file deep/er/file; readlink link; stat -c %h file; ./program; \
    stat -c %a program; stat -c %s holes; stat -c %s empty; stat -c %Y old; tail -n 1 /etc/hosts; \
    test -e /usr/bin/env || echo removed; cat /usr/local/own /mnt/session/outputs/out; ls | wc -l";

const SEEN: &str = "kept\ndeep\nfile\n2\nruns\n750\n1048576\n0\n981173106\n127.0.0.1 added\nremoved\nlocal\nout\n10";

async fn rest(sandbox: &dyn Sandbox, hand: &dyn Hand) -> Checkpoint {
    let checkpoint = sandbox.rest(hand.address(), 1).await.expect("a sandbox that lives can be put away");
    let found = std::fs::metadata(&checkpoint.path).expect("its checkpoint is a file of this machine");
    assert_eq!(found.len(), checkpoint.bytes, "whose size is told");
    assert!(checkpoint.at > 1_600_000_000_000, "and when that was, in milliseconds");
    checkpoint
}

fn from(path: &Path) -> Spec {
    Spec { restore: Some(path.to_owned()), ..spec(ONE) }
}

pub(super) async fn files_outlast_a_rest_and_processes_do_not(bench: &Bench) {
    let hand = bench.hand().await;
    let outcome = run(&*hand, &id(), WRITE).await;
    assert!(!outcome.is_error, "{outcome:?}");
    assert_eq!(bash(&*hand, LOOK).await, SEEN, "so it is before");
    bash(&*hand, "set +e; NAME=value; sleep 4141.41 > /dev/null 2>&1 &").await;
    let checkpoint = rest(&*bench.sandbox, &*hand).await;
    let hand = bench.provision(&from(&checkpoint.path)).await;
    assert_eq!(bash(&*hand, LOOK).await, SEEN, "and so it is again");
    let ran = "echo name: $NAME; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '^4141.41$'; true";
    assert_eq!(bash(&*hand, ran).await, "name:\n0", "what the shell had in mind, and what ran, is lost");
}

pub(super) async fn a_rested_sandbox_is_gone_and_its_checkpoint_is_kept(bench: &Bench) {
    let hand = bench.hand().await;
    let address = hand.address().clone();
    bash(&*hand, "echo kept > /workspace/file").await;
    let checkpoint = rest(&*bench.sandbox, &*hand).await;
    assert!(matches!(hand.look(vec!["x".into()]).await, Err(Lost::Gone(_))), "whoever has it loses it");
    let later = bench.later().await;
    assert_gone(&*later, &address, 2).await;
    assert_eq!(
        later.checkpoint(&address).await.unwrap(),
        Some(checkpoint.clone()),
        "a later server finds what is left"
    );
    let kept = later.kept().await;
    let [Kept { name, incarnation, checkpoint: found, .. }] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!((name.as_str(), incarnation.as_ref()), (ONE, Some(&address.incarnation)));
    assert_eq!(found.as_ref(), Some(&checkpoint));
    assert!(matches!(later.rest(&address, 2).await, Err(Lost::Gone(_))), "it cannot be put away twice");
    assert!(checkpoint.path.exists(), "nor does that harm what is there");
}

pub(super) async fn a_checkpoint_outlasts_later_sandboxes_until_it_is_forgotten(bench: &Bench) {
    let old = bench.hand().await;
    bash(&*old, "echo kept > /workspace/file").await;
    let checkpoint = rest(&*bench.sandbox, &*old).await;
    let new = bench.provision(&from(&checkpoint.path)).await;
    assert_eq!(bench.sandbox.checkpoint(old.address()).await.unwrap(), Some(checkpoint.clone()), "beside the next one");
    assert_eq!(bench.sandbox.checkpoint(new.address()).await.unwrap(), None, "whose it is not");
    bench.sandbox.destroy(ONE, Some(&new.address().incarnation)).await.unwrap();
    assert_eq!(
        bench.sandbox.checkpoint(old.address()).await.unwrap(),
        Some(checkpoint.clone()),
        "and after the next one"
    );

    bench.sandbox.forget(old.address()).await.expect("what was put away can be forgotten");
    bench.sandbox.forget(old.address()).await.expect("and is then forgotten already");
    assert_eq!(bench.sandbox.checkpoint(old.address()).await.unwrap(), None);
    assert!(!checkpoint.path.exists(), "nothing is left of it");
    assert_eq!(names(&*bench.sandbox).await, [""; 0]);

    let last = bench.hand().await;
    let checkpoint = rest(&*bench.sandbox, &*last).await;
    bench.sandbox.destroy(ONE, None).await.unwrap();
    assert!(!checkpoint.path.exists(), "destroying all of a name takes what was put away too");
}

pub(super) async fn whoever_is_fenced_off_puts_nothing_away(bench: &Bench) {
    let old = bench.hand().await;
    let new = bench.later().await.adopt(old.address(), 5).await.unwrap();
    match bench.sandbox.rest(old.address(), 4).await {
        Err(Lost::Fenced(5)) => {}
        other => panic!("a lower epoch is fenced off: {other:?}"),
    }
    assert_eq!(bash(&*new, "echo alive").await, "alive", "the sandbox lives on");
    assert_eq!(bench.sandbox.checkpoint(old.address()).await.unwrap(), None);
}

pub(super) async fn a_checkpoint_that_is_none_is_refused(bench: &Bench) {
    let hand = bench.hand().await;
    bash(&*hand, "head -c 300000 /dev/urandom > /workspace/file").await;
    let checkpoint = rest(&*bench.sandbox, &*hand).await;
    let whole = std::fs::read(&checkpoint.path).unwrap();
    let cut = bench.file("cut", &whole[..whole.len() / 2]);
    for path in [cut, bench.file("noise", "no checkpoint at all"), bench.file("empty", ""), bench.host("missing")] {
        let refused = bench.sandbox.provision(&Spec { name: "two".into(), ..from(&path) }, 1).await;
        assert!(refused.is_err(), "{} is no checkpoint", path.display());
        bench.sandbox.destroy("two", None).await.unwrap();
    }
    let hand = bench.provision(&from(&checkpoint.path)).await;
    assert_eq!(bash(&*hand, "stat -c %s /workspace/file").await, "300000");
}
