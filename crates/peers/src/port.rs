//! The side that is connected to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hands::{Address, Lost};
use tokio::io::{AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout_at};

use crate::audience::Place;
use crate::frame::{self, MOST};
use crate::handshake;
use crate::left;
use crate::peers::Shared;
use crate::socket::{self, PATIENCE};
use crate::wants::{Interest, Verdict, Want};

/// Connections at a time whose other side has proven nothing yet.
const STRANGERS: usize = 64;

/// After a connection that could not be accepted, for want of descriptors perhaps.
const PAUSE: Duration = Duration::from_millis(50);

/// Frames that are written together.
const TOGETHER: usize = 64;

/// The port's task: it ends with the port. A connection that fails is the business of its own task.
pub(crate) async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection to the internal port could not be accepted");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = strangers.clone().try_acquire_owned() else {
            tracing::warn!(target: "audit", %peer, "turned away from the internal port: too many wait there unproven");
            continue;
        };
        let tasks = &shared.tasks;
        tasks.spawn("connection of a node", tasks.token(), serve(shared.clone(), stream, peer, permit));
    }
}

/// A connection's task: it ends with the connection, or with the port. Its failure is the connection's end.
async fn serve(shared: Arc<Shared>, mut stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
    socket::prepare(&stream);
    let deadline = Instant::now() + PATIENCE;
    let known = timeout_at(deadline, handshake::answer(&mut stream, &shared.secret, &shared.local.directory)).await;
    let from = match known.unwrap_or(Err(handshake::Error::Silent)) {
        Ok(from) => from,
        Err(error @ handshake::Error::Misdirected(_)) => {
            tracing::debug!(%peer, %error, "a node has called a wrong address");
            return;
        }
        Err(error) => {
            tracing::warn!(target: "audit", %peer, %error, "turned away from the internal port");
            return;
        }
    };
    drop(permit);
    match timeout_at(deadline, frame::read(&mut stream, MOST)).await {
        Ok(Ok(Want::Previews)) => send_previews(&shared, stream).await,
        Ok(Ok(Want::Hand { address })) => lend(&shared, stream, &address).await,
        Ok(Ok(Want::Checkpoint { address })) => left::give(&shared, stream, &address).await,
        Ok(Err(error)) => tracing::debug!(from, %error, "a node has said nothing that is understood"),
        Err(_) => tracing::debug!(from, "a node has not said what it wants"),
    }
}

/// Ends when either direction does.
async fn send_previews(shared: &Shared, stream: TcpStream) {
    let (read, write) = stream.into_split();
    let (place, frames) = shared.audience.enter();
    tokio::select! {
        () = take_wishes(read, &place) => {}
        () = send(write, frames) => {}
    }
}

async fn take_wishes(read: OwnedReadHalf, place: &Place<'_>) {
    let mut read = BufReader::new(read);
    loop {
        match frame::read(&mut read, MOST).await {
            Ok(Interest::Want(session)) => place.want(session),
            Ok(Interest::Unwant(session)) => place.unwant(session),
            Err(_) => return,
        }
    }
}

async fn send(mut write: OwnedWriteHalf, mut frames: mpsc::Receiver<Bytes>) {
    let mut waiting = Vec::new();
    while frames.recv_many(&mut waiting, TOGETHER).await > 0 {
        let mut together = Vec::new();
        waiting.drain(..).for_each(|frame| together.extend_from_slice(&frame));
        if write.write_all(&together).await.is_err() {
            return;
        }
    }
}

/// Passes the bytes of one sandbox on, unread, until either side has ended.
async fn lend(shared: &Shared, mut stream: TcpStream, address: &Address) {
    let dialled = if address.home.as_ref() == Some(&shared.local.directory) {
        shared.local.sandbox.dial(address).await
    } else {
        Err(Lost::Refused("it does not live on the node that was asked for it".into()))
    };
    let (mut hand, verdict) = match dialled {
        Ok(hand) => (Some(hand), Verdict::Reached { ok: true }),
        Err(lost) => (None, Verdict::from(lost)),
    };
    if frame::write(&mut stream, &verdict).await.is_ok()
        && let Some(hand) = &mut hand
    {
        // How it ended matters to neither: a connection is not the sandbox.
        let _ = copy_bidirectional(&mut stream, hand).await;
    }
}
