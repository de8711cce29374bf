//! A gate that lets nobody out, and tells everybody where they were going.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::OwnedFd,
    sync::Arc,
    thread,
};

use async_trait::async_trait;
use hand_protocol::Socket;
use parking_lot::Mutex;

use crate::{Gate, Network, Pass};

/// Answers every connection with the address that was meant, and keeps what it was given.
#[derive(Default)]
pub(super) struct Echo(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    served: Vec<Served>,
    closed: Vec<String>,
    lives: Vec<OwnedFd>,
}

/// Of one sandbox that is to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) name: String,
    pub(super) incarnation: String,
    pub(super) network: Network,
    pub(super) kinds: Vec<Socket>,
}

impl Echo {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn served(&self) -> Vec<Served> {
        self.0.lock().served.clone()
    }

    pub(super) fn closed(&self) -> Vec<String> {
        self.0.lock().closed.clone()
    }

    /// What tells of the end of the sandbox that was served last.
    pub(super) fn life(&self) -> OwnedFd {
        self.0.lock().lives.pop().expect("a sandbox was served")
    }
}

#[async_trait]
impl Gate for Echo {
    async fn open(&self, pass: Pass<'_>, sockets: Vec<(Socket, OwnedFd)>) -> io::Result<()> {
        let mut heard = self.0.lock();
        heard.served.push(Served {
            name: pass.name.to_owned(),
            incarnation: pass.incarnation.to_owned(),
            network: pass.network.clone(),
            kinds: sockets.iter().map(|(kind, _)| *kind).collect(),
        });
        heard.lives.push(pass.life);
        for (kind, socket) in sockets {
            match kind {
                Socket::Catch | Socket::Proxy | Socket::DnsTcp => serve(kind, TcpListener::from(socket)),
                Socket::DnsUdp => resolve(UdpSocket::from(socket)),
            }
        }
        Ok(())
    }

    async fn close(&self, incarnation: &str) -> io::Result<()> {
        self.0.lock().closed.push(incarnation.to_owned());
        Ok(())
    }
}

/// On a thread that stays until the test's process ends, as nobody else closes the socket.
fn serve(kind: Socket, listener: TcpListener) {
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let meant = original(&stream);
            let mut request = Vec::new();
            // Whole: what is left unread when a connection ends breaks it for the other side.
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                request.extend(byte);
            }
            let body = format!("{kind:?} {meant}\n");
            let _ = write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
}

/// Where a redirected connection was to go.
fn original(stream: &TcpStream) -> SocketAddr {
    let local = stream.local_addr().unwrap();
    let v4 = rustix::net::sockopt::ip_original_dst(stream).map(SocketAddr::V4);
    let v6 = rustix::net::sockopt::ipv6_original_dst(stream).map(SocketAddr::V6);
    match local.ip().to_canonical().is_ipv4() {
        true => v4.unwrap_or(local),
        false => v6.unwrap_or(local),
    }
}

/// Where a question's header ends.
const HEADER: usize = 12;

/// Says of every name that it is 198.18.0.7.
fn resolve(socket: UdpSocket) {
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            let Some(name) = question[HEADER..length].iter().position(|byte| *byte == 0) else { continue };
            // The name's last byte, its type and its class.
            let end = HEADER + name + 5;
            let is_v4 = question[end - 3] == 1;
            let mut answer = question[..end].to_vec();
            answer[2..4].copy_from_slice(&[0x81, 0x80]);
            // One question; an answer to those for an IPv4 address only; nothing besides.
            answer[6..HEADER].copy_from_slice(&[0, u8::from(is_v4), 0, 0, 0, 0]);
            if is_v4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 198, 18, 0, 7]);
            }
            let _ = socket.send_to(&answer, from);
        }
    });
}
