//! One connection to a sandbox's daemon: questions go out under a number, answers come back in any order.
//!
//! Two loops, one for each direction, live in one task that the connection owns: it ends with the socket, and is aborted
//! when the connection is dropped. What the daemon sends is bounded and distrusted.

mod wire_format;

use std::{
    collections::HashMap,
    os::fd::AsRawFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hand_protocol::{Answer, Reply, Request, VERSION, Verb};
use parking_lot::Mutex;
use rustix::fs::{CWD, Mode, OFlags, openat};
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use crate::Lost;

/// Frames waiting for the socket to take them. Past that, whoever asks waits.
const QUEUE: usize = 64;

/// A daemon that does not greet by then is none.
const GREETING: Duration = Duration::from_secs(10);

pub(crate) struct Connection {
    epoch: u64,
    outgoing: mpsc::Sender<Vec<u8>>,
    waiting: Arc<Mutex<Waiting>>,
    next: AtomicU64,
    pump: JoinHandle<()>,
}

/// Those who wait for an answer, by number; or why none will come any more.
enum Waiting {
    Open(HashMap<u64, oneshot::Sender<Reply>>),
    Closed(String),
}

impl Connection {
    /// Connects to `socket` in the hand's directory and greets. Returns the daemon's incarnation too.
    pub(crate) async fn open(directory: &Path, epoch: u64) -> Result<(Self, String), Lost> {
        let stream = dial(directory).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                gone(format!("its socket does not answer: {error}"))
            }
            // Want of descriptors or of memory is this server's trouble: the sandbox lives, and must not be replaced for it.
            _ => Lost::Refused(format!("its socket cannot be reached just now: {error}")),
        })?;
        let connection = Self::over(stream, epoch);
        let greeting = timeout(GREETING, connection.ask(Verb::Hello { version: VERSION })).await;
        match greeting.map_err(|_| gone("its daemon does not answer"))?? {
            // The version before is spoken too: a server that was brought up to date finds the sandboxes of the old one.
            Reply::Welcome { version, incarnation } if version == VERSION || version + 1 == VERSION => {
                Ok((connection, incarnation))
            }
            Reply::Welcome { version, .. } => Err(gone(format!("its daemon speaks version {version} of the protocol"))),
            _ => Err(confused()),
        }
    }

    fn over(stream: UnixStream, epoch: u64) -> Self {
        let (read, write) = stream.into_split();
        let (outgoing, frames) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(Waiting::Open(HashMap::new())));
        let pump = spawn(pump(read, write, frames, Arc::clone(&waiting)));
        Self { epoch, outgoing, waiting, next: AtomicU64::new(1), pump }
    }

    /// Asks, and waits for the answer. Dropping the future stops the waiting: what was asked is done all the same, once its
    /// frame has gone out.
    pub(crate) async fn ask(&self, verb: Verb) -> Result<Reply, Lost> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = wire_format::encode(&Request { seq, epoch: self.epoch, verb }).map_err(Lost::Refused)?;
        // Nothing is awaited between the entry and the sending, so that no entry is left behind by a dropped future.
        let Ok(permit) = self.outgoing.reserve().await else { return Err(self.closed()) };
        let (answer, answered) = oneshot::channel();
        match &mut *self.waiting.lock() {
            Waiting::Open(waiting) => waiting.insert(seq, answer),
            Waiting::Closed(why) => return Err(gone(why.clone())),
        };
        permit.send(frame);
        match answered.await {
            Ok(Reply::Fenced { epoch }) => Err(Lost::Fenced(epoch)),
            Ok(Reply::Refused { message }) => Err(Lost::Refused(message)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(self.closed()),
        }
    }

    fn closed(&self) -> Lost {
        match &*self.waiting.lock() {
            Waiting::Closed(why) => gone(why.clone()),
            Waiting::Open(_) => gone("the connection to it has ended"),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

pub(crate) fn gone(why: impl Into<String>) -> Lost {
    Lost::Gone(why.into())
}

/// The daemon answered something that is no answer to what was asked: it is not the daemon that was put there.
pub(crate) fn confused() -> Lost {
    gone("its daemon does not follow the protocol")
}

async fn dial(directory: &Path) -> std::io::Result<UnixStream> {
    // A socket's address holds 108 bytes, a path more: the way through a descriptor is always short.
    let directory = openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    UnixStream::connect(format!("/proc/self/fd/{}/socket", directory.as_raw_fd())).await
}

#[expect(clippy::disallowed_methods, reason = "named here: the pump of one connection, owned and aborted by it")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// Ends when either direction does, and then wakes everybody who still waits.
async fn pump(
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    frames: mpsc::Receiver<Vec<u8>>,
    waiting: Arc<Mutex<Waiting>>,
) {
    let why = tokio::select! {
        why = receive(read, &waiting) => why,
        why = send(write, frames) => why,
    };
    *waiting.lock() = Waiting::Closed(why);
}

async fn receive(read: OwnedReadHalf, waiting: &Mutex<Waiting>) -> String {
    let mut read = BufReader::new(read);
    loop {
        let Answer { seq, reply } = match wire_format::read(&mut read).await {
            Ok(answer) => answer,
            Err(why) => return why,
        };
        if let Waiting::Open(waiting) = &mut *waiting.lock()
            && let Some(answer) = waiting.remove(&seq)
        {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(reply);
        }
    }
}

async fn send(mut write: OwnedWriteHalf, mut frames: mpsc::Receiver<Vec<u8>>) -> String {
    while let Some(frame) = frames.recv().await {
        if let Err(error) = write.write_all(&frame).await {
            return format!("its daemon does not listen: {error}");
        }
    }
    "the connection to it was dropped".into()
}

#[cfg(test)]
mod tests;
