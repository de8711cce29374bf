use std::time::Duration;

use bus::Bus;
use serde_json::json;
use session::Stored;
use store::volatile::Volatile;
use store::{AnyStore, Append, SystemClock, SystemRng};
use wire::content::Content;
use wire::event::ClientEvent;
use wire::work::State as Stage;
use wire::{AgentId, EnvironmentId, EventId, SessionId, ThreadId, WorkspaceId};

use super::*;
use crate::SessionRecord;
use crate::tasks::Tasks;

const WORKSPACE: WorkspaceId = WorkspaceId::from_bits(1);
const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bits(2);
const SESSION: SessionId = SessionId::from_bits(3);
const FIRST: WorkId = WorkId::from_bits(4);

struct Count(u128);

impl Stamp for Count {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn event_id(&mut self) -> EventId {
        self.0 += 1;
        EventId::from_bits(self.0)
    }
}

/// A session with its first item.
struct Scene {
    store: AnyStore,
    sessions: Sessions,
    live: Arc<Live>,
}

fn record() -> SessionRecord {
    let agent = json!({
        "type": "agent", "id": AgentId::from_bits(1), "version": 1, "name": "a", "description": null,
        "model": {"id": "m", "effort": {"type": "high"}, "speed": "standard"}, "system": null, "tools": [],
        "mcp_servers": [], "skills": [], "multiagent": null, "execution_identity": {"type": "service_account"},
    });
    SessionRecord {
        title: None,
        metadata: Default::default(),
        agent: serde_json::from_value(agent).unwrap(),
        environment_id: ENVIRONMENT,
        resources: Vec::new(),
        vault_ids: Vec::new(),
    }
}

/// What one process makes of the store.
fn sessions(store: &AnyStore) -> Sessions {
    let parts = (store.clone(), Bus::default(), Arc::new(SystemClock), Arc::new(SystemRng));
    Sessions::new((parts.0, parts.1, parts.2, parts.3), Tasks::default(), Arc::new(|_| ()), None)
}

impl Scene {
    async fn new() -> Self {
        let store: AnyStore = Arc::new(Volatile::new(Arc::new(SystemClock)));
        let sessions = sessions(&store);
        let thread = ThreadId::from_bits(5);
        let created = session::create_self_hosted("a", thread, None, FIRST, Vec::new(), &mut Count(0));
        let (state, rows) = created.unwrap();
        let now = Timestamp::from_millis(0);
        let body = serde_json::to_string(&record()).unwrap();
        let document = Change::Insert(Document::new(WORKSPACE, Kind::Session, SESSION, now, body));
        let item = Record::new(FIRST, ENVIRONMENT, SESSION, 0, now).begins(WORKSPACE).unwrap();
        let append = Append {
            session: SESSION,
            expected_head: 0,
            lease: Lease::None,
            rows: rows.iter().map(Row::store).collect::<Arc<[Stored]>>(),
            summary: state.summary(),
            runnable: false,
            changes: [document].into_iter().chain(item).collect(),
        };
        store.create_session(WORKSPACE, append).await.unwrap();
        let live = sessions.open(SESSION).await.unwrap();
        Self { store, sessions, live }
    }

    async fn says(&self, text: &str) {
        let decide = |state: &State, stamp: &mut dyn Stamp| {
            let message = ClientEvent::Message { content: vec![Content::text(text)] };
            let rows = session::admit(state, vec![message], stamp).unwrap();
            Ok::<_, Error>(Write { rows, lease: Lease::None, changes: Vec::new(), value: () })
        };
        self.sessions.write(&self.live, decide).await.unwrap();
    }

    async fn work(&self) -> Option<WorkId> {
        self.sessions.state(&self.live, |state| state.work).await
    }

    async fn item(&self, id: WorkId) -> (Document, Record) {
        let document = self.store.get(WORKSPACE, Kind::Work, &id.to_string()).await.unwrap().document;
        let record = serde_json::from_str(&document.body).unwrap();
        (document, record)
    }

    /// The session's item ends at once.
    async fn ends(&self, by: By) {
        let (document, record) = self.item(self.work().await.unwrap()).await;
        let ended = record.stopped(true, by, Timestamp::from_millis(9)).unwrap();
        self.sessions.end_work(&self.live, &document, &ended, |_| Vec::new()).await.unwrap();
    }

    /// The items that a poll may be given now.
    async fn due(&self) -> Vec<String> {
        let taken = self.store.take(&Record::queue(ENVIRONMENT), 9, Duration::from_secs(60)).await;
        taken.unwrap().into_iter().map(|taken| taken.item.id).collect()
    }
}

#[tokio::test]
async fn an_item_that_nothing_is_left_to_do_for_has_no_successor() {
    let scene = Scene::new().await;
    assert_eq!(scene.due().await, [FIRST.to_string()]);
    scene.ends(By::Worker).await;
    assert_eq!(scene.work().await, None);
    let (document, record) = scene.item(FIRST).await;
    assert!(document.archived_at.is_some() && record.work.state == Stage::Stopped);
    assert_eq!(scene.due().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_message_brings_a_worker_to_a_session_without_one_and_only_one() {
    let scene = Scene::new().await;
    scene.says("while the first is there").await;
    assert_eq!(scene.work().await, Some(FIRST));
    let scene = Scene::new().await;
    scene.ends(By::Worker).await;
    let heard = scene.sessions.work_queued();
    scene.says("hi").await;
    heard.await;
    let second = scene.work().await.unwrap();
    scene.says("more").await;
    assert_eq!(scene.work().await, Some(second));
    let due = scene.due().await;
    assert_eq!(due.iter().filter(|id| **id == second.to_string()).count(), 1);
    let (document, record) = scene.item(second).await;
    assert_eq!((document.refers, record.session()), (Some(SESSION.to_string()), SESSION));
    // Another process reads the same.
    let other = sessions(&scene.store);
    let live = other.open(SESSION).await.unwrap();
    assert_eq!(other.state(&live, |state| state.work).await, Some(second));
}

#[tokio::test]
async fn what_a_worker_leaves_undone_is_for_another_at_once() {
    let scene = Scene::new().await;
    scene.says("hi").await;
    scene.ends(By::Worker).await;
    let second = scene.work().await.unwrap();
    assert_ne!(second, FIRST);
    assert!(scene.due().await.contains(&second.to_string()));
    assert_eq!(scene.item(second).await.1.failures, 1);
    scene.ends(By::Worker).await;
    let third = scene.work().await.unwrap();
    assert!(!scene.due().await.contains(&third.to_string()), "one that fails again and again waits");
}

#[tokio::test]
async fn what_the_operator_ends_stays_ended_until_something_new_comes() {
    let scene = Scene::new().await;
    scene.says("hi").await;
    scene.ends(By::Operator).await;
    assert_eq!(scene.work().await, None);
    scene.says("still there?").await;
    assert!(scene.work().await.is_some());
}

#[tokio::test]
async fn an_item_is_ended_from_what_was_read_of_it_or_not_at_all() {
    let scene = Scene::new().await;
    let (document, record) = scene.item(FIRST).await;
    let now = Timestamp::from_millis(9);
    let polled = record.claimed(1, ("digest".into(), None), now).over(&document, now).unwrap();
    scene.store.apply(vec![Change::Update(polled)]).await.unwrap();
    let ended = record.stopped(true, By::Worker, now).unwrap();
    let refused = scene.sessions.end_work(&scene.live, &document, &ended, |_| Vec::new()).await;
    assert!(matches!(refused, Err(Error::Stale { .. })));
    assert_eq!(scene.work().await, Some(FIRST), "neither half is written");
}

#[tokio::test]
async fn a_session_that_has_ended_takes_its_item_with_it() {
    let scene = Scene::new().await;
    let decide = |state: &State, stamp: &mut dyn Stamp| {
        let rows = session::archive(state, stamp).unwrap();
        Ok::<_, Error>(Write { rows, lease: Lease::None, changes: Vec::new(), value: () })
    };
    scene.sessions.write(&scene.live, decide).await.unwrap();
    scene.sessions.drop_work(&scene.live).await.unwrap();
    assert_eq!(scene.item(FIRST).await.1.work.state, Stage::Stopped);
    scene.sessions.drop_work(&scene.live).await.unwrap();
}
