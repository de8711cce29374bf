//! Who connects: to the porter itself, with a question that only the host's side can answer, or to the daemon.

use std::{
    io,
    os::unix::net::{UnixListener, UnixStream},
    sync::Arc,
    thread,
    time::Duration,
};

use hand_protocol::{Answer, Reply, Request, VERSION, Verb, read_frame, write_frame};
use rustix::net::{RecvFlags, recv};

use super::{
    Passage,
    errands::{CONNECTION, send},
};
use crate::{
    clock,
    serve::sockets::Sockets,
    sync::{self, lock},
};

/// A connection on which nothing is said for so long is dropped: whoever makes one speaks at once.
const SILENCE: Duration = Duration::from_secs(10);

/// How long a visitor waits for a kernel that is being started.
const PATIENCE: Duration = Duration::from_secs(5);

/// Neither a question to the porter nor a greeting is longer, in bytes.
const LONGEST: usize = 256;

/// The length that a frame begins with, in bytes.
const LENGTH: usize = 4;

/// Receives visitors for ever, on a thread of its own.
pub(super) fn receive(listener: UnixListener, sockets: Sockets, passage: Arc<Passage>) -> io::Result<()> {
    let sockets = Arc::new(sockets);
    sync::spawn("entrance", move || {
        loop {
            let Ok((stream, _)) = listener.accept() else {
                // Out of descriptors or memory: it may pass.
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            let (sockets, passage) = (Arc::clone(&sockets), Arc::clone(&passage));
            // One that cannot be received is dropped, and comes again.
            let _ = sync::spawn("visitor", move || drop(attend(stream, &sockets, &passage)));
        }
    })
}

fn attend(mut stream: UnixStream, sockets: &Sockets, passage: &Passage) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let first = loop {
        match question(&stream)? {
            Some(Request { seq, verb: Verb::Sockets, .. }) => {
                let _: Request = read_frame(&mut stream).map_err(io::Error::other)?;
                sockets.send(seq, &mut stream)?;
            }
            first => break first,
        }
    };
    // The option belongs to the connection, not to the descriptor.
    stream.set_read_timeout(None)?;
    let greeting = first.filter(|first| first.verb == Verb::Hello { version: VERSION });
    if let Some(epoch) = passage.pass(&stream, greeting.map(|greeting| greeting.epoch))? {
        // What was sent and is not read would take the answer with it.
        let Request { seq, .. } = read_frame(&mut stream).map_err(io::Error::other)?;
        write_frame(&mut stream, &Answer { seq, reply: Reply::Fenced { epoch } }).map_err(io::Error::other)?;
    }
    Ok(())
}

/// The next request, if it is short. Looks at it only, for the daemon must find it whole.
fn question(stream: &UnixStream) -> io::Result<Option<Request>> {
    let mut seen = [0; LENGTH + LONGEST];
    let deadline = clock::now() + SILENCE;
    loop {
        let (_, count) = recv(stream, &mut seen[..], RecvFlags::PEEK)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some((length, rest)) = seen.get(..count).and_then(|seen| seen.split_first_chunk::<LENGTH>()) {
            let length = u32::from_le_bytes(*length) as usize;
            if length > LONGEST {
                return Ok(None);
            }
            if let Some(body) = rest.get(..length) {
                return Ok(serde_json::from_slice(body).ok());
            }
        }
        if clock::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

impl Passage {
    /// Passes a connection in, to the kernel that runs or to the next one. Returns the highest epoch that was greeted with,
    /// if this one is lower: a daemon that was started again knows of none, and the one before it may have promised that
    /// nothing of a lower epoch is begun any more.
    fn pass(&self, stream: &UnixStream, epoch: Option<u64>) -> io::Result<Option<u64>> {
        let deadline = clock::now() + PATIENCE;
        let mut way = lock(&self.way);
        loop {
            if epoch.is_some_and(|epoch| epoch < way.epoch) {
                return Ok(Some(way.epoch));
            }
            if let Some(inside) = &way.inside {
                send(inside, stream, CONNECTION)?;
                way.epoch = way.epoch.max(epoch.unwrap_or_default());
                return Ok(None);
            }
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            way = sync::wait_for(&self.changed, way, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_epoch_is_fenced_off_from_the_next_kernel_too() {
        let passage = Passage::default();
        let (stream, _theirs) = UnixStream::pair().unwrap();
        for (epoch, fenced) in [(Some(3), None), (Some(3), None), (Some(5), None), (Some(4), Some(5)), (None, None)] {
            let (inside, _daemon) = UnixStream::pair().unwrap();
            passage.lead(inside);
            assert_eq!(passage.pass(&stream, epoch).unwrap(), fenced);
            passage.close();
        }
        assert_eq!(passage.pass(&stream, Some(1)).unwrap(), Some(5), "who has no business here need not wait");
    }
}
