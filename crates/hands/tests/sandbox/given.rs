//! Sandboxes that are made before it is known whose they will be.

use hands::{Ground, Lost, Sandbox, Spec, pool::Stock};

use crate::bench::{Bench, LIMITS, bash, id, open, run};

const UNNAMED: &str = "pool-0";

fn spec(name: &str) -> Spec {
    Spec { name: name.into(), limits: LIMITS, ..Spec::default() }
}

#[tokio::test]
async fn who_is_given_a_sandbox_has_it_as_if_it_had_always_been_his() {
    let bench = Bench::new();
    let ready = bench.provision(&spec(UNNAMED)).await;
    bash(&*ready, "true").await;
    let file = bench.data.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let wanted = Spec { uploads: vec![(file.clone(), "/file".into())], ..spec("one") };
    assert!(bench.sandbox.is_free("one").await);
    let hand = bench.sandbox.give(ready.address(), &wanted, 3).await.unwrap();
    assert_eq!(hand.address().incarnation, ready.address().incarnation);
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/file; echo kept > /workspace/file").await, "mine");
    bench.sandbox.upload(hand.address(), "/later", Some(&file)).await.unwrap();
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/later").await, "mine");

    // To nobody else, neither under the old name nor under the new one.
    for address in [ready.address(), hand.address()] {
        assert!(bench.sandbox.give(address, &spec("two"), 1).await.is_err());
    }
    assert!(matches!(bench.sandbox.adopt(ready.address(), 3).await, Err(Lost::Gone(_))));
    bench.sandbox.destroy(UNNAMED, None).await.unwrap();
    assert!(!bench.sandbox.is_free("one").await);

    let address = hand.address().clone();
    drop((hand, ready));
    let later = open(bench.data.path());
    assert_eq!(later.kept().await.iter().map(|kept| &*kept.name).collect::<Vec<_>>(), ["one"]);
    let hand = later.adopt(&address, 4).await.unwrap();
    assert_eq!(bash(&*hand, "cat /workspace/file").await, "kept");
    later.destroy("one", None).await.unwrap();
    assert!(matches!(hand.look(vec![id()]).await, Err(Lost::Gone(_))));
    assert!(later.kept().await.is_empty());
}

#[tokio::test]
async fn nobody_is_given_what_was_made_for_others() {
    let bench = Bench::new();
    let ready = bench.provision(&spec(UNNAMED)).await;
    let somebodys = bench.provision(&spec("somebody")).await;
    assert!(bench.sandbox.give(somebodys.address(), &spec("one"), 1).await.is_err(), "it has a name");
    let environment = vec![("KIND".to_owned(), "another".to_owned())];
    let another = Spec { ground: Ground { environment, ..Ground::default() }, ..spec("one") };
    assert!(bench.sandbox.give(ready.address(), &another, 1).await.is_err(), "it is of another kind");
    let taken = bench.sandbox.give(ready.address(), &spec("somebody"), 1).await;
    assert!(taken.is_err(), "what is there under the name stays");
    let missing = vec![("/nowhere".into(), "/file".to_owned())];
    assert!(bench.sandbox.give(ready.address(), &Spec { uploads: missing, ..spec("one") }, 1).await.is_err());
    assert!(bench.sandbox.is_free("one").await, "who was given nothing has nothing");
    let outcome = run(&*somebodys, &id(), "echo alive").await;
    assert!(!outcome.is_error);
    bench.end().await;
}
