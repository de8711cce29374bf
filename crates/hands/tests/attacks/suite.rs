//! The whole run: controls first, then everything that may run side by side, then what may not.

use std::{collections::BTreeMap, env, sync::Arc};

use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    attack::{self, Attack, Kind},
    control,
    exhaustion::hoard,
    house::{LIMITS, SMALL},
    report::{Report, Row},
    stage::Stage,
    staged,
    verdict::{Shown, Verdict},
};

/// Of the programs, those alone whose title begins so: for whoever works on one.
const ONLY: &str = "STEAD_ATTACK_ONLY";

/// Sandboxes at work at once, on a machine of two processors.
const AT_ONCE: usize = 4;

pub(crate) async fn run(planted: &str) -> Report {
    let stage = Arc::new(Stage::set(planted).await);
    let only = env::var(ONLY).unwrap_or_default();
    let attacks = attack::all().into_iter().filter(|attack| attack.title().starts_with(&only));
    let (hoards, others): (Vec<_>, Vec<_>) = attacks.partition(|attack| attack.kind == Kind::Hoard);

    let mut shown = controls(&stage, &others).await;
    let mut faults = Vec::new();
    // They came there, which is how it is known that whoever comes is seen.
    if only.is_empty() && stage.host.contacts().await.is_empty() {
        faults.push("the controls: not one was heard by the host's resident".into());
    }
    stage.changed().await;

    let mut rows = side_by_side(&stage, others, &mut shown).await;
    for attack in &hoards {
        rows.push(hoard(&stage, attack).await);
    }
    rows.sort_by(|one, other| one.title.cmp(&other.title));
    let stage = Arc::into_inner(stage).expect("every task has ended");
    faults.extend(stage.strike().await.into_iter().map(|process| format!("left behind on the host: {process}")));
    Report { rows, faults }
}

/// By the attack's title.
type Controls = BTreeMap<String, Shown>;

/// Those of one group after each other: they share what they work on.
async fn controls(stage: &Arc<Stage>, attacks: &[Attack]) -> Controls {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for group in attacks.chunk_by(|one, other| one.group == other.group) {
        let (stage, gate, group) = (Arc::clone(stage), Arc::clone(&gate), group.to_vec());
        tasks.spawn(async move {
            let _turn = gate.acquire().await.unwrap();
            let mut shown = Vec::new();
            for attack in group {
                shown.push((attack.title(), control::show(&stage, &attack).await));
            }
            shown
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

async fn side_by_side(stage: &Arc<Stage>, attacks: Vec<Attack>, shown: &mut Controls) -> Vec<Row> {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    let mut groups: BTreeMap<String, Vec<(Attack, Shown)>> = BTreeMap::new();
    for attack in attacks {
        let own = shown.remove(&attack.title()).unwrap_or(Shown::None);
        groups.entry(attack.group.clone()).or_default().push((attack, own));
    }
    for (name, group) in groups {
        let (stage, gate) = (Arc::clone(stage), Arc::clone(&gate));
        tasks.spawn(async move {
            let _turn = gate.acquire().await.unwrap();
            of_group(&stage, &name, group).await
        });
    }
    for act in staged::ACTS {
        let (stage, gate) = (Arc::clone(stage), Arc::clone(&gate));
        tasks.spawn(async move {
            let _turn = gate.acquire().await.unwrap();
            act(stage).await
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// One after the other, in one sandbox as long as it holds; those that may wreck theirs have one of their own.
async fn of_group(stage: &Stage, name: &str, group: Vec<(Attack, Shown)>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut room = stage.room(name, LIMITS).await;
    for (attack, shown) in group {
        let own = match attack.kind {
            Kind::Glut => Some(stage.room(&format!("{name}-{}", attack.name), SMALL).await),
            Kind::Plain | Kind::Hoard => None,
        };
        let verdict = stage.attack(own.as_ref().unwrap_or(&room), &attack).await;
        if let Some(own) = own {
            own.close(&stage.house).await;
        } else if matches!(verdict, Verdict::Broke(_)) {
            // Whatever it got hold of, the next shall not begin with it.
            room.close(&stage.house).await;
            room = stage.room(name, LIMITS).await;
        }
        rows.push(Row::of(&attack, verdict, shown));
    }
    room.close(&stage.house).await;
    rows
}
