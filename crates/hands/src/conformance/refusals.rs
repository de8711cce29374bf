//! What cannot be had is refused: a sandbox that silently lacks it would be another one.

use super::bench::{Bench, ONE, bash, names, spec};
use crate::{Ground, Lost, Network, ProvisionError, Reach, Spec};

pub(super) async fn a_name_that_is_a_path_is_no_name(bench: &Bench) {
    let long = "x".repeat(300);
    for name in ["", ".", "..", "../one", "a/b", "/etc", "a b", "a\nb", "a\0b", &long] {
        let made = bench.sandbox.provision(&spec(name), 1).await;
        assert!(made.is_err(), "{name:?} is no name");
        // Refused or nothing to do: nobody else's files are touched.
        let _ = bench.sandbox.destroy(name, None).await;
        assert_eq!(names(&*bench.sandbox).await, [""; 0], "{name:?}");
    }
}

pub(super) async fn what_a_backend_cannot_do_it_refuses(bench: &Bench) {
    let layer = bench.host("layer");
    std::fs::create_dir(&layer).unwrap();
    let ground = Ground { layers: vec![layer], ..Ground::default() };
    let network = Some(Network { reach: Reach::Unrestricted, egress: None });
    let mut wanted = vec![];
    if !bench.supports.network && !bench.supports.open {
        wanted.push(("a network", Spec { network, ..spec(ONE) }));
    }
    if !bench.supports.layers {
        wanted.push(("layers", Spec { ground, ..spec(ONE) }));
        wanted.push(("a layer to be made", Spec { keep: Some(bench.host("keep")), ..spec(ONE) }));
    }
    if !bench.supports.rests {
        wanted.push(("a checkpoint", Spec { restore: Some(bench.file("checkpoint", "")), ..spec(ONE) }));
    }
    for (what, spec) in wanted {
        match bench.refusal(&*bench.sandbox, &spec).await {
            ProvisionError::Unsupported { step, reason } => assert!(!step.is_empty() && !reason.is_empty(), "{what}"),
            ProvisionError::Failed(why) => panic!("{what} is not supported, which is no failure: {why}"),
        }
    }
    let hand = bench.hand().await;
    if !bench.supports.layers {
        assert!(bench.sandbox.harvest(ONE).await.is_err(), "no layers are made");
        assert!(!bench.sandbox.installs_for_others());
    }
    if !bench.supports.rests {
        assert!(matches!(bench.sandbox.rest(hand.address(), 1).await, Err(Lost::Refused(_))), "nothing is put away");
    }
    assert_eq!(bench.sandbox.checkpoint(hand.address()).await.unwrap(), None, "what lives was not put away");
    bench.sandbox.forget(hand.address()).await.expect("what was not put away is forgotten already");
    assert_eq!(bash(&*hand, "echo alive").await, "alive", "whatever was refused, the sandbox lives on");
}
