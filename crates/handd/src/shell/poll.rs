//! Waiting for whichever of the shell's descriptors has something to say.

use std::{
    io::PipeReader,
    os::{fd::OwnedFd, unix::net::UnixStream},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) output: bool,
    pub(super) readable: bool,
    pub(super) writable: bool,
}

/// Waits for the bell, for output, and for the shell's own socket: to be read, and, if `writing`, to be written.
/// Without a limit it waits for ever. It may come back early with nothing ready.
pub(super) fn wait(
    bell: &OwnedFd,
    output: &PipeReader,
    control: Option<(&UnixStream, bool)>,
    limit: Option<Duration>,
) -> Ready {
    let mut fds = vec![PollFd::new(output, PollFlags::IN), PollFd::new(bell, PollFlags::IN)];
    if let Some((control, writing)) = control {
        let interest = if writing { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        fds.push(PollFd::new(control, interest));
    }
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    if poll(&mut fds, limit.as_ref()).is_err() {
        return Ready::default();
    }
    let seen = |place: usize| fds.get(place).map_or(PollFlags::empty(), PollFd::revents);
    let control = seen(2);
    Ready {
        output: !seen(0).is_empty(),
        // The other end's closing is there to be read, too.
        readable: control.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
        writable: control.contains(PollFlags::OUT),
    }
}

/// Waits for output alone.
pub(super) fn output(output: &PipeReader, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).ok();
    matches!(poll(&mut [PollFd::new(output, PollFlags::IN)], limit.as_ref()), Ok(1..))
}
