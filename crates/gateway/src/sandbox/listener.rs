//! What comes out of a sandbox's sockets.

use std::io;
use std::net;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustix::net::{
    RecvFlags, SendFlags, Shutdown, SocketAddrAny, SocketFlags, accept_with, recvfrom, sendto, shutdown,
};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::sockets::{Socket, SocketKind, Sockets, set_nonblocking};
use super::{NO_CONNECTION, Sandbox};
use crate::audit::Protocol;
use crate::connection::Connection;
use crate::refusal::{Code, Refusal};
use crate::shared::Shared;
use crate::{dns, entry};

/// Bytes that the kernel keeps of a connection's data, each way: it is our machine's memory, and a sandbox has many.
const BUFFER: usize = 256 << 10;

/// Connections that are accepted together.
const TOGETHER: usize = 32;

/// Nothing that does not block takes so long. A listener that blocks was made to, by whoever shares it.
const STUCK: Duration = Duration::from_secs(10);

/// After a failure, so that no loop spins.
const PAUSE: Duration = Duration::from_millis(50);

/// Failures in a row that end a loop.
const MOST_FAILURES: u32 = 100;

/// Serves the sockets until all have failed, or the sandbox has ended.
pub(crate) async fn serve(shared: Arc<Shared>, sandbox: Arc<Sandbox>, sockets: Sockets) {
    let listeners = sockets.listeners.iter().map(|(kind, socket)| listen(&shared, &sandbox, *kind, socket));
    let resolvers = sockets.resolvers.iter().map(|socket| resolve(&shared, &sandbox, socket));
    let ended = async {
        match &sockets.life {
            // Whether it can be read or has failed, it is over.
            Some(life) => drop(life.readable().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = join(join_all(listeners), join_all(resolvers)) => {}
        () = ended => {}
    }
}

async fn listen(shared: &Arc<Shared>, sandbox: &Arc<Sandbox>, kind: SocketKind, socket: &Socket) {
    let mut failures = 0;
    while failures < MOST_FAILURES {
        let Ok(mut ready) = socket.readable().await else { return };
        let Some((accepted, end)) = accept(Arc::clone(socket.get_ref())).await else {
            tracing::warn!(sandbox = sandbox.id, ?kind, "a listener was made to block, and is given up");
            return;
        };
        if !accepted.is_empty() {
            failures = 0;
        }
        for descriptor in accepted {
            sandbox.pace.keep().await;
            enter(shared, sandbox, kind, descriptor);
        }
        match end {
            None => {}
            Some(Errno::AGAIN) => ready.clear_ready(),
            // Given up by its client before it was taken.
            Some(Errno::CONNABORTED | Errno::INTR) => {}
            Some(error) => {
                tracing::debug!(sandbox = sandbox.id, ?kind, %error, "no connection could be accepted");
                if is_final(error) {
                    return;
                }
                // What the whole process lacks may come back, and whoever takes it must not end the others' way out.
                if !is_want(error) {
                    failures += 1;
                }
                sleep(PAUSE).await;
            }
        }
    }
    tracing::warn!(sandbox = sandbox.id, ?kind, "a listener fails again and again, and is given up");
}

/// Takes what waits, on a thread that may be made to wait: only the listener's own flag says that it does not, and its
/// other holders can change that. Why it stopped before the bound is told too. None if it did wait.
async fn accept(listener: Arc<OwnedFd>) -> Option<(Vec<OwnedFd>, Option<Errno>)> {
    let shared = Arc::clone(&listener);
    let accepting = spawn_blocking(move || {
        // If it fails, so does the rest.
        let _ = set_nonblocking(&shared);
        let mut accepted = Vec::new();
        while accepted.len() < TOGETHER {
            match accept_with(&*shared, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(connection) => {
                    settle(&connection);
                    accepted.push(connection);
                }
                Err(error) => return (accepted, Some(error)),
            }
        }
        (accepted, None)
    });
    match timeout(STUCK, accepting).await {
        Ok(accepted) => accepted.ok(),
        Err(_) => {
            // Wakes the thread that waits there.
            let _ = shutdown(&*listener, Shutdown::Both);
            None
        }
    }
}

/// A connection has the listener's options, which others who hold that can set. With one of them closing would wait for
/// the client, on a thread of ours.
fn settle(connection: &OwnedFd) {
    // What cannot be set was not asked for: the connection is as good without.
    let _ = set_socket_linger(connection, None);
    let _ = set_socket_send_buffer_size(connection, BUFFER);
    let _ = set_socket_recv_buffer_size(connection, BUFFER);
}

/// Whether it is for want of descriptors or memory.
fn is_want(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
}

/// What another attempt would not mend.
fn is_final(error: Errno) -> bool {
    matches!(error, Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP)
}

fn enter(shared: &Arc<Shared>, sandbox: &Arc<Sandbox>, kind: SocketKind, descriptor: OwnedFd) {
    // It was made non-blocking as it was accepted, and nobody else holds it.
    let stream = match TcpStream::from_std(net::TcpStream::from(descriptor)) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(sandbox = sandbox.id, %error, "a connection could not be taken");
            return;
        }
    };
    let Some(place) = sandbox.meter.enter(sandbox.terms().limits.connections, &shared.crowd) else {
        let refusal = Refusal::new(Code::TooManyConnections);
        sandbox.deny(shared, NO_CONNECTION, protocol(kind), &refusal);
        entry::turn_away(&stream, kind, &refusal);
        return;
    };
    let connection = Connection::new(Arc::clone(shared), Arc::clone(sandbox), place);
    shared.tasks.spawn("connection from inside", sandbox.gone.clone(), entry::serve(connection, kind, stream));
}

fn protocol(kind: SocketKind) -> Protocol {
    match kind {
        SocketKind::Proxy => Protocol::Connect,
        SocketKind::Http => Protocol::Http,
        SocketKind::Https => Protocol::Https,
        SocketKind::DnsTcp | SocketKind::DnsUdp => Protocol::Dns,
        SocketKind::Other | SocketKind::Life => Protocol::Tcp,
    }
}

/// Answers queries as they come. Each call says itself that it must not wait.
async fn resolve(shared: &Shared, sandbox: &Sandbox, socket: &Socket) {
    let mut failures = 0;
    let mut buffer = vec![0; dns::LONGEST_DATAGRAM];
    while failures < MOST_FAILURES {
        match socket.async_io(Interest::READABLE, |socket| receive(socket, &mut buffer)).await {
            Ok((length, from)) => {
                failures = 0;
                let query = buffer.get(..length).unwrap_or_default();
                let Some(answer) = dns::answer(shared, sandbox, query) else { continue };
                // A client that does not listen asks again.
                let _ = sendto(&**socket.get_ref(), &answer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL, &from);
            }
            // An earlier answer found nobody.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => {
                tracing::debug!(sandbox = sandbox.id, %error, "no query could be received");
                failures += 1;
                sleep(PAUSE).await;
            }
        }
    }
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrAny)> {
    let (length, _, from) = recvfrom(socket, buffer, RecvFlags::DONTWAIT)?;
    from.map(|from| (length, from)).ok_or_else(|| io::Error::other("a datagram from nobody"))
}

#[cfg(test)]
mod tests;
