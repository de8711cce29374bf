//! What sandboxes get, end to end.

use gateway::Policy;

use crate::bench::{Bench, Echo, echoes, limited};

#[tokio::test]
async fn two_sandboxes_each_have_their_own_policy_and_names() {
    let bench = Bench::start(&["one.example", "two.example"]).await;
    let echo = Echo::start().await;
    let one = bench.attach("sbx_1", limited(&["one.example"])).await;
    let two = bench.attach("sbx_2", limited(&["two.example"])).await;
    let (head, mut program) = one.tunnel("one.example", echo.port()).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(echoes(&mut program, "through\n").await);
    let (head, _) = one.tunnel("two.example", echo.port()).await;
    assert!(head.contains("x-stead-refused: host_not_allowed\r\n"), "{head}");
    let (head, _) = two.tunnel("one.example", echo.port()).await;
    assert!(head.contains("x-stead-refused: host_not_allowed\r\n"), "{head}");

    assert_eq!(one.resolves("one.example").await, (0, [127, 198, 0, 1]));
    assert_eq!(two.resolves("two.example").await, (0, [127, 198, 0, 1]));
    assert_eq!(two.resolves("one.example").await.0, 3);
    let (head, mut program) = two.tunnel("127.198.0.1", echo.port()).await;
    assert!(head.starts_with("HTTP/1.1 200"), "the address means two.example there: {head}");
    assert!(echoes(&mut program, "through\n").await);
    assert_eq!(*bench.known.0.lock().get("one.example").unwrap(), 1);
    assert_eq!(*bench.known.0.lock().get("two.example").unwrap(), 1);
}

#[tokio::test]
async fn a_new_policy_holds_at_once_and_leaves_what_is_open() {
    let bench = Bench::start(&["example.com"]).await;
    let echo = Echo::start().await;
    let inside = bench.attach("sbx_1", Policy::Unrestricted).await;
    let (_, mut program) = inside.tunnel("example.com", echo.port()).await;
    bench.client.update("sbx_1", limited(&[])).await.unwrap();
    let (head, _) = inside.tunnel("example.com", echo.port()).await;
    assert!(head.contains("x-stead-refused: host_not_allowed\r\n"), "{head}");
    assert!(echoes(&mut program, "still open").await);
}

#[tokio::test]
async fn what_is_detached_is_closed() {
    let bench = Bench::start(&["example.com"]).await;
    let echo = Echo::start().await;
    let inside = bench.attach("sbx_1", Policy::Unrestricted).await;
    let (_, mut program) = inside.tunnel("example.com", echo.port()).await;
    assert!(echoes(&mut program, "open").await);
    bench.client.detach("sbx_1").await.unwrap();
    assert!(!echoes(&mut program, "closed").await);
    assert!(bench.client.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn every_decision_is_in_the_audit() {
    let mut bench = Bench::start(&["example.com"]).await;
    let echo = Echo::start().await;
    let inside = bench.attach("sbx_1", limited(&["example.com"])).await;
    let (_, mut program) = inside.tunnel("example.com", echo.port()).await;
    assert!(echoes(&mut program, "word\n").await);
    inside.tunnel("evil.example", 443).await;
    inside.asks("GET http://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n").await;
    assert_eq!(inside.resolves("secret.evil.example").await.0, 3);
    let usage = bench.client.usage("sbx_1").await.unwrap();
    assert_eq!((usage.up, usage.down, usage.connections, usage.denials), (5, 5, 1, 3));
    bench.stop().await;

    let records = bench.records();
    let told: Vec<_> = records
        .iter()
        .map(|record| {
            assert_eq!(record["sandbox"], "sbx_1");
            assert_eq!(record["session"], "session of sbx_1");
            let field = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            [field("kind"), field("protocol"), field("host"), field("verdict"), field("code")].join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "decision connect example.com allow -",
            "decision connect evil.example deny host_not_allowed",
            "decision http other.example deny host_not_allowed",
            "decision dns secret.evil.example deny host_not_allowed",
            "end connect example.com - -",
        ]
    );
    assert_eq!((&records[4]["up"], &records[4]["down"]), (&5.into(), &5.into()));
}
