//! What goes wrong, and when.

use std::sync::Arc;

use store::volatile::Volatile;
use store::{Dead, Nodes};

use crate::dice::Dice;
use crate::node::{Common, Node};
use crate::time::{pass, spawn};
use crate::weather::Weather;

/// Misfortunes in one run, one after the other.
pub(crate) async fn rage(nodes: Arc<Vec<Node>>, common: Common, dice: Dice, misfortunes: u64) {
    for _ in 0..misfortunes {
        pass(dice.between(50, 12_000)).await;
        let number = dice.below(nodes.len() as u64) as usize;
        let Some(node) = nodes.get(number) else { return };
        match dice.below(15) {
            0 => node.kill(),
            // Somewhere in the middle of its next steps.
            1..3 => node.weather().light_fuse(dice.between(1, 40)),
            3 => {
                let nodes = nodes.clone();
                spawn(async move {
                    if let Some(node) = nodes.get(number) {
                        node.stop().await;
                    }
                });
            }
            4 => node.weather().freeze(dice.between(500, 40_000)),
            5 => {
                let millis = dice.between(500, 30_000);
                one_or_all(&nodes, number, &dice, |weather| weather.silence(millis));
            }
            6 => {
                let millis = dice.between(1_000, 60_000);
                one_or_all(&nodes, number, &dice, |weather| weather.slow_down(millis));
            }
            7 => common.boxes.kill_one(),
            8 => steal(&common.store, &dice).await,
            9..12 => {
                let millis = dice.between(500, 20_000);
                one_or_all(&nodes, number, &dice, |weather| weather.cut_off(millis));
            }
            12 => node.wipe(),
            // Somebody must be left to do the work.
            13 if number > 0 => node.retire(),
            _ => node.clock.jump(i64::try_from(dice.below(7_200_000)).unwrap_or(0) - 3_600_000),
        }
    }
}

fn one_or_all(nodes: &[Node], number: usize, dice: &Dice, befall: impl Fn(&Weather)) {
    let all = dice.in_thousand(300);
    let befallen = nodes.iter().enumerate().filter(|(other, _)| all || *other == number);
    befallen.for_each(|(_, node)| befall(node.weather()));
}

/// A node that lives is declared dead, and its leases go to whoever comes.
async fn steal(store: &Volatile, dice: &Dice) {
    let nodes = store.nodes().await.unwrap_or_default();
    let chosen = dice.below(nodes.len() as u64) as usize;
    if let Some(victim) = nodes.get(chosen) {
        let _ = store.bury(Dead::Node(victim.node.id.clone())).await;
    }
}

/// Brings a node back whenever it is down, unless it has retired.
pub(crate) async fn keep_up(nodes: Arc<Vec<Node>>, number: usize, dice: Dice) {
    loop {
        let Some(node) = nodes.get(number) else { return };
        if node.is_retired() {
            // It may have come up just then.
            return node.kill();
        }
        if node.brain().is_none() {
            pass(dice.between(0, 8_000)).await;
            node.start().await;
        }
        tokio::select! {
            biased;
            () = node.weather().dies.notified() => node.kill(),
            () = pass(500) => {}
        }
    }
}
