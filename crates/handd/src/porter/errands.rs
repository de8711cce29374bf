//! What the porter does for the daemon, which has no hold of the host's files: archiving what was written.
//!
//! The daemon asks by two bytes, the wish and a number, and is sent one end of a line behind that number. It is as hostile
//! as all that runs inside: what it can ask for is an archive of its own sandbox's files, to itself or to the file of the
//! host's that is there for it, and it waits for its own errands alone.

use std::{
    io::{self, IoSlice, Read, Write},
    mem::MaybeUninit,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::Arc,
    time::Duration,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::{layer::Layer, left::Left, pieces::Pieces, sync};

/// Comes with the descriptor of a connection. Any other byte that comes with one is the number of an errand.
pub(crate) const CONNECTION: u8 = 0;

/// The wish to be sent the archive.
pub(crate) const SAVE: u8 = 1;
/// The wish to have it left in the file. Over its line, all that is said is [`DONE`]: by the porter when the archive is
/// written, by the daemon when it is to count, by the porter when it does.
pub(crate) const LEAVE: u8 = 2;
pub(crate) const DONE: u8 = 1;

/// How long the daemon may take nothing, or say nothing.
const STUCK: Duration = Duration::from_secs(30);

/// What of the host's the daemon would have in a sandbox without a guest kernel.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) layer: Option<Layer>,
    pub(crate) left: Option<Left>,
    /// Bytes that may be written.
    pub(crate) disk: u64,
}

/// Runs errands for the daemon of one kernel, as long as that lives, on a thread of its own.
pub(crate) fn run(inside: UnixStream, files: Arc<Files>) -> io::Result<()> {
    sync::spawn("errands", move || {
        let mut wish = [0; 2];
        while (&inside).read_exact(&mut wish).is_ok() {
            let [wish, number] = wish;
            // What cannot be begun is asked for again, or given up.
            let Ok((line, theirs)) = UnixStream::pair() else { continue };
            if number == CONNECTION || send(&inside, &theirs, number).is_err() {
                continue;
            }
            drop(theirs);
            let _ = match wish {
                SAVE => files.save(&line),
                LEAVE => files.leave(&line),
                _ => Ok(()),
            };
        }
    })
}

impl Files {
    fn save(&self, line: &UnixStream) -> io::Result<()> {
        line.set_write_timeout(Some(STUCK))?;
        let mut pieces = Pieces::new(line);
        let saved = match &self.layer {
            Some(layer) => layer.save(self.disk, &mut pieces),
            None => Err(io::Error::other("what it has written is to become a layer")),
        };
        pieces.end(&saved.err().map(|error| error.to_string()).unwrap_or_default())
    }

    fn leave(&self, mut line: &UnixStream) -> io::Result<()> {
        let (Some(layer), Some(left)) = (&self.layer, &self.left) else { return Ok(()) };
        let written = self.write(layer, left, line).inspect_err(|_| drop(left.clear()));
        written.and_then(|()| line.write_all(&[DONE]))
    }

    fn write(&self, layer: &Layer, left: &Left, mut line: &UnixStream) -> io::Result<()> {
        line.set_nonblocking(true)?;
        let length = left.fill(layer, self.disk, line)?;
        line.set_nonblocking(false)?;
        line.set_read_timeout(Some(STUCK))?;
        line.write_all(&[DONE])?;
        line.read_exact(&mut [0])?;
        left.end(length)
    }
}

/// Sends a descriptor in, behind this byte.
pub(crate) fn send(inside: &UnixStream, stream: &UnixStream, byte: u8) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [stream.as_fd()];
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    sendmsg(inside, &[IoSlice::new(&[byte])], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}
