//! Sandboxes that are put away, and others that begin with their files.

mod forged;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::Duration,
};

use hands::{Checkpoint, Found, Ground, Hand, Kept, Limits, Lost, Sandbox, Spec};
use tokio::time::timeout;

use crate::bench::{Bench, LIMITS, bash, call, id, look, open, run, runs, text, until};

async fn rest(bench: &Bench, hand: &dyn Hand) -> Checkpoint {
    bench.sandbox.rest(hand.address(), 1).await.unwrap()
}

fn from(path: &Path) -> Spec {
    Spec { name: "one".into(), limits: LIMITS, restore: Some(path.to_owned()), ..Spec::default() }
}

/// Puts it away, and makes the next one of it.
async fn away_and_back(bench: &Bench, hand: &dyn Hand) -> Box<dyn Hand> {
    let checkpoint = rest(bench, hand).await;
    let next = bench.provision(&from(&checkpoint.path)).await;
    bench.sandbox.forget(hand.address()).await.unwrap();
    next
}

async fn succeeds(hand: &dyn Hand, command: &str) {
    let outcome = run(hand, &id(), command).await;
    assert!(!outcome.is_error, "{command}: {outcome:?}");
}

/// What this looks at, and it says the same as before.
async fn stays(bench: &Bench, write: &str, look: &str) {
    let hand = bench.hand().await;
    succeeds(&*hand, &format!("set -e; {write}; set +e")).await;
    let before = bash(&*hand, look).await;
    let once = away_and_back(bench, &*hand).await;
    assert_eq!(bash(&*once, look).await, before);
    // And upon what was there already.
    let twice = away_and_back(bench, &*once).await;
    assert_eq!(bash(&*twice, look).await, before);
}

#[tokio::test]
async fn files_of_every_kind_stay_as_they_are() {
    let bench = Bench::new();
    let write = "cd /workspace; echo text > plain; : > empty; truncate -s 1G holes; \
                 printf end | dd of=holes bs=1 seek=500000000 conv=notrunc status=none; \
                 ln plain other; ln -s plain link; ln -s /nowhere/at/all dangling; \
                 echo odd > $'new\\nline'; echo long > $(printf 'n%.0s' $(seq 255)); echo bytes > $'\\xff\\xfe'; \
                 deep=$(printf 'd/%.0s' $(seq 300)); mkdir -p $deep; echo deep > ${deep}file; \
                 echo read-only > fixed; chmod 444 fixed; echo closed > closed; touch -d @1000000000.123456789 closed; \
                 chmod 0 closed; mkdir shut; echo in > shut/file; chmod 0 shut; mkdir -m 1777 sticky; \
                 mkfifo pipe; touch -d 1969-12-31T12:00:00Z old; echo passing > /tmp/passing; echo variable > /var/tmp/file; \
                 printf '#!/bin/sh\\necho installed\\n' > /usr/local/bin/added; chmod 755 /usr/local/bin/added";
    let look = "cd /workspace; cat plain other link; stat -c '%h %s' plain; readlink link dangling; \
                stat -c '%s %b' holes; tail -c +500000001 holes | head -c 3; echo; ls -1b | grep -v pipe; \
                cat $'new\\nline' n* $'\\xff\\xfe'; find d -type f | wc -c; find d -type f | xargs cat; \
                stat -c '%a %Y %y' closed old fixed; stat -c %a shut sticky; \
                cat /tmp/passing /var/tmp/file; added; chmod 600 closed; cat closed; chmod 0 closed; \
                touch -d @1000000000.123456789 closed; chmod 700 shut; cat shut/file; chmod 0 shut";
    stays(&bench, write, look).await;
    let hand = bench.hand().await;
    succeeds(&*hand, "mkfifo /workspace/pipe; sleep 600 > /workspace/pipe & true").await;
    let hand = away_and_back(&bench, &*hand).await;
    assert_eq!(bash(&*hand, "ls -A /workspace").await, "(no output)", "what nobody holds any more is left out");
    bench.end().await;
}

#[tokio::test]
async fn what_was_removed_stays_removed_and_what_was_made_anew_hides_what_was_there() {
    let bench = Bench::new();
    let write = "rm /usr/bin/env /etc/shells; rm -rf /var/lib/dpkg; mkdir /var/lib/dpkg; \
                 echo new > /var/lib/dpkg/new; \
                 rm -rf /srv; ln -s /tmp /srv; rm -rf /opt; echo a-file > /opt; echo changed >> /etc/hosts";
    let look = "ls /usr/bin/env /etc/shells 2>&1 | grep -c 'No such'; ls -A /var/lib/dpkg; \
                readlink /srv; cat /opt; tail -n 1 /etc/hosts";
    stays(&bench, write, look).await;
    bench.end().await;
}

#[tokio::test]
async fn a_layer_below_stays_below_and_whom_its_files_belong_to() {
    let bench = Bench::new();
    let keep = bench.data.path().join("layer");
    let builder = Spec { name: "builder".into(), limits: LIMITS, keep: Some(keep.clone()), ..Spec::default() };
    let hand = bench.provision(&builder).await;
    let owns = bench.sandbox.installs_for_others();
    let give = if owns { "chown 8:12 /opt/given;" } else { "" };
    let install = "mkdir /usr/local/share/own; echo base > /usr/local/share/own/base";
    let install = format!("echo base > /opt/given; echo base > /opt/gone; {give} chmod 666 /opt/given; {install}");
    succeeds(&*hand, &install).await;
    match bench.sandbox.rest(hand.address(), 1).await {
        Err(Lost::Refused(why)) => assert!(why.contains("layer"), "{why}"),
        other => panic!("what is to become a layer is not put away: {other:?}"),
    }
    bench.sandbox.harvest("builder").await.unwrap();

    let ground = Ground { layers: vec![keep.clone()], ..Ground::default() };
    let hand = bench.provision(&Spec { ground: ground.clone(), ..spec() }).await;
    let anew = "rm -rf /usr/local/share/own; mkdir /usr/local/share/own; echo new > /usr/local/share/own/new";
    succeeds(&*hand, &format!("echo more >> /opt/given; rm /opt/gone; {anew}")).await;
    let checkpoint = rest(&bench, &*hand).await;
    let next = bench.provision(&Spec { ground, ..from(&checkpoint.path) }).await;
    let said = if owns { "8:12" } else { "0:0" };
    let look = "cat /opt/given; stat -c '%u:%g %a' /opt/given; ls /opt /usr/local/share/own";
    let said = format!("base\nmore\n{said} 666\n/opt:\ngiven\n\n/usr/local/share/own:\nnew");
    assert_eq!(bash(&*next, look).await, said);

    // The layer is needed for as long as what was put away over it can come back.
    bench.sandbox.destroy("one", Some(&next.address().incarnation)).await.unwrap();
    let kept = open(bench.data.path()).kept().await;
    let incarnation = Some(hand.address().incarnation.clone());
    let checkpoint = Some(checkpoint);
    assert_eq!(kept, [Kept { name: "one".into(), incarnation, checkpoint, layers: vec![keep] }]);
    bench.end().await;
}

fn spec() -> Spec {
    Spec { name: "one".into(), limits: LIMITS, ..Spec::default() }
}

#[tokio::test]
async fn calls_from_before_are_known_afterwards_and_run_no_more() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let once = "echo run >> /workspace/runs; cat /workspace/runs";
    assert_eq!(text(&run(&*hand, "once", once).await), "run");
    let hand = away_and_back(&bench, &*hand).await;
    assert!(matches!(look(&*hand, "once").await, Found::Finished { .. }));
    assert_eq!(text(&run(&*hand, "once", once).await), "run");
    assert_eq!(bash(&*hand, "cat /workspace/runs").await, "run");
    assert!(matches!(look(&*hand, "never").await, Found::NeverReceived));
    bench.end().await;
}

#[tokio::test]
async fn a_sandbox_in_which_a_call_runs_is_left_alone() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let begun = timeout(Duration::from_millis(200), hand.execute(call("long", "sleep 1; echo done"))).await;
    assert!(begun.is_err());
    assert!(matches!(bench.sandbox.rest(hand.address(), 1).await, Err(Lost::Refused(_))));
    assert_eq!(text(&run(&*hand, "long", "sleep 1; echo done").await), "done");
    assert_eq!(bench.sandbox.checkpoint(hand.address()).await.unwrap(), None);
    assert!(!bench.data.path().join("data/rested/one").exists(), "nothing is left of the attempt");
    bench.end().await;
}

#[tokio::test]
async fn nobody_else_can_read_what_was_put_away() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let checkpoint = rest(&bench, &*hand).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&checkpoint.path), 0o600);
    let rested = bench.data.path().join("data/rested");
    assert!(checkpoint.path.starts_with(&rested));
    for directory in [&*rested, &rested.join("one"), checkpoint.path.parent().unwrap()] {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    bench.end().await;
}

#[tokio::test]
async fn all_that_ran_has_ended_when_it_is_away() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let marker = format!("4242.{}", std::process::id());
    bash(&*hand, &format!("(setsid sleep {marker} > /dev/null 2>&1 &); true")).await;
    until("it runs", || runs(&marker)).await;
    rest(&bench, &*hand).await;
    assert!(!runs(&marker));
    assert!(!runs(&hand.address().incarnation), "nor does the daemon");
    bench.end().await;
}

#[tokio::test]
async fn a_server_that_ends_half_way_leaves_a_sandbox_or_a_checkpoint() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let address = hand.address().clone();
    let rested = bench.data.path().join("data/rested/one");

    // Before it was whole.
    let unfinished = rested.join("0123456789abcdef.unfinished");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("checkpoint"), "half").unwrap();
    let later = open(bench.data.path());
    assert_eq!(later.checkpoint(&address).await.unwrap(), None);
    assert_eq!(later.kept().await.iter().filter(|kept| kept.checkpoint.is_some()).count(), 0);
    later.prepare().await.unwrap();
    assert!(!rested.exists());
    let hand = later.adopt(&address, 2).await.unwrap();
    assert_eq!(bash(&*hand, "echo alive").await, "alive");

    // When it was, and the sandbox had not ended yet.
    for is_prepared in [false, true] {
        let hand = bench.hand().await;
        let address = hand.address().clone();
        let place = rested.join(&address.incarnation);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("checkpoint"), "whole").unwrap();
        fs::copy(bench.data.path().join("data/hands/one/address.json"), place.join("address.json")).unwrap();
        drop(hand);
        assert!(runs(&address.incarnation));
        let later = open(bench.data.path());
        if is_prepared {
            later.prepare().await.unwrap();
        } else {
            match later.adopt(&address, 2).await.err() {
                Some(Lost::Gone(why)) => assert_eq!(why, "it was put away"),
                other => panic!("{other:?}"),
            }
        }
        assert!(!runs(&address.incarnation));
        assert_eq!(later.checkpoint(&address).await.unwrap().unwrap().path, place.join("checkpoint"));
    }
    bench.end().await;
}

#[tokio::test]
async fn whoever_comes_while_it_is_put_away_finds_it_alive_or_finds_its_files() {
    let bench = Bench::new();
    let (mut away, mut alive) = (0, 0);
    for round in 0..12_u64 {
        let hand = bench.hand().await;
        bash(&*hand, "head -c 4000000 /dev/urandom > /workspace/file; echo kept > /workspace/kept").await;
        let address = hand.address().clone();
        let later = open(bench.data.path());
        let comes = async {
            tokio::time::sleep(Duration::from_millis(round * 4)).await;
            let hand = later.adopt(&address, 2).await?;
            hand.execute(call(&id(), "cat /workspace/kept")).await
        };
        let (rested, came) = tokio::join!(bench.sandbox.rest(&address, 1), comes);
        match (rested, came) {
            (Ok(checkpoint), Err(Lost::Gone(_))) => {
                assert_eq!(later.checkpoint(&address).await.unwrap(), Some(checkpoint.clone()));
                let next = bench.provision(&from(&checkpoint.path)).await;
                assert_eq!(bash(&*next, "cat /workspace/kept").await, "kept");
                away += 1;
            }
            (Err(Lost::Refused(_) | Lost::Fenced(2)), Ok(outcome)) => {
                // The shell has ended, and is another one by now.
                assert!(text(&outcome).ends_with("kept"), "{outcome:?}");
                assert_eq!(later.checkpoint(&address).await.unwrap(), None);
                alive += 1;
            }
            other => panic!("round {round}: {other:?}"),
        }
        bench.sandbox.destroy("one", None).await.unwrap();
    }
    eprintln!("put away {away} times, and cut off {alive} times");
    assert!(alive > 0, "who comes at once is not kept waiting");
    bench.end().await;
}

#[tokio::test]
async fn a_sandbox_that_nobody_needs_leaves_its_files_when_it_ends_itself() {
    let bench = Bench::new();
    let brief = Limits { orphan_seconds: 1, ..LIMITS };
    for next_is_made_at_once in [false, true] {
        let hand = bench.hand_with(brief).await;
        let write = "echo kept > /workspace/file; rm /usr/bin/env; (setsid sleep 600 > /dev/null 2>&1 &); NAME=value";
        bash(&*hand, write).await;
        let address = hand.address().clone();
        drop(hand);
        until("it ends itself", || !runs(&address.incarnation)).await;
        let later = open(bench.data.path());
        if next_is_made_at_once {
            // Of what it has left nothing is taken away by that.
            later.provision(&spec(), 2).await.unwrap();
        } else {
            match later.adopt(&address, 2).await.err() {
                Some(Lost::Gone(why)) => assert_eq!(why, "it was put away"),
                other => panic!("{other:?}"),
            }
        }
        let checkpoint = later.checkpoint(&address).await.unwrap().unwrap();
        assert_eq!(fs::metadata(&checkpoint.path).unwrap().permissions().mode() & 0o777, 0o600);
        let next = bench.provision(&from(&checkpoint.path)).await;
        let look = "cat /workspace/file; ls /usr/bin/env 2>&1 | grep -c 'No such'; echo name: $NAME";
        assert_eq!(bash(&*next, look).await, "kept\n1\nname:");
        bench.sandbox.forget(&address).await.unwrap();
        assert!(!checkpoint.path.exists());
        assert_eq!(bench.sandbox.checkpoint(&address).await.unwrap(), None);
    }
    bench.end().await;
}

#[tokio::test]
async fn a_sandbox_that_nobody_needs_does_not_end_itself_in_the_middle_of_a_call() {
    let bench = Bench::new();
    let hand = bench.hand_with(Limits { orphan_seconds: 1, ..LIMITS }).await;
    let address = hand.address().clone();
    let long = "sleep 3; echo done | tee /workspace/file";
    assert!(timeout(Duration::from_millis(200), hand.execute(call("long", long))).await.is_err());
    drop(hand);
    until("it ends itself", || !runs(&address.incarnation)).await;
    let later = open(bench.data.path());
    later.prepare().await.unwrap();
    let [Kept { checkpoint: Some(checkpoint), .. }] = &later.kept().await[..] else { panic!("it has left something") };
    let next = bench.provision(&from(&checkpoint.path)).await;
    assert_eq!(text(&run(&*next, "long", long).await), "done", "what became of the call is known");
    assert_eq!(bash(&*next, "cat /workspace/file").await, "done");
    bench.end().await;
}

#[tokio::test]
async fn whoever_comes_while_a_sandbox_leaves_finds_it_alive_or_finds_its_files() {
    let bench = Bench::new();
    let (mut left, mut alive) = (0, 0);
    for round in 0..10_u64 {
        let hand = bench.hand_with(Limits { orphan_seconds: 1, ..LIMITS }).await;
        bash(&*hand, "head -c 8000000 /dev/urandom > /workspace/noise; echo kept > /workspace/kept").await;
        let address = hand.address().clone();
        drop(hand);
        tokio::time::sleep(Duration::from_millis(995 + round * 6)).await;
        let later = open(bench.data.path());
        // Of the same epoch too, as is whoever only looks after it.
        let came = match later.adopt(&address, 1 + round % 2).await {
            Ok(hand) => hand.execute(call(&id(), "cat /workspace/kept")).await,
            Err(lost) => Err(lost),
        };
        match came {
            Ok(outcome) => {
                assert!(text(&outcome).ends_with("kept"), "{outcome:?}");
                alive += 1;
            }
            Err(Lost::Gone(_)) => {
                let checkpoint = later.checkpoint(&address).await.unwrap().unwrap();
                let next = bench.provision(&from(&checkpoint.path)).await;
                assert_eq!(bash(&*next, "cat /workspace/kept").await, "kept");
                left += 1;
            }
            Err(lost) => panic!("round {round}: {lost}"),
        }
        bench.sandbox.destroy("one", None).await.unwrap();
    }
    eprintln!("gone {left} times, and alive {alive} times");
    bench.end().await;
}

#[tokio::test]
async fn a_new_sandbox_may_take_the_place_of_one_that_is_being_put_away() {
    let bench = Bench::new();
    let old = bench.hand().await;
    bash(&*old, "head -c 8000000 /dev/urandom > /workspace/file").await;
    let comes = async {
        tokio::time::sleep(Duration::from_millis(8)).await;
        bench.sandbox.provision(&spec(), 2).await.unwrap()
    };
    let (rested, new) = tokio::join!(bench.sandbox.rest(old.address(), 1), comes);
    assert_eq!(bash(&*new, "echo alive").await, "alive");
    // Whichever was first: what is there belongs to the old one, and is whole.
    assert_eq!(bench.sandbox.checkpoint(old.address()).await.unwrap(), rested.ok());
    assert_eq!(bench.sandbox.checkpoint(new.address()).await.unwrap(), None);
    bench.end().await;
}

#[tokio::test]
async fn files_that_come_while_it_is_away_wait_for_the_next_sandbox() {
    let bench = Bench::new();
    let file = bench.data.path().join("file");
    fs::write(&file, "input").unwrap();
    let hand = bench.provision(&Spec { uploads: vec![(file.clone(), "/first".into())], ..spec() }).await;
    let checkpoint = rest(&bench, &*hand).await;
    bench.sandbox.upload(hand.address(), "/second", Some(&file)).await.unwrap();
    assert!(!bench.data.path().join("data/hands/one/uploads").exists(), "nor does it keep copies meanwhile");
    let next = bench.provision(&Spec { uploads: vec![(file, "/second".into())], ..from(&checkpoint.path) }).await;
    assert_eq!(bash(&*next, "ls /mnt/session/uploads").await, "second");
    bench.end().await;
}

#[tokio::test]
async fn a_smaller_disk_than_the_files_need_is_said_to_be_too_small() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    bash(&*hand, "head -c 20000000 /dev/urandom > /workspace/file").await;
    let checkpoint = rest(&bench, &*hand).await;
    let limits = Limits { disk: 8 << 20, ..LIMITS };
    let refused =
        bench.sandbox.provision(&Spec { limits, ..from(&checkpoint.path) }, 1).await.err().unwrap().to_string();
    assert!(refused.contains("they need more than the 8 MiB"), "{refused}");
    let next = bench.provision(&from(&checkpoint.path)).await;
    assert_eq!(bash(&*next, "stat -c %s /workspace/file").await, "20000000", "and nothing is lost by it");
    bench.end().await;
}

#[tokio::test]
async fn a_checkpoint_may_be_named_from_where_the_server_is() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    bash(&*hand, "echo kept > /workspace/file").await;
    let checkpoint = rest(&bench, &*hand).await;
    // A path that leads from the working directory, and that no other process need share.
    let here = std::env::current_dir().unwrap();
    let up: std::path::PathBuf = here.components().skip(1).map(|_| "..").collect();
    let linked = bench.data.path().join("linked");
    symlink(&checkpoint.path, &linked).unwrap();
    let relative = up.join(linked.strip_prefix("/").unwrap());
    let next = bench.provision(&from(&relative)).await;
    assert_eq!(bash(&*next, "cat /workspace/file").await, "kept");
    bench.end().await;
}
