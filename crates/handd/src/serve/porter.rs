//! The porter, as the daemon on a guest kernel knows it: it brings connections, and does what takes a hold of the host's
//! files.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use rustix::{
    fs::sync as write_back,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};

use crate::{
    clock,
    left::{is_cut, needed},
    pieces,
    porter::errands::{CONNECTION, DONE, LEAVE, SAVE},
    processes,
    sync::{self, lock},
};

/// How long the porter may say nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// Between two looks at whether somebody has come.
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Porter {
    line: UnixStream,
    inbox: Mutex<Inbox>,
    arrived: Condvar,
}

#[derive(Default)]
struct Inbox {
    connections: VecDeque<UnixStream>,
    /// The errand that was asked for last: tells it from earlier ones, whose answers may still come.
    errand: u8,
    answer: Option<UnixStream>,
    was_short: bool,
    /// Nothing comes any more.
    is_over: bool,
}

impl Porter {
    /// What comes is taken in on a thread of its own: all who serve connections may be busy when an errand is answered.
    pub(super) fn new(line: OwnedFd) -> io::Result<Arc<Self>> {
        let porter = Arc::new(Self { line: line.into(), inbox: Mutex::default(), arrived: Condvar::new() });
        let own = Arc::clone(&porter);
        sync::spawn("porter", move || {
            while !lock(&own.inbox).is_over {
                match receive(&own.line) {
                    Ok(what) => own.take_in(what),
                    // Out of descriptors or memory: it may pass.
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
            }
        })?;
        Ok(porter)
    }

    fn take_in(&self, what: Option<(u8, Option<UnixStream>)>) {
        let mut inbox = lock(&self.inbox);
        match what {
            None => inbox.is_over = true,
            Some((_, None)) => inbox.was_short = true,
            Some((CONNECTION, Some(connection))) => inbox.connections.push_back(connection),
            Some((number, Some(line))) if number == inbox.errand => inbox.answer = Some(line),
            Some(_) => {}
        }
        self.arrived.notify_all();
    }

    /// The next connection. None once there can be no more.
    pub(super) fn next(&self) -> Option<UnixStream> {
        let mut inbox = lock(&self.inbox);
        loop {
            match inbox.connections.pop_front() {
                None if !inbox.is_over => inbox = sync::wait(&self.arrived, inbox),
                next => return next,
            }
        }
    }

    /// Whether an earlier daemon was ended because the sandbox had no more memory.
    pub(super) fn was_short_of_memory(&self) -> bool {
        lock(&self.inbox).was_short
    }

    /// Has what was written archived, and passes that on.
    pub(super) fn save(&self, to: &mut impl Write) -> io::Result<()> {
        let line = self.ask(SAVE)?;
        line.set_read_timeout(Some(SILENCE))?;
        pieces::receive(&line, to)
    }

    /// As [`super::written::Written::leave`].
    pub(super) fn leave(&self, cut: &UnixStream, may: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        // Without its end the file is not whole: dropping this line before gives it up.
        let mut line = self.ask(LEAVE)?;
        line.set_read_timeout(Some(LOOK))?;
        loop {
            match line.read(&mut [0]) {
                Ok(0) => return Err(io::Error::other("it could not be archived")),
                Ok(_) => break,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
            if is_cut(cut) {
                return Err(needed());
            }
        }
        may()?;
        line.set_read_timeout(Some(SILENCE))?;
        line.write_all(&[DONE])?;
        line.read_exact(&mut [0])
    }

    /// The line over which the porter does what it is asked for. There is one errand at a time: nothing else is put away or
    /// left meanwhile.
    fn ask(&self, wish: u8) -> io::Result<UnixStream> {
        if processes::is_init() {
            // What this kernel still has in mind belongs in the files.
            write_back();
        }
        let mut inbox = lock(&self.inbox);
        inbox.errand = inbox.errand.checked_add(1).unwrap_or(1);
        inbox.answer = None;
        (&self.line).write_all(&[wish, inbox.errand])?;
        let deadline = clock::now() + SILENCE;
        loop {
            if let Some(line) = inbox.answer.take() {
                return Ok(line);
            }
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() || inbox.is_over {
                return Err(ErrorKind::TimedOut.into());
            }
            inbox = sync::wait_for(&self.arrived, inbox, left);
        }
    }
}

/// A byte, and the descriptor that mostly comes with it.
fn receive(porter: &UnixStream) -> io::Result<Option<(u8, Option<UnixStream>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = recvmsg(porter, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let [byte] = byte;
    Ok(Some((byte, descriptor.map(UnixStream::from))))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use hand_protocol::{LEFT_END, left_end};

    use super::*;
    use crate::{
        layer::Layer,
        left::Left,
        porter::errands::{self, Files},
    };

    /// The daemon's side, and the porter's.
    fn pair() -> (Arc<Porter>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Porter::new(ours.into()).unwrap(), theirs)
    }

    #[test]
    fn an_errand_is_told_from_connections_and_from_earlier_errands() {
        let (porter, theirs) = pair();
        thread::scope(|scope| {
            let asked = scope.spawn(|| porter.ask(SAVE).unwrap());
            let mut wish = [0; 2];
            (&theirs).read_exact(&mut wish).unwrap();
            assert_eq!(wish, [SAVE, 1]);
            let bring = |byte: u8, word: &[u8]| {
                let (mut line, other) = UnixStream::pair().unwrap();
                errands::send(&theirs, &other, byte).unwrap();
                // Nobody may hold it any more.
                let _ = line.write_all(word);
            };
            bring(7, b"late");
            bring(1, b"line");
            bring(CONNECTION, b"call");
            let mut word = [0; 4];
            asked.join().unwrap().read_exact(&mut word).unwrap();
            assert_eq!(&word, b"line");
            porter.next().unwrap().read_exact(&mut word).unwrap();
            assert_eq!(&word, b"call");
        });
    }

    #[test]
    fn a_byte_alone_tells_of_a_want_of_memory() {
        let (porter, theirs) = pair();
        assert!(!porter.was_short_of_memory());
        (&theirs).write_all(&[DONE]).unwrap();
        drop(theirs);
        assert!(porter.next().is_none());
        assert!(porter.was_short_of_memory());
    }

    #[test]
    fn what_cannot_be_had_is_an_error_and_no_archive() {
        let (porter, theirs) = pair();
        errands::run(theirs, Arc::new(Files::default())).unwrap();
        let mut to = Vec::new();
        assert!(porter.save(&mut to).unwrap_err().to_string().contains("layer"));
        assert!(to.is_empty());
        let (cut, _theirs) = UnixStream::pair().unwrap();
        cut.set_nonblocking(true).unwrap();
        assert!(porter.leave(&cut, || Ok(())).is_err());
        // The porter's end goes with this one's.
        porter.line.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(porter.next().is_none());
    }

    #[test]
    fn what_is_left_counts_only_if_it_may() {
        let (porter, theirs) = pair();
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("upper")).unwrap();
        fs::write(place.path().join("upper/file"), "text").unwrap();
        let root = File::open(place.path().join("upper")).unwrap().into();
        let path = place.path().join("left");
        let left = Some(Left::of(File::create(&path).unwrap()));
        let layer = Some(Layer { root, usr: None });
        errands::run(theirs, Arc::new(Files { layer, left, disk: 1 << 20 })).unwrap();
        let (cut, _nobody) = UnixStream::pair().unwrap();
        cut.set_nonblocking(true).unwrap();

        assert!(porter.leave(&cut, || Err(needed())).is_err());
        let mut archive = Vec::new();
        // One errand after the other: the file is cleared by then.
        porter.save(&mut archive).unwrap();
        assert!(!archive.is_empty());
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);

        porter.leave(&cut, || Ok(())).unwrap();
        let whole = fs::read(&path).unwrap();
        let (left, end) = whole.split_at(whole.len() - LEFT_END);
        assert_eq!(end, left_end(left.len() as u64));
        assert_eq!(left, archive);
        porter.line.shutdown(std::net::Shutdown::Both).unwrap();
    }
}
