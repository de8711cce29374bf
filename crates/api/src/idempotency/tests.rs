use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::http::{HeaderMap, Uri};
use store::volatile::Volatile;
use store::{Document, Kind, SystemRng};
use tokio::sync::Notify;
use wire::RequestId;

use super::*;
use crate::reply::seal;

/// A clock that stands still until it is moved.
#[derive(Default)]
struct Still(AtomicI64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs())
    }
}

/// A store, and two nodes that use it.
struct Scene {
    clock: Arc<Still>,
    store: AnyStore,
    nodes: [Answers; 2],
    effects: AtomicU64,
}

const PLAIN: &[(&str, &str)] = &[];
const KEY: &[(&str, &str)] = &[("idempotency-key", "k")];
const AGAIN: &[(&str, &str)] = &[("x-stainless-retry-count", "1")];

impl Scene {
    fn new() -> Self {
        let clock = Arc::new(Still::default());
        let store: AnyStore = Arc::new(Volatile::new(clock.clone()));
        let node = || Answers::new(store.clone(), clock.clone(), Arc::new(SystemRng), "apikey_1".into());
        let nodes = [node(), node()];
        Self { clock, store, nodes, effects: AtomicU64::new(0) }
    }

    /// Makes something new, and answers with its number.
    async fn effect(&self, once: Once) -> Response {
        let number = self.effects.fetch_add(1, Ordering::Relaxed) + 1;
        let json = format!(r#"{{"number":{number}}}"#);
        let now = self.clock.now();
        let made = Document::new(WORKSPACE, Kind::File, number, now, json.clone());
        let written = self.store.apply(vec![Change::Insert(made), once.remember(now, &json)]).await;
        written.map(|()| Text(json)).map_err(unexpected).into_response()
    }

    async fn post<F: Future<Output = Response>>(
        &self,
        node: usize,
        headers: &[(&'static str, &'static str)],
        body: &str,
        answer: impl FnOnce(Once) -> F,
    ) -> Shown {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let post = match Post::of(&Uri::from_static("/v1/things"), &map) {
            Ok(post) => post,
            Err(invalid) => return shown(Refused::from(invalid).into_response()).await,
        };
        let answered = self.nodes[node].once(&post, digest(&[body]), answer).await;
        shown(answered.unwrap_or_else(IntoResponse::into_response)).await
    }

    async fn make(&self, node: usize, headers: &[(&'static str, &'static str)], body: &str) -> Shown {
        self.post(node, headers, body, |once| self.effect(once)).await
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }
}

/// What a client sees.
#[derive(Debug, PartialEq)]
struct Shown {
    status: u16,
    body: String,
    is_replayed: bool,
    retry: Option<String>,
}

async fn shown(response: Response) -> Shown {
    let response = seal(response, RequestId::from_bits(1));
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (retry, is_replayed) = (header("x-should-retry"), header("idempotent-replayed").as_deref() == Some("true"));
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    Shown { status, body: String::from_utf8(body.to_vec()).unwrap(), is_replayed, retry }
}

fn made(number: u64) -> Shown {
    Shown { status: 200, body: format!(r#"{{"number":{number}}}"#), is_replayed: false, retry: None }
}

fn replayed(number: u64) -> Shown {
    Shown { is_replayed: true, ..made(number) }
}

#[tokio::test]
async fn a_key_has_one_effect_for_a_day() {
    let scene = Scene::new();
    assert_eq!(scene.make(0, KEY, "a").await, made(1));
    assert_eq!(scene.make(0, KEY, "a").await, replayed(1));
    assert_eq!(scene.make(1, KEY, "a").await, replayed(1), "on another node");
    scene.pass(86_399);
    assert_eq!(scene.make(0, KEY, "a").await, replayed(1), "a second before the day is over");
    scene.pass(1);
    assert_eq!(scene.make(0, KEY, "a").await, made(2), "once the day is over");
}

#[tokio::test]
async fn another_body_under_a_key_is_refused() {
    let scene = Scene::new();
    scene.make(0, KEY, "a").await;
    for node in [0, 1] {
        let other = scene.make(node, KEY, "b").await;
        assert_eq!((other.status, other.is_replayed), (422, false), "{other:?}");
    }
    assert_eq!(scene.make(0, &[("idempotency-key", "other")], "b").await, made(2));
}

#[tokio::test]
async fn a_malformed_key_is_refused_before_anything_is_done() {
    let scene = Scene::new();
    let refused = scene.make(0, &[("idempotency-key", "two words")], "a").await;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("idempotency-key: "), "{refused:?}");
    assert_eq!(scene.effects.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn without_a_key_only_an_attempt_that_is_counted_is_the_same_request() {
    let scene = Scene::new();
    assert_eq!(scene.make(0, PLAIN, "a").await, made(1));
    assert_eq!(scene.make(0, PLAIN, "a").await, made(2), "the same content may be sent anew");
    assert_eq!(scene.make(1, AGAIN, "a").await, replayed(2), "the last send is the one that is repeated");
    assert_eq!(scene.make(0, AGAIN, "b").await, made(3), "an attempt that never arrived");
    assert_eq!(scene.make(0, AGAIN, "b").await, replayed(3));
    scene.pass(60);
    assert_eq!(scene.make(0, AGAIN, "b").await, made(4), "after a minute");
}

#[tokio::test]
async fn refusals_are_not_remembered() {
    let scene = Scene::new();
    for headers in [KEY, AGAIN] {
        let refuse = |_| async { Refused::from(wire::Problem::not_found("not yet")).into_response() };
        assert_eq!(scene.post(0, headers, "a", refuse).await.status, 404);
        let then = scene.make(0, headers, "a").await;
        assert_eq!((then.status, then.is_replayed), (200, false));
    }
}

#[tokio::test]
async fn a_key_is_taken_while_its_request_is_being_answered() {
    let scene = Scene::new();
    let outer = scene.post(0, KEY, "a", |once| async {
        let inner = scene.make(0, KEY, "a").await;
        assert_eq!((inner.status, inner.retry.as_deref()), (409, Some("true")), "{inner:?}");
        scene.effect(once).await
    });
    assert_eq!(outer.await, made(1));
    assert_eq!(scene.make(0, KEY, "a").await, replayed(1));
}

#[tokio::test]
async fn an_answer_of_another_node_is_given_in_place_of_a_refused_effect() {
    for headers in [KEY, AGAIN] {
        let scene = Scene::new();
        let slow = scene.post(0, headers, "a", |once| async {
            assert_eq!(scene.make(1, headers, "a").await, made(1));
            scene.effect(once).await
        });
        assert_eq!(slow.await, replayed(1));
        let second = scene.store.get(WORKSPACE, Kind::File, "2").await;
        assert_eq!(second, Err(store::Error::NotFound), "the second effect is not there");
    }
}

#[tokio::test]
async fn a_first_attempt_that_its_repetition_has_overtaken_on_another_node_has_no_effect() {
    let scene = Scene::new();
    let slow = scene.post(0, PLAIN, "a", |once| async {
        // Far behind, and its answers have expired when the other node sees them.
        scene.pass(-3_600);
        assert_eq!(scene.make(1, AGAIN, "a").await, made(1));
        scene.pass(3_600);
        scene.effect(once).await
    });
    assert_eq!(slow.await, replayed(1));
    let second = scene.store.get(WORKSPACE, Kind::File, "2").await;
    assert_eq!(second, Err(store::Error::NotFound), "the second effect is not there");
}

#[tokio::test]
async fn a_first_attempt_that_was_overtaken_has_no_effect_although_the_same_was_sent_anew_since() {
    let scene = Scene::new();
    let slow = scene.post(0, PLAIN, "a", |once| async {
        assert_eq!(scene.make(1, AGAIN, "a").await, made(1));
        assert_eq!(scene.make(1, PLAIN, "a").await, made(2), "what was repeated may be sent anew");
        scene.effect(once).await
    });
    assert_eq!(slow.await, replayed(2));
}

#[tokio::test]
async fn a_repetition_that_its_first_attempt_has_overtaken_on_another_node_has_no_effect() {
    let scene = Scene::new();
    let slow = scene.post(0, AGAIN, "a", |once| async {
        assert_eq!(scene.make(1, PLAIN, "a").await, made(1));
        // Its answer has expired by now.
        scene.pass(61);
        scene.effect(once).await
    });
    assert_eq!(slow.await, replayed(1));
}

#[tokio::test]
async fn the_same_sent_twice_at_once_has_two_effects() {
    let scene = Scene::new();
    let slow = scene.post(0, PLAIN, "a", |once| async {
        for node in [0, 1] {
            assert_eq!(scene.make(node, PLAIN, "a").await.status, 200);
        }
        scene.effect(once).await
    });
    assert_eq!(slow.await, made(3));
    assert_eq!(scene.make(1, AGAIN, "a").await, replayed(3), "the last to be done is the one that is repeated");
}

#[tokio::test]
async fn an_answer_of_another_node_is_given_in_place_of_a_refusal() {
    for (slow, fast) in [(KEY, KEY), (AGAIN, AGAIN), (PLAIN, AGAIN), (AGAIN, PLAIN)] {
        let scene = Scene::new();
        let refused = scene.post(0, slow, "a", |_| async {
            assert_eq!(scene.make(1, fast, "a").await, made(1));
            Refused::from(wire::Problem::invalid("It is archived")).into_response()
        });
        assert_eq!(refused.await, replayed(1));
    }
}

#[tokio::test]
async fn a_first_attempt_is_refused_for_a_reason_of_its_own_beside_others() {
    let scene = Scene::new();
    let refused = scene.post(0, PLAIN, "a", |_| async {
        assert_eq!(scene.make(1, PLAIN, "a").await, made(1));
        Refused::from(wire::Problem::invalid("It is archived")).into_response()
    });
    assert_eq!(refused.await.status, 400);
}

#[tokio::test]
async fn an_effect_whose_commit_was_not_confirmed_is_answered_all_the_same() {
    for headers in [KEY, AGAIN, PLAIN] {
        let scene = Scene::new();
        let unconfirmed = scene.post(0, headers, "a", |once| async {
            scene.effect(once).await;
            unexpected(store::Error::Failed("the connection broke".into())).into_response()
        });
        assert_eq!(unconfirmed.await, replayed(1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_waits_for_the_first_send() {
    let scene = Scene::new();
    let go = Notify::new();
    let first = scene.post(0, PLAIN, "a", |once| async {
        go.notified().await;
        scene.effect(once).await
    });
    let again = async {
        // The first send is polled first, and is underway.
        let waiting = scene.make(0, AGAIN, "a");
        let release = async { go.notify_one() };
        futures::join!(waiting, release).0
    };
    assert_eq!(futures::join!(first, again), (made(1), replayed(1)));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_does_not_wait_for_ever() {
    let scene = Scene::new();
    let first = scene.post(0, PLAIN, "a", |_| std::future::pending());
    let again = scene.make(0, AGAIN, "a");
    tokio::select! {
        biased;
        shown = first => panic!("{shown:?}"),
        shown = again => assert_eq!((shown.status, shown.retry.as_deref()), (409, Some("true"))),
    }
    assert_eq!(scene.make(0, AGAIN, "a").await, made(1), "a send whose client hung up holds nobody up");
}
