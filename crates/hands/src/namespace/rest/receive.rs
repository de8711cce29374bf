//! Receives what a sandbox has written from its daemon, which may say anything, any amount of it, or nothing.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use hand_protocol::{Answer, MAX_PIECE, Reply, Request, VERSION, Verb, read_frame, write_frame};
use tokio::time::Instant;

use crate::{
    Address, Lost,
    connection::{confused, gone},
};

/// The daemon sends as it reads, and is never silent for long.
const SILENCE: Duration = Duration::from_secs(30);

/// For any archive, and besides for each so many bytes of the disk: the slowest that one may come.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOWEST: u64 = 16 << 20;

/// What cannot be compressed comes to a little more than it was, and there are names besides.
const BESIDES: u64 = 256 << 20;

/// Bytes of an answer, or of a reason.
const LONGEST: u64 = 4 << 10;

/// Bytes that an archive may have of a sandbox with so many bytes of disk.
pub(super) fn longest(disk: u64) -> u64 {
    disk.saturating_add(disk / 16).saturating_add(BESIDES)
}

/// One conversation, which ends at its time whatever is said. Nothing begins in the sandbox as long as this is kept,
/// unless it is for somebody of a higher epoch.
pub(super) struct Line {
    stream: UnixStream,
    until: Instant,
    /// Bytes that an archive may have.
    longest: u64,
}

impl Line {
    /// To the daemon of a sandbox with so many bytes of disk.
    pub(super) fn new(stream: UnixStream, disk: u64) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(SILENCE))?;
        let until = Instant::now() + PATIENCE + Duration::from_secs(disk / SLOWEST);
        Ok(Self { stream, until, longest: longest(disk) })
    }

    /// Has the sandbox at this address save what it has written. All its processes have ended then.
    pub(super) fn save(&mut self, address: &Address, epoch: u64, to: &mut impl Write) -> Result<(), Lost> {
        match self.ask(Request { seq: 1, epoch, verb: Verb::Hello { version: VERSION } })? {
            Reply::Welcome { incarnation, .. } if incarnation == address.incarnation => {}
            Reply::Welcome { .. } => return Err(gone("another one has taken its place")),
            _ => return Err(confused()),
        }
        match self.ask(Request { seq: 2, epoch, verb: Verb::Save })? {
            Reply::Ok => self.archive(to),
            _ => Err(confused()),
        }
    }

    fn ask(&mut self, request: Request) -> Result<Reply, Lost> {
        let failed = |error: hand_protocol::Error| Lost::Refused(error.to_string());
        write_frame(&mut self.stream, &request).map_err(failed)?;
        let Answer { seq, reply } = read_frame(&mut self.by_ref().take(LONGEST)).map_err(failed)?;
        match reply {
            _ if seq != request.seq => Err(confused()),
            Reply::Fenced { epoch } => Err(Lost::Fenced(epoch)),
            Reply::Refused { message } => Err(Lost::Refused(message)),
            reply => Ok(reply),
        }
    }

    fn archive(&mut self, to: &mut impl Write) -> Result<(), Lost> {
        let mut buffer = vec![0; MAX_PIECE];
        let mut left = self.longest;
        loop {
            let piece = self.piece(&mut buffer).map_err(failed)?;
            if piece.is_empty() {
                break;
            }
            let beyond = || Lost::Refused(format!("what it has written comes to more than {} bytes", self.longest));
            left = left.checked_sub(piece.len() as u64).ok_or_else(beyond)?;
            to.write_all(piece).map_err(failed)?;
        }
        let reason = self.piece(&mut buffer).map_err(failed)?;
        if reason.is_empty() {
            return Ok(());
        }
        let reason = reason.get(..reason.len().min(LONGEST as usize)).unwrap_or_default();
        Err(Lost::Refused(String::from_utf8_lossy(reason).into_owned()))
    }

    fn piece<'a>(&mut self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let mut length = [0; 4];
        self.read_exact(&mut length)?;
        let piece = buffer.get_mut(..u32::from_le_bytes(length) as usize);
        let piece = piece.ok_or_else(|| io::Error::other("its daemon does not follow the protocol"))?;
        self.read_exact(piece)?;
        Ok(piece)
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(ErrorKind::TimedOut, "it takes too long"));
        }
        self.stream.set_read_timeout(Some(left.min(SILENCE)))?;
        self.stream.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => io::Error::new(ErrorKind::TimedOut, "its daemon falls silent"),
            _ => error,
        })
    }
}

/// Whatever it is, the sandbox is not known to be no more.
fn failed(error: io::Error) -> Lost {
    Lost::Refused(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn address() -> Address {
        Address { backend: "test".into(), directory: "hands/one".into(), incarnation: "one".into(), home: None }
    }

    /// What comes of a daemon that answers so, and then sends these bytes, over and over if `is_endless`.
    fn received(replies: Vec<Reply>, sends: &[u8], is_endless: bool) -> (Result<(), Lost>, Vec<u8>) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut line = Line::new(ours, 0).unwrap();
        line.longest = 1 << 20;
        thread::scope(|scope| {
            scope.spawn(move || {
                for reply in replies {
                    let Ok(Request { seq, epoch: 7, .. }) = read_frame(&mut theirs) else { return };
                    write_frame(&mut theirs, &Answer { seq, reply }).unwrap();
                }
                while theirs.write_all(sends).is_ok() && is_endless {}
            });
            let mut to = Vec::new();
            let saved = line.save(&address(), 7, &mut to);
            drop(line);
            (saved, to)
        })
    }

    fn welcome(incarnation: &str) -> Reply {
        Reply::Welcome { version: VERSION, incarnation: incarnation.into() }
    }

    fn begun() -> Vec<Reply> {
        vec![welcome("one"), Reply::Ok]
    }

    fn pieces(pieces: &[&[u8]]) -> Vec<u8> {
        let piece = |piece: &&[u8]| [&u32::try_from(piece.len()).unwrap().to_le_bytes(), *piece].concat();
        pieces.iter().flat_map(piece).collect()
    }

    fn refusal((saved, _): (Result<(), Lost>, Vec<u8>)) -> String {
        match saved {
            Err(Lost::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_archive_is_put_together_from_its_pieces() {
        let long = vec![7; MAX_PIECE];
        let (saved, archive) = received(begun(), &pieces(&[b"one", &long, b"two", b"", b""]), false);
        saved.unwrap();
        assert_eq!(archive, [b"one", &*long, b"two"].concat());
    }

    #[test]
    fn what_is_not_whole_is_none() {
        assert_eq!(refusal(received(begun(), &pieces(&[b"one", b"", b"its disk fails"]), false)), "its disk fails");
        for sends in [pieces(&[b"one", b""]), pieces(&[b"one"]), b"\x05\0\0\0one".to_vec(), Vec::new()] {
            refusal(received(begun(), &sends, false));
        }
        let endless = "x".repeat(9_000);
        assert_eq!(refusal(received(begun(), &pieces(&[b"", endless.as_bytes()]), false)).len(), 4_096);
    }

    #[test]
    fn a_daemon_that_sends_too_much_is_cut_off() {
        let (saved, archive) = received(begun(), &pieces(&[&[7; 1_000]]), true);
        assert!(matches!(saved, Err(Lost::Refused(why)) if why.contains("more than 1048576 bytes")));
        assert!(archive.len() <= 1 << 20);
        assert!(refusal(received(begun(), &u32::MAX.to_le_bytes(), true)).contains("protocol"));
    }

    #[test]
    fn a_daemon_that_says_too_little_is_cut_off() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut line = Line::new(ours, 0).unwrap();
        line.until = Instant::now() + Duration::from_millis(50);
        let saved = line.save(&address(), 7, &mut io::sink());
        assert!(matches!(saved, Err(Lost::Refused(_))), "{saved:?}");
        drop(theirs);
    }

    #[test]
    fn whoever_answers_otherwise_puts_nothing_away() {
        let lost = |replies| received(replies, b"", false).0.unwrap_err();
        assert!(matches!(lost(vec![Reply::Fenced { epoch: 9 }]), Lost::Fenced(9)));
        assert!(matches!(lost(vec![welcome("two")]), Lost::Gone(_)));
        assert!(matches!(lost(vec![welcome("one"), Reply::Fenced { epoch: 9 }]), Lost::Fenced(9)));
        let refused = Reply::Refused { message: "2 calls are running".into() };
        assert!(matches!(lost(vec![welcome("one"), refused]), Lost::Refused(why) if why == "2 calls are running"));
        assert!(matches!(lost(vec![welcome("one"), welcome("one")]), Lost::Gone(_)));
    }
}
