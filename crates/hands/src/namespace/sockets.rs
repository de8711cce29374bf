//! The sockets that lead out of a sandbox, as its daemon hands them over.

use std::{
    io::{self, IoSliceMut, Read},
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::Duration,
};

use hand_protocol::{Answer, MAX_SOCKETS, Reply, Request, Socket, Verb, read_frame, write_frame};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags, SocketType,
        recvmsg, socket_with,
    },
};
use tokio::time::Instant;

/// The daemon is hostile for all that is known here: it may as well say nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Far more than the names of the kinds take.
const LONGEST: usize = 4_096;

/// Asks the daemon of the hand in this directory. Blocks for a short time at most.
pub(super) fn ask(directory: &Path) -> io::Result<Vec<(Socket, OwnedFd)>> {
    let directory = openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut stream = connect(&format!("/proc/self/fd/{}/socket", directory.as_raw_fd()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write_frame(&mut stream, &Request { seq: 1, epoch: 0, verb: Verb::Sockets }).map_err(io::Error::other)?;

    // The descriptors come with the first bytes.
    let mut first = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS as usize))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let slices = &mut [IoSliceMut::new(&mut first)];
    let received = recvmsg(&stream, slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let descriptors: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(rights) => Some(rights),
            _ => None,
        })
        .flatten()
        .collect();
    let late = Slow { stream, until: Instant::now() + PATIENCE };
    let mut rest = first.get(..received).unwrap_or_default().chain(late.take(LONGEST as u64));
    match read_frame::<Answer>(&mut rest).map_err(io::Error::other)?.reply {
        Reply::Sockets { kinds } if kinds.len() == descriptors.len() => {
            Ok(kinds.into_iter().zip(descriptors).collect())
        }
        Reply::Refused { message } => Err(io::Error::other(message)),
        _ => Err(io::Error::other("its daemon does not follow the protocol")),
    }
}

/// Does not wait: a daemon that accepts nobody could have its callers wait for ever.
fn connect(path: &str) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// A stream that may not take longer than this in all, however little it says at a time.
struct Slow {
    stream: UnixStream,
    until: Instant,
}

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::TcpListener,
        os::{fd::AsFd, unix::net::UnixListener},
        thread,
    };

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    const TWO: &str = r#"{"seq":1,"reply":"sockets","kinds":["proxy","dns_udp"]}"#;

    /// What `ask` makes of a daemon that says this, with so many descriptors.
    fn asked(answer: &str, descriptors: usize) -> Result<usize, String> {
        let length = u32::try_from(answer.len()).unwrap().to_le_bytes();
        let answer = [&length, answer.as_bytes()].concat();
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
        let daemon = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _: Request = read_frame(&mut stream).unwrap();
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            let all = vec![socket.as_fd(); descriptors];
            let mut space = vec![MaybeUninit::uninit(); 512];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            assert!(all.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(&all)));
            let sent = sendmsg(&stream, &[io::IoSlice::new(&answer)], &mut ancillary, SendFlags::NOSIGNAL).unwrap();
            stream.write_all(&answer[sent..]).unwrap();
        });
        let asked = ask(directory.path()).map(|sockets| sockets.len()).map_err(|error| error.to_string());
        daemon.join().unwrap();
        asked
    }

    #[test]
    fn each_kind_comes_with_its_descriptor() {
        assert_eq!(asked(TWO, 2), Ok(2));
    }

    #[test]
    fn a_daemon_that_accepts_nobody_holds_up_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let _first = UnixStream::connect(&path).unwrap();
        assert_eq!(ask(directory.path()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_daemon_that_hands_over_something_else_is_none() {
        let confused = Err("its daemon does not follow the protocol".to_owned());
        assert_eq!(asked(TWO, 1), confused);
        assert_eq!(asked(TWO, 12), confused);
        assert_eq!(asked(r#"{"seq":1,"reply":"ok"}"#, 0), confused);
        assert!(asked("nonsense", 0).is_err());
    }
}
