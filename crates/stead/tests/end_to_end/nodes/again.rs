//! One request at both nodes at once: each of them has begun before the other is done.

use futures::future::join;
use reqwest::Method;
use serde_json::json;

use crate::client::{Client, eventually};
use crate::pair::Pair;

type Header = (&'static str, &'static str);

const FIRST: Header = ("x-stainless-retry-count", "0");
const AGAIN: Header = ("x-stainless-retry-count", "1");
const KEY: Header = ("idempotency-key", "one-agent");

/// What a client got.
#[derive(Debug, PartialEq)]
struct Got {
    status: u16,
    body: String,
    is_replayed: bool,
}

async fn create(client: &Client, (name, value): Header) -> Got {
    let request = client.request(Method::POST, "/v1/agents").header(name, value);
    let response = request.json(&json!({"name": "Once", "model": "script/echo"})).send().await.unwrap();
    let is_replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
    Got { status: response.status().as_u16(), is_replayed, body: response.text().await.unwrap() }
}

async fn agents(client: &Client) -> usize {
    client.get("/v1/agents").await["data"].as_array().unwrap().len()
}

/// Sends the request to both nodes, with a header each. Neither can write before both have begun, and the slow one
/// stands still until the other is done. Also says how many agents there are then.
async fn both(headers: [Header; 2], slow: Option<usize>) -> Option<([Got; 2], usize)> {
    let pair = Pair::new(&[], "")?;
    let servers = pair.serve().await;
    let held = pair.hold("documents").await;
    let sends = join(create(&servers[0].client, headers[0]), create(&servers[1].client, headers[1]));
    let conduct = async {
        pair.waiting_for("documents", 2).await;
        if let Some(slow) = slow {
            servers[slow].pause();
        }
        drop(held);
        if let Some(slow) = slow {
            let fast = &servers[1 - slow].client;
            eventually("one node is done", async || (agents(fast).await > 0).then_some(())).await;
            servers[slow].resume();
        }
    };
    let ((one, other), ()) = join(sends, conduct).await;
    let made = agents(&servers[0].client).await;
    pair.close(servers).await;
    Some(([one, other], made))
}

/// Whichever node is the slower, it gives the other's answer and has no effect.
async fn are_one(headers: [Header; 2]) {
    for slow in [0, 1] {
        let Some((got, made)) = both(headers, Some(slow)).await else { return };
        assert_eq!(made, 1, "{got:?}");
        assert_eq!([got[0].is_replayed, got[1].is_replayed], [slow == 0, slow == 1], "{got:?}");
        assert_eq!((got[0].status, got[1].status), (200, 200), "{got:?}");
        assert_eq!(got[0].body, got[1].body);
    }
}

#[tokio::test]
async fn a_repetition_on_the_other_node_while_its_first_attempt_is_under_way_has_no_effect_of_its_own() {
    are_one([FIRST, AGAIN]).await;
}

#[tokio::test]
async fn two_repetitions_on_two_nodes_have_one_effect() {
    are_one([AGAIN, AGAIN]).await;
}

#[tokio::test]
async fn a_key_on_two_nodes_has_one_effect() {
    are_one([KEY, KEY]).await;
}

#[tokio::test]
async fn two_requests_of_the_same_content_on_two_nodes_have_two_effects() {
    let Some((got, made)) = both([FIRST, FIRST], None).await else { return };
    assert_eq!(made, 2, "{got:?}");
    assert!(got.iter().all(|got| got.status == 200 && !got.is_replayed), "{got:?}");
    assert_ne!(got[0].body, got[1].body);
}
