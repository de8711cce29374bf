//! The pool over sandboxes that are only names, with time that is paused.

use hand_protocol::{Entry, Execute, Found, Outcome};
use tokio::time::{advance, sleep};

use super::*;
use crate::Ground;

const MINUTE: Duration = Duration::from_secs(60);

/// As long as one takes to be made.
const SLOW: Duration = Duration::from_millis(200);

/// What there is, as names and incarnations.
#[derive(Default)]
struct Fake {
    there: Arc<Mutex<Vec<(String, String)>>>,
    /// How many were, ever.
    made: AtomicU64,
    /// Those that are given die.
    is_broken: AtomicBool,
    /// None can be made.
    is_full: AtomicBool,
}

struct Idle(Address);

#[async_trait]
impl Hand for Idle {
    fn address(&self) -> &Address {
        &self.0
    }

    async fn execute(&self, _call: Execute) -> Result<Outcome, Lost> {
        Ok(Outcome::text(""))
    }

    async fn look(&self, _calls: Vec<String>) -> Result<Vec<Found>, Lost> {
        Ok(Vec::new())
    }

    async fn cancel(&self, _call: &str) -> Result<(), Lost> {
        Ok(())
    }

    async fn outputs(&self) -> Result<(Vec<Entry>, bool), Lost> {
        Ok((Vec::new(), false))
    }

    async fn fetch(&self, _path: &str, _offset: u64, _length: u64) -> Result<(Vec<u8>, bool), Lost> {
        Ok((Vec::new(), true))
    }
}

fn idle(name: &str, incarnation: &str) -> Box<dyn Hand> {
    let directory = Path::new("hands").join(name);
    Box::new(Idle(Address { backend: "fake".into(), directory, incarnation: incarnation.into(), home: None }))
}

#[async_trait]
impl Sandbox for Fake {
    async fn prepare(&self) -> Result<(), ProvisionError> {
        Ok(())
    }

    async fn provision(&self, spec: &Spec, _epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        sleep(SLOW).await;
        if self.is_full.load(Ordering::Relaxed) {
            return Err(ProvisionError::Failed("there is no room".into()));
        }
        let incarnation = self.made.fetch_add(1, Ordering::Relaxed).to_string();
        self.there.lock().push((spec.name.clone(), incarnation.clone()));
        Ok(idle(&spec.name, &incarnation))
    }

    async fn adopt(&self, _address: &Address, _epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        Err(Lost::Gone("nobody is adopted here".into()))
    }

    async fn dial(&self, _address: &Address) -> Result<BoxedStream, Lost> {
        Err(Lost::Gone("nobody is dialled here".into()))
    }

    async fn destroy(&self, name: &str, _incarnation: Option<&str>) -> io::Result<()> {
        self.there.lock().retain(|(there, _)| there != name);
        Ok(())
    }

    async fn kept(&self) -> Vec<Kept> {
        let kept = |(name, incarnation): &(String, String)| Kept {
            name: name.clone(),
            incarnation: Some(incarnation.clone()),
            checkpoint: None,
            layers: Vec::new(),
        };
        self.there.lock().iter().map(kept).collect()
    }
}

#[async_trait]
impl Stock for Fake {
    async fn is_free(&self, name: &str) -> bool {
        self.there.lock().iter().all(|(there, _)| there != name)
    }

    async fn give(&self, ready: &Address, spec: &Spec, _epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(ProvisionError::Failed("it is no more".into()));
        }
        let mut there = self.there.lock();
        let found = there.iter_mut().find(|(_, incarnation)| *incarnation == ready.incarnation);
        let (name, incarnation) = found.expect("what is given is there");
        assert!(is_unnamed(name), "{name} is somebody's");
        spec.name.clone_into(name);
        Ok(idle(name, incarnation))
    }
}

fn pool(most: usize) -> Pool<Fake> {
    Pool::new(Fake::default(), Options { most, remember: 10 * MINUTE })
}

fn spec(name: &str) -> Spec {
    Spec { name: name.into(), ..Spec::default() }
}

fn of_another_kind(name: &str) -> Spec {
    let environment = vec![("KIND".to_owned(), "another".to_owned())];
    Spec { ground: Ground { environment, ..Ground::default() }, ..spec(name) }
}

impl Pool<Fake> {
    /// Whether the sandbox for this spec was ready.
    async fn is_ready(&self, spec: &Spec) -> bool {
        let asked = Instant::now();
        let hand = self.provision(spec, 1).await.unwrap();
        assert_eq!(hand.address().directory, Path::new("hands").join(&spec.name));
        asked.elapsed() < SLOW
    }

    fn waiting(&self) -> usize {
        self.0.sandbox.there.lock().iter().filter(|(name, _)| is_unnamed(name)).count()
    }
}

/// Long enough for all that is missing to be made, and short beside everything else.
async fn soon() {
    sleep(10 * SLOW).await;
}

#[tokio::test(start_paused = true)]
async fn as_many_are_ready_as_were_asked_for_and_none_before() {
    let pool = pool(4);
    soon().await;
    assert_eq!(pool.waiting(), 0);
    assert!(!pool.is_ready(&spec("one")).await);
    soon().await;
    assert_eq!(pool.waiting(), 1);
    assert!(pool.is_ready(&spec("two")).await);
    soon().await;
    assert_eq!(pool.waiting(), 2, "two were asked for by now");
    for number in 0..9 {
        pool.provision(&spec(&format!("more-{number}")), 1).await.unwrap();
    }
    soon().await;
    assert_eq!(pool.waiting(), 4, "there is a bound");
}

#[tokio::test(start_paused = true)]
async fn none_is_ready_once_nothing_was_asked_for_in_a_while() {
    let pool = pool(4);
    pool.provision(&spec("one"), 1).await.unwrap();
    pool.provision(&spec("two"), 1).await.unwrap();
    sleep(9 * MINUTE).await;
    assert_eq!(pool.waiting(), 2);
    sleep(2 * MINUTE).await;
    assert_eq!(pool.waiting(), 0);
    assert_eq!(pool.kept().await.len(), 2, "those of sessions stay");
}

#[tokio::test(start_paused = true)]
async fn no_two_sessions_have_the_same_sandbox() {
    let pool = pool(4);
    pool.provision(&spec("first"), 1).await.unwrap();
    soon().await;
    let names = ["a", "b", "c", "d", "e"].map(spec);
    let [a, b, c, d, e] = &names;
    let all = tokio::join!(
        pool.provision(a, 1),
        pool.provision(b, 1),
        pool.provision(c, 1),
        pool.provision(d, 1),
        pool.provision(e, 1)
    );
    let made = [all.0, all.1, all.2, all.3, all.4];
    let mut incarnations: Vec<_> = made.map(|made| made.unwrap().address().incarnation.clone()).to_vec();
    incarnations.sort();
    incarnations.dedup();
    assert_eq!(incarnations.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn who_needs_another_kind_is_given_none_of_this_one() {
    let pool = pool(4);
    pool.provision(&spec("one"), 1).await.unwrap();
    soon().await;
    assert!(!pool.is_ready(&of_another_kind("two")).await);
    let network = Some(crate::Network { reach: crate::Reach::Unrestricted, egress: None });
    assert!(!pool.is_ready(&Spec { network: network.clone(), ..spec("three") }).await);
    soon().await;
    let other = crate::Network { reach: crate::Reach::Limited { hosts: Vec::new(), packages: true }, egress: Some(7) };
    assert!(pool.is_ready(&Spec { network: Some(other), ..spec("four") }).await, "where it leads comes later");
    assert!(pool.is_ready(&spec("five")).await);
}

#[tokio::test(start_paused = true)]
async fn the_kind_that_was_asked_for_last_comes_first() {
    let pool = pool(2);
    pool.provision(&spec("one"), 1).await.unwrap();
    pool.provision(&spec("two"), 1).await.unwrap();
    sleep(2 * MINUTE).await;
    pool.provision(&of_another_kind("three"), 1).await.unwrap();
    sleep(MINUTE).await;
    assert_eq!(pool.waiting(), 2, "one had to go");
    assert!(pool.is_ready(&of_another_kind("four")).await);
    assert!(pool.is_ready(&spec("five")).await);
}

#[tokio::test(start_paused = true)]
async fn what_no_other_can_be_like_is_made_for_itself() {
    let pool = pool(4);
    pool.provision(&spec("one"), 1).await.unwrap();
    soon().await;
    assert!(!pool.is_ready(&Spec { restore: Some("/checkpoint".into()), ..spec("restored") }).await);
    assert!(!pool.is_ready(&Spec { keep: Some("/layer".into()), ..spec("build") }).await);
    assert!(!pool.is_ready(&spec("one")).await, "the next one of a session has to know of the calls of the last");
    assert_eq!(pool.waiting(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_died_while_it_waited_is_made_up_for() {
    let pool = pool(1);
    pool.provision(&spec("one"), 1).await.unwrap();
    soon().await;
    pool.0.sandbox.is_broken.store(true, Ordering::Relaxed);
    assert!(!pool.is_ready(&spec("two")).await);
    pool.0.sandbox.is_broken.store(false, Ordering::Relaxed);
    soon().await;
    assert_eq!(pool.waiting(), 1, "the dead one is gone, and there is another");
    assert!(pool.is_ready(&spec("three")).await);
}

#[tokio::test(start_paused = true)]
async fn where_none_can_be_made_it_is_tried_again_later() {
    let pool = pool(1);
    pool.0.sandbox.is_full.store(true, Ordering::Relaxed);
    assert!(pool.provision(&spec("one"), 1).await.is_err());
    soon().await;
    assert_eq!(pool.waiting(), 0);
    pool.0.sandbox.is_full.store(false, Ordering::Relaxed);
    sleep(2 * MINUTE).await;
    assert_eq!(pool.waiting(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_server_had_ready_is_removed_and_nothing_else() {
    let fake = Fake::default();
    let there = Arc::clone(&fake.there);
    *there.lock() = ["pool-0", "sesn_1", "build-1"].map(|name| (name.to_owned(), name.to_owned())).to_vec();
    let _pool = Pool::new(fake, Options { most: 0, remember: MINUTE });
    soon().await;
    let names: Vec<_> = there.lock().iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["sesn_1", "build-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_closed_leaves_the_sandboxes_of_sessions_alone() {
    let pool = pool(4);
    pool.provision(&spec("one"), 1).await.unwrap();
    soon().await;
    pool.close().await;
    assert_eq!(pool.waiting(), 0);
    assert!(!pool.is_ready(&spec("two")).await);
    soon().await;
    advance(MINUTE).await;
    assert_eq!((pool.waiting(), pool.kept().await.len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn none_is_made_ahead_where_none_may_be() {
    let pool = pool(0);
    for name in ["one", "two"] {
        assert!(!pool.is_ready(&spec(name)).await);
        soon().await;
    }
    assert_eq!(pool.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_can_be_had_ready_without_any_demand() {
    let pool = pool(1);
    pool.stock(&spec("one")).await.unwrap();
    assert!(pool.is_ready(&spec("one")).await);
}
