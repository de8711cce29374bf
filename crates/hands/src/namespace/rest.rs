//! Sandboxes that are put away: their processes end, and what they have written is kept.
//!
//! What is kept of one counts for more than whatever else there is of it. From the moment that it is whole, the sandbox is
//! one that was put away, even if its processes have not ended yet: whoever comes upon it ends them.

mod left;
mod place;
mod receive;

use std::{fs, io, os::unix::net::UnixStream};

pub(super) use self::place::{Away, Rested};
use self::receive::Line;
use super::{
    directory::{Directory, HANDS, Record},
    groups, name,
    shared::Shared,
    uploads::UPLOADS,
};
use crate::{Address, Checkpoint, Lost, connection::gone};

const AWAY: &str = "it was put away";

impl Shared {
    /// Receives what the sandbox of this record has written, over a connection to its daemon, and ends it. Nobody waits for
    /// that meanwhile: whoever has work for it, or another one to make in its place, cuts it off.
    pub(super) fn rest(&self, record: &Record, epoch: u64, stream: UnixStream) -> Result<Checkpoint, Lost> {
        let address = &record.address;
        let name = name(address).ok_or_else(unknown)?;
        let directory = Directory::of(self.data_dir(), name).map_err(failed)?;
        if record.keep.is_some() {
            return Err(Lost::Refused("what it has written is to become a layer".into()));
        }
        let unfinished = {
            let _alone = self.alone(name);
            self.find(address).ok_or_else(unknown)?;
            Rested::of(self.data_dir(), name).and_then(|rested| rested.begin()).map_err(failed)?
        };
        let mut line = Line::new(stream, record.limits.disk).map_err(failed)?;
        let mut file = unfinished.file().map_err(failed)?;
        if let Err(lost) = line.save(address, epoch, &mut file) {
            let is_over = !record.daemon.is_alive() && !matches!(lost, Lost::Gone(_));
            return Err(if is_over { gone("it has ended") } else { lost });
        }
        let _alone = self.alone(name);
        self.find(address).ok_or_else(unknown)?;
        let checkpoint = unfinished.commit(record).map_err(failed)?;
        end(record);
        // Until here, so that nothing could begin of which nothing would be kept.
        drop(line);
        // The next one is given its own.
        let _ = fs::remove_dir_all(directory.path().join(UPLOADS));
        Ok(checkpoint)
    }

    /// What is known of the sandbox at this address, which may be alive.
    pub(super) fn seek(&self, address: &Address) -> Result<Record, Lost> {
        let left = self
            .what_is_left(address)
            .map_err(|error| Lost::Refused(format!("what is left of it cannot be read: {error}")))?;
        if let Some(away) = left {
            let _alone = name(address).map(|name| self.alone(name));
            end(&away.record);
            return Err(gone(AWAY));
        }
        self.find(address).ok_or_else(unknown)
    }

    /// What the sandbox at this address was put away as, or has left.
    pub(super) fn what_is_left(&self, address: &Address) -> io::Result<Option<Away>> {
        let Some(name) = name(address).filter(|_| address.backend == self.backend()) else { return Ok(None) };
        if self.has_left(name) {
            let _alone = self.alone(name);
            self.take_left(name)?;
        }
        let away = Rested::of(self.data_dir(), name)?.look(&address.incarnation)?;
        Ok(away.filter(|away| away.record.address == *address))
    }

    /// What the sandbox at this address was put away as.
    pub(super) fn away(&self, address: &Address) -> Option<Away> {
        let name = name(address).filter(|_| address.backend == self.backend())?;
        let away = Rested::of(self.data_dir(), name).ok()?.find(&address.incarnation)?;
        (away.record.address == *address).then_some(away)
    }

    pub(super) fn forget(&self, address: &Address) -> io::Result<()> {
        let Some(name) = name(address) else { return Ok(()) };
        let _alone = self.alone(name);
        self.inherit(name);
        let Some(away) = self.away(address) else { return Ok(()) };
        // Without what says that it was put away, it would be one that lives.
        end(&away.record);
        Rested::of(self.data_dir(), name)?.remove(&address.incarnation)
    }

    /// Clears away what a server that ended had begun, and does what it had still to do.
    pub(super) fn settle(&self) {
        for name in place::entries(&self.data_dir().join(HANDS)) {
            let _alone = self.alone(&name);
            self.inherit(&name);
        }
        for rested in Rested::everywhere(self.data_dir()) {
            if let Err(error) = rested.sweep() {
                tracing::warn!(%error, "what was never wholly put away could not be removed");
            }
            for away in rested.all().iter().filter(|away| away.record.daemon.is_alive()) {
                end(&away.record);
            }
        }
    }
}

/// Ends what was put away. What does not end has been killed all the same, and does nothing any more.
fn end(record: &Record) {
    let ended = record.daemon.end().and_then(|()| groups::remove(&record.groups));
    if let Err(error) = ended {
        let sandbox = record.address.directory.display();
        tracing::warn!(%sandbox, %error, "of a sandbox that was put away something is left");
    }
}

fn unknown() -> Lost {
    gone("this server knows of no such sandbox")
}

fn failed(error: io::Error) -> Lost {
    Lost::Refused(format!("it cannot be put away: {error}"))
}
