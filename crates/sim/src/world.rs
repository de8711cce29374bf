//! One run: a world from a seed, its faults, its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use store::volatile::Volatile;
use store::{Append, Catalog, Change, Document, Kind, Lease, SessionLog};
use tokio::time::Instant;
use wire::agent::{AgentType, Snapshot};
use wire::environment::{Environment, EnvironmentType, Scope};
use wire::read::{Metadata, Read as _};
use wire::{EnvironmentId, SessionId, ThreadId, Timestamp, WorkspaceId};

use crate::boxes::Boxes;
use crate::chaos;
use crate::check::{Audit, Totals};
use crate::client::Client;
use crate::dice::Dice;
use crate::leaks::leaks;
use crate::node::{Common, Node};
use crate::places::Places;
use crate::relay::Ears;
use crate::time::{SimClock, pass, spawn};
use crate::weather::{SLOWEST, Weather};

const WORKSPACE: WorkspaceId = WorkspaceId::from_bits(1);
const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bits(1);

/// How long a sandbox is idle before it is put away, where that is done.
const RESTS: Duration = Duration::from_secs(20);

/// What came of one run.
pub struct Outcome {
    pub seed: u64,
    /// What is wrong; empty if nothing.
    pub faults: Vec<String>,
    /// Of all rows of all sessions: the same seed gives the same.
    pub digest: String,
    pub rows: usize,
    pub totals: Totals,
    pub minutes: u64,
}

/// Plays one seed to its end.
pub fn run(seed: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    match runtime {
        Ok(runtime) => runtime.block_on(play(seed)),
        Err(error) => Outcome {
            seed,
            faults: vec![format!("there is no runtime: {error}")],
            digest: String::new(),
            rows: 0,
            totals: Totals::default(),
            minutes: 0,
        },
    }
}

async fn play(seed: u64) -> Outcome {
    let dice = Dice::new(seed);
    let start = Instant::now();
    let rough = Arc::new(AtomicBool::new(true));
    let audit = Arc::new(Audit::default());
    let weathers = (0..dice.between(1, 3)).map(|_| Arc::new(Weather::new(dice.fork(), rough.clone())));
    let places = Arc::new(Places::new(weathers.collect(), dice.in_thousand(500)));
    let common = Common {
        store: Arc::new(Volatile::new(Arc::new(SimClock::new(start)))),
        boxes: Boxes::new(audit.clone(), dice.fork()),
        audit,
        ears: Ears::default(),
        places: places.clone(),
        is_judged_by_model: dice.in_thousand(500),
        rest_after: dice.in_thousand(500).then_some(RESTS),
    };
    furnish(&common.store).await;
    let clock = || Arc::new(SimClock::new(start));
    let nodes = places.all().map(|place| Node::new(place.clone(), common.clone(), clock(), dice.fork()));
    let nodes: Vec<Node> = nodes.collect();
    let nodes = Arc::new(nodes);
    let mut clients = Vec::new();
    for number in 0..dice.between(1, 6) {
        let session = SessionId::from_bits(u128::from(number) + 1);
        create(&common.store, session, &dice).await;
        clients.push(Client { session, nodes: nodes.clone(), common: common.clone(), dice: dice.fork() });
    }
    for number in 0..nodes.len() {
        spawn(chaos::keep_up(nodes.clone(), number, dice.fork()));
    }
    let rage = chaos::rage(nodes.clone(), common.clone(), dice.fork(), dice.between(5, 30));
    let lives = futures::future::join_all(clients.iter().map(|client| client.live(client.dice.between(3, 25))));
    futures::join!(rage, lives);
    // The storm is over: from now on everything works, and everything must come to rest.
    rough.store(false, Ordering::Relaxed);
    // What was sent before still arrives, and may be what wakes a session.
    pass(2 * SLOWEST).await;
    let settled = futures::future::join_all(clients.iter().map(Client::settle)).await;
    let sessions: Vec<SessionId> = clients.iter().map(|client| client.session).collect();
    let settled = || sessions.iter().copied().zip(settled.iter().copied());
    let resting: Vec<SessionId> = settled().filter(|(_, settled)| *settled).map(|(session, _)| session).collect();
    let homes = nodes.iter().filter(|node| !node.is_retired()).map(|node| node.home().to_owned());
    let homes: BTreeSet<String> = homes.collect();
    let left_behind = leaks(&common, &resting, &homes).await;
    let mut faults = common.audit.faults(&common.store, &sessions).await;
    let restless = settled().filter(|(_, settled)| !settled);
    faults.extend(restless.map(|(session, _)| format!("{session} does not come to rest")));
    faults.extend(left_behind);
    let (digest, rows) = digest(&common.store, &sessions).await;
    let totals = common.audit.totals();
    nodes.iter().for_each(Node::kill);
    Outcome { seed, faults, digest, rows, totals, minutes: start.elapsed().as_secs() / 60 }
}

/// The environment of all sessions.
async fn furnish(store: &Volatile) {
    let now = Timestamp::from_millis(0);
    let settings = serde_json::json!({"name": "world", "config": {"type": "cloud"}});
    let Ok(settings) = wire::environment::Change::read(settings, "").and_then(|change| change.create()) else { return };
    let environment = Environment {
        id: ENVIRONMENT,
        r#type: EnvironmentType::Environment,
        settings,
        scope: Scope::Organization,
        created_at: now,
        updated_at: now,
        archived_at: None,
    };
    let body = serde_json::to_string(&environment).unwrap_or_default();
    let document = Document::new(WORKSPACE, Kind::Environment, ENVIRONMENT, now, body);
    let _ = store.apply(vec![Change::Insert(document)]).await;
}

async fn create(store: &Volatile, session: SessionId, dice: &Dice) {
    let now = Timestamp::from_millis(0);
    let budget = dice.in_thousand(300).then(|| session::Cost(dice.between(1, 3_000_000_000)));
    let mut stamp = Setup { dice: dice.fork(), now };
    let thread = ThreadId::from_bits(store::Rng::bits(dice));
    // Without events of its own nothing of it can be refused.
    let Ok((state, rows)) = session::create("agent", thread, budget, Vec::new(), &mut stamp) else { return };
    let document = Document::new(WORKSPACE, Kind::Session, session, now, record(dice));
    let append = Append {
        session,
        expected_head: 0,
        lease: Lease::None,
        rows: rows.iter().map(session::Row::store).collect(),
        summary: state.summary(),
        runnable: false,
        changes: vec![Change::Insert(document)],
    };
    let _ = store.create_session(WORKSPACE, append).await;
}

/// The agent: some tools at once, some on request, some judged.
fn record(dice: &Dice) -> String {
    let policy = |dice: &Dice| match dice.below(4) {
        0 => "always_ask",
        1 => "auto",
        _ => "always_allow",
    };
    let toolset = serde_json::json!({
        "type": "agent_toolset_20260401",
        "configs": [
            {"name": "bash", "permission_policy": {"type": policy(dice)}},
            {"name": "write", "permission_policy": {"type": policy(dice)}},
        ],
    });
    let custom = serde_json::json!({
        "type": "custom", "name": "ask_client", "description": "Asks the client", "input_schema": {"type": "object"},
    });
    let agent = serde_json::json!({"name": "agent", "model": "sim", "tools": [toolset, custom]});
    let Ok(agent) = wire::agent::Create::read(agent, "") else { return String::new() };
    let record = brain::SessionRecord {
        title: None,
        metadata: Metadata::default(),
        agent: Snapshot {
            r#type: AgentType::Agent,
            id: wire::AgentId::from_bits(1),
            version: 1,
            definition: agent.definition,
        },
        environment_id: ENVIRONMENT,
        resources: Vec::new(),
        vault_ids: Vec::new(),
    };
    serde_json::to_string(&record).unwrap_or_default()
}

struct Setup {
    dice: Dice,
    now: Timestamp,
}

impl session::Stamp for Setup {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn event_id(&mut self) -> wire::EventId {
        wire::EventId::from_bits(store::Rng::bits(&self.dice))
    }
}

async fn digest(store: &Volatile, sessions: &[SessionId]) -> (String, usize) {
    let mut digest = Sha256::new();
    let mut count = 0;
    for session in sessions {
        for row in store.rows(*session, 0, usize::MAX).await.unwrap_or_default() {
            count += 1;
            digest.update(serde_json::to_vec(&row).unwrap_or_default());
        }
    }
    (digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), count)
}
