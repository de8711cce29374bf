//! The sockets that lead out. The daemon never reads from them: it keeps them, so that whoever serves them may come and go.

use std::{
    io::{self, IoSlice, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use hand_protocol::{Answer, Error, MAX_SOCKETS, Reply, SOCKETS_FD, Socket, write_frame};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::descriptors;

pub(crate) struct Sockets(Vec<(Socket, OwnedFd)>);

impl Sockets {
    /// Takes those over that the launcher has left, of these kinds.
    pub(crate) fn take(kinds: &[Socket]) -> io::Result<Self> {
        let numbers = SOCKETS_FD..SOCKETS_FD + MAX_SOCKETS;
        let taken = numbers.zip(kinds).map(|(number, kind)| Ok((*kind, descriptors::take(number)?)));
        Ok(Self(taken.collect::<io::Result<_>>()?))
    }

    /// Answers with a copy of each, which travel with the answer's first bytes.
    pub(crate) fn send(&self, seq: u64, stream: &mut UnixStream) -> io::Result<()> {
        let kinds = self.0.iter().map(|(kind, _)| *kind).collect();
        let mut answer = Vec::new();
        write_frame(&mut answer, &Answer { seq, reply: Reply::Sockets { kinds } }).map_err(|error| match error {
            Error::Io(error) => error,
            error => io::Error::other(error),
        })?;
        let descriptors: Vec<_> = self.0.iter().map(|(_, socket)| socket.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS as usize))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::other("more sockets than a message holds"));
        }
        let sent = sendmsg(&mut *stream, &[IoSlice::new(&answer)], &mut ancillary, SendFlags::NOSIGNAL)?;
        stream.write_all(answer.get(sent..).unwrap_or_default())
    }
}
