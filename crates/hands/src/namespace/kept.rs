//! What there is on this machine: sandboxes, and what was put away of others.

use std::{collections::HashMap, fs};

use super::{
    directory::{Directory, HANDS, Record},
    rest::{Away, Rested},
    shared::Shared,
};
use crate::Kept;

impl Shared {
    /// Every sandbox that has not been destroyed, and every one that was put away and not forgotten. Of one name there can be
    /// several.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let mut away: HashMap<_, _> = Rested::everywhere(self.data_dir())
            .iter()
            .flat_map(Rested::all)
            .filter(|away| away.record.address.backend == self.backend())
            .filter_map(|Away { record, checkpoint }| {
                let name = super::name(&record.address)?.to_owned();
                Some(((name, record.address.incarnation.clone()), (record, checkpoint)))
            })
            .collect();
        let entries = fs::read_dir(self.data_dir().join(HANDS)).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let here = names.filter_map(|name| {
            let record = Directory::of(self.data_dir(), &name).ok().and_then(|directory| directory.record());
            let Some(record) = record else {
                // Never finished, it is of any backend's, and whoever comes first may take it away.
                return Some(Kept { name, incarnation: None, checkpoint: None, layers: Vec::new() });
            };
            if record.address.backend != self.backend() {
                return None;
            }
            let key = (name, record.address.incarnation.clone());
            let checkpoint = away.remove(&key).map(|(_, checkpoint)| checkpoint);
            Some(kept(key.0, record, checkpoint))
        });
        let mut all: Vec<_> = here.collect();
        all.extend(away.into_iter().map(|((name, _), (record, checkpoint))| kept(name, record, Some(checkpoint))));
        all
    }
}

fn kept(name: String, record: Record, checkpoint: Option<crate::Checkpoint>) -> Kept {
    let layers = record.ground.layers.into_iter().chain(record.ground.rootfs).collect();
    Kept { name, incarnation: Some(record.address.incarnation), checkpoint, layers }
}
