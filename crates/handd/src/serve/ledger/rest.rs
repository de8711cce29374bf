//! A sandbox that is being put away begins no call. Nobody with work for it is held up by that for long.

use std::{net::Shutdown, os::unix::net::UnixStream, sync::MutexGuard, time::Duration};

use super::{Denied, Ledger, State};
use crate::{
    clock,
    sync::{self, lock},
};

/// How long a higher epoch waits for what is nearly done. Whoever greets waits a little longer for his answer.
const PATIENCE: Duration = Duration::from_secs(8);

pub(super) struct Resting {
    /// Of whoever puts it away.
    epoch: u64,
    /// The connection that it is put away over.
    line: UnixStream,
    /// Whether all has been said that can be: then whoever hears it may end the sandbox, and nothing must begin before.
    is_sealed: bool,
    is_cut: bool,
}

/// Until this is dropped no call begins.
pub(in crate::serve) struct Rest<'a>(&'a Ledger);

impl Ledger {
    /// Lets no call begin, if none runs. A request of a higher epoch ends this, and the connection with it.
    pub(in crate::serve) fn rest(&self, epoch: u64, line: UnixStream) -> Result<Rest<'_>, Denied> {
        let state = self.enter(epoch)?;
        self.close(state, epoch, line)
    }

    /// As [`Self::rest`], but for nobody: any request ends this, and the line. None if a call runs.
    pub(in crate::serve) fn leave(&self, line: UnixStream) -> Option<Rest<'_>> {
        let state = lock(&self.state);
        let epoch = state.epoch.saturating_sub(1);
        self.close(state, epoch, line).ok()
    }

    fn close(&self, mut state: MutexGuard<'_, State>, epoch: u64, line: UnixStream) -> Result<Rest<'_>, Denied> {
        if state.resting.is_some() {
            return Err(away());
        }
        if state.running > 0 {
            return Err(Denied::Refused(format!("{} calls are running in the sandbox", state.running)));
        }
        state.resting = Some(Resting { epoch, line, is_sealed: false, is_cut: false });
        Ok(Rest(self))
    }

    /// Takes note of an epoch, or tells it off. Whoever puts the sandbox away under a lower one is cut off.
    pub(super) fn enter(&self, epoch: u64) -> Result<MutexGuard<'_, State>, Denied> {
        let mut state = lock(&self.state);
        state.admit(epoch)?;
        let deadline = clock::now() + PATIENCE;
        while let Some(resting) = state.resting.as_mut().filter(|resting| resting.epoch < epoch) {
            if !resting.is_sealed && !resting.is_cut {
                resting.is_cut = true;
                let _ = resting.line.shutdown(Shutdown::Both);
            }
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Err(away());
            }
            state = sync::wait_for(&self.reopened, state, left);
        }
        Ok(state)
    }
}

impl Rest<'_> {
    /// Whether nobody has cut it off. From now on nobody does.
    pub(in crate::serve) fn seal(&self) -> bool {
        let mut state = lock(&self.0.state);
        let resting = state.resting.as_mut().filter(|resting| !resting.is_cut);
        resting.map(|resting| resting.is_sealed = true).is_some()
    }

    pub(in crate::serve) fn is_cut(&self) -> bool {
        lock(&self.0.state).resting.as_ref().is_some_and(|resting| resting.is_cut)
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).resting = None;
        self.0.reopened.notify_all();
    }
}

pub(super) fn away() -> Denied {
    Denied::Refused("the sandbox is being put away".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, thread};

    use hand_protocol::Outcome;

    use super::*;
    use crate::serve::{journal::Journal, ledger::Begun};

    fn ledger() -> Ledger {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (journal, past) =
            Journal::open(File::options().read(true).append(true).create(true).open(path).unwrap()).unwrap();
        Ledger::new(journal, past)
    }

    fn begin(ledger: &Ledger, epoch: u64, call: &str) -> Result<Begun, Denied> {
        ledger.begin(epoch, call, Box::new(|_outcome| {}))
    }

    #[test]
    fn nothing_begins_until_the_sandbox_is_not_put_away_after_all() {
        let ledger = ledger();
        let (line, _theirs) = UnixStream::pair().unwrap();
        let rest = ledger.rest(1, line.try_clone().unwrap()).unwrap();
        assert_eq!(begin(&ledger, 1, "a").err(), Some(away()));
        assert_eq!(ledger.rest(1, line).err(), Some(away()));
        assert_eq!(ledger.admit(1), Ok(()));
        drop(rest);
        assert!(matches!(begin(&ledger, 1, "a"), Ok(Begun::Run(_))));
    }

    #[test]
    fn a_sandbox_in_which_a_call_runs_is_not_put_away_nor_is_one_of_a_higher_epoch() {
        let ledger = ledger();
        let line = || UnixStream::pair().unwrap().0;
        assert!(matches!(begin(&ledger, 2, "a"), Ok(Begun::Run(_))));
        assert!(matches!(ledger.rest(2, line()).err(), Some(Denied::Refused(_))));
        ledger.finish("a", Outcome::text("done"));
        assert_eq!(ledger.rest(1, line()).err(), Some(Denied::Fenced(2)));
        assert!(ledger.rest(2, line()).is_ok());
    }

    #[test]
    fn a_higher_epoch_cuts_off_what_is_not_sealed() {
        let ledger = ledger();
        let (line, mut theirs) = UnixStream::pair().unwrap();
        let rest = ledger.rest(1, line).unwrap();
        thread::scope(|scope| {
            let begun = scope.spawn(|| begin(&ledger, 2, "a").is_ok());
            // The connection ends, and with it whoever serves it.
            assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
            assert!(!rest.seal());
            drop(rest);
            assert!(begun.join().unwrap());
        });
    }

    #[test]
    fn whoever_comes_cuts_off_what_was_for_nobody() {
        let ledger = ledger();
        assert!(matches!(begin(&ledger, 3, "a"), Ok(Begun::Run(_))));
        assert!(ledger.leave(UnixStream::pair().unwrap().0).is_none(), "a call runs");
        ledger.finish("a", Outcome::text("done"));
        let (line, mut theirs) = UnixStream::pair().unwrap();
        let rest = ledger.leave(line).unwrap();
        assert_eq!(ledger.admit(2), Err(Denied::Fenced(3)));
        assert!(!rest.is_cut());
        thread::scope(|scope| {
            let admitted = scope.spawn(|| ledger.admit(3));
            assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
            assert!(rest.is_cut() && !rest.seal());
            drop(rest);
            assert_eq!(admitted.join().unwrap(), Ok(()));
        });
    }

    #[test]
    fn what_is_sealed_is_waited_for() {
        let ledger = ledger();
        let (line, theirs) = UnixStream::pair().unwrap();
        let rest = ledger.rest(1, line).unwrap();
        assert!(rest.seal());
        theirs.set_nonblocking(true).unwrap();
        thread::scope(|scope| {
            let begun = scope.spawn(|| begin(&ledger, 2, "a").is_ok());
            while lock(&ledger.state).epoch < 2 {
                thread::yield_now();
            }
            assert_eq!((&theirs).read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
            drop(rest);
            assert!(begun.join().unwrap());
        });
    }
}
