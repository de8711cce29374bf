//! One connection to a sandbox's daemon: questions go out under a number, answers come back in any order.
//!
//! Two loops, one for each direction, live in one task that the connection owns: it ends with the stream, and is aborted
//! when the connection is dropped. What the daemon sends is bounded and distrusted.

mod wire_format;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hand_protocol::{Answer, Reply, Request, VERSION, Verb};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncWriteExt, BufReader, ReadHalf, WriteHalf, split},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use crate::{BoxedStream, Lost};

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
    Closed(Failure),
}

/// Why a question has no answer.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The connection is no more. The sandbox may well live, and what was asked may have been done.
    Ended(String),
    Lost(Lost),
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl Connection {
    /// Greets whoever is at the stream's other end. Returns the daemon's incarnation too.
    pub(crate) async fn greet(stream: BoxedStream, epoch: u64) -> Result<(Self, String), Failure> {
        let connection = Self::over(stream, epoch);
        let greeting = timeout(GREETING, connection.ask(Verb::Hello { version: VERSION })).await;
        match greeting.map_err(|_| Failure::Ended("its daemon does not answer".into()))?? {
            // The version before is spoken too: a server that was brought up to date finds the sandboxes of the old one.
            Reply::Welcome { version, incarnation } if version == VERSION || version + 1 == VERSION => {
                Ok((connection, incarnation))
            }
            Reply::Welcome { version, .. } => {
                Err(gone(format!("its daemon speaks version {version} of the protocol")).into())
            }
            _ => Err(confused().into()),
        }
    }

    fn over(stream: BoxedStream, epoch: u64) -> Self {
        let (read, write) = split(stream);
        let (outgoing, frames) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(Waiting::Open(HashMap::new())));
        let pump = spawn(pump(read, write, frames, Arc::clone(&waiting)));
        Self { epoch, outgoing, waiting, next: AtomicU64::new(1), pump }
    }

    /// Asks, and waits for the answer. Dropping the future stops the waiting: what was asked is done all the same, once
    /// its frame has gone out.
    pub(crate) async fn ask(&self, verb: Verb) -> Result<Reply, Failure> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = wire_format::encode(&Request { seq, epoch: self.epoch, verb }).map_err(Lost::Refused)?;
        // Nothing is awaited between the entry and the sending, so that no entry is left behind by a dropped future.
        let Ok(permit) = self.outgoing.reserve().await else { return Err(self.closed()) };
        let (answer, answered) = oneshot::channel();
        match &mut *self.waiting.lock() {
            Waiting::Open(waiting) => waiting.insert(seq, answer),
            Waiting::Closed(why) => return Err(why.clone()),
        };
        permit.send(frame);
        match answered.await {
            Ok(Reply::Fenced { epoch }) => Err(Lost::Fenced(epoch).into()),
            Ok(Reply::Refused { message }) => Err(Lost::Refused(message).into()),
            Ok(reply) => Ok(reply),
            Err(_) => Err(self.closed()),
        }
    }

    fn closed(&self) -> Failure {
        match &*self.waiting.lock() {
            Waiting::Closed(why) => why.clone(),
            Waiting::Open(_) => Failure::Ended("the connection to it has ended".into()),
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

#[expect(clippy::disallowed_methods, reason = "named here: the pump of one connection, owned and aborted by it")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// Ends when either direction does, and then wakes everybody who still waits.
async fn pump(
    read: ReadHalf<BoxedStream>,
    write: WriteHalf<BoxedStream>,
    frames: mpsc::Receiver<Vec<u8>>,
    waiting: Arc<Mutex<Waiting>>,
) {
    let why = tokio::select! {
        why = receive(read, &waiting) => why,
        why = send(write, frames) => why,
    };
    *waiting.lock() = Waiting::Closed(why);
}

async fn receive(read: ReadHalf<BoxedStream>, waiting: &Mutex<Waiting>) -> Failure {
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

async fn send(mut write: WriteHalf<BoxedStream>, mut frames: mpsc::Receiver<Vec<u8>>) -> Failure {
    while let Some(frame) = frames.recv().await {
        let written = async {
            write.write_all(&frame).await?;
            write.flush().await
        };
        if let Err(error) = written.await {
            return Failure::Ended(format!("its daemon does not listen: {error}"));
        }
    }
    Failure::Ended("the connection to it was dropped".into())
}

#[cfg(test)]
mod tests;
