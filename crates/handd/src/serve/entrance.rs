//! Where connections come from: the socket that the launcher has left, or, on a guest kernel, which cannot accept on a
//! socket of the host's, the porter that does.

use std::{
    io,
    os::unix::net::{UnixListener, UnixStream},
    sync::Arc,
};

use hand_protocol::LISTENER_FD;
use rustix::net::sockopt::socket_peercred;

use super::{descriptors, porter::Porter};
use crate::processes;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    Listener,
    Porter,
}

pub(super) enum Door {
    Listener(UnixListener),
    /// One that everything inside can connect to. Only those are let in who come from outside.
    House(UnixListener),
    Porter(Arc<Porter>),
}

impl Door {
    pub(super) fn take(entrance: Entrance) -> io::Result<Self> {
        let descriptor = descriptors::take(LISTENER_FD)?;
        match entrance {
            Entrance::Listener => {
                let listener = UnixListener::from(descriptor);
                listener.set_nonblocking(false)?;
                Ok(Self::Listener(listener))
            }
            Entrance::Porter => Porter::new(descriptor).map(Self::Porter),
        }
    }

    /// The next connection. None once there can be no more.
    pub(super) fn next(&self) -> io::Result<Option<UnixStream>> {
        match self {
            Self::Listener(listener) => listener.accept().map(|(stream, _)| Some(stream)),
            Self::House(listener) => loop {
                let (stream, _) = listener.accept()?;
                if is_from_outside(&stream) {
                    return Ok(Some(stream));
                }
            },
            Self::Porter(porter) => Ok(porter.next()),
        }
    }
}

/// What was started in the sandbox from outside has no parent in it. Nothing inside can have none: who loses his
/// becomes a child of the first process.
fn is_from_outside(stream: &UnixStream) -> bool {
    // As in tests: then there is no outside.
    if !processes::is_init() {
        return true;
    }
    socket_peercred(stream).is_ok_and(|peer| processes::parent(peer.pid) == Some(0))
}
