//! The way out: sockets that the sandbox's programs connect to without knowing, and that whoever is the gate serves.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
    sync::{Arc, Mutex},
    thread,
};

use async_trait::async_trait;
use hands::{Gate, Network, Pass, Reach, Sandbox, Socket, Spec};

use crate::bench::{Bench, LIMITS, bash, open};

/// Answers every connection with the address that was meant, and keeps what it was given.
#[derive(Default)]
struct Echo {
    served: Mutex<Vec<(String, Vec<Socket>)>>,
    closed: Mutex<Vec<String>>,
    lives: Mutex<Vec<OwnedFd>>,
}

#[async_trait]
impl Gate for Echo {
    async fn open(&self, pass: Pass<'_>, sockets: Vec<(Socket, OwnedFd)>) -> io::Result<()> {
        let kinds = sockets.iter().map(|(kind, _)| *kind).collect();
        self.served.lock().unwrap().push((pass.name.to_owned(), kinds));
        self.lives.lock().unwrap().push(pass.life);
        for (kind, socket) in sockets {
            match kind {
                Socket::Catch | Socket::Proxy | Socket::DnsTcp => serve(kind, TcpListener::from(socket)),
                Socket::DnsUdp => resolve(UdpSocket::from(socket)),
            }
        }
        Ok(())
    }

    async fn close(&self, incarnation: &str) -> io::Result<()> {
        self.closed.lock().unwrap().push(incarnation.to_owned());
        Ok(())
    }
}

fn serve(kind: Socket, listener: TcpListener) {
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let meant = original(&stream);
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request);
            let body = format!("{kind:?} {meant}\n");
            let _ = write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
}

/// Where a redirected connection was to go.
fn original(stream: &std::net::TcpStream) -> SocketAddr {
    let local = stream.local_addr().unwrap();
    let v4 = rustix::net::sockopt::ip_original_dst(stream).map(SocketAddr::V4);
    let v6 = rustix::net::sockopt::ipv6_original_dst(stream).map(SocketAddr::V6);
    match local.ip().to_canonical().is_ipv4() {
        true => v4.unwrap_or(local),
        false => v6.unwrap_or(local),
    }
}

/// Says of every name that it is 198.18.0.7.
fn resolve(socket: UdpSocket) {
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            let mut answer = question[..length].to_vec();
            answer[2] = 0x81;
            answer[3] = 0x80;
            // One question; an answer to those for an IPv4 address only; nothing besides.
            let end = 12 + question[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
            let is_v4 = question[end - 3] == 1;
            answer[6..12].copy_from_slice(&[0, u8::from(is_v4), 0, 0, 0, 0]);
            answer.truncate(end);
            if is_v4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 198, 18, 0, 7]);
            }
            let _ = socket.send_to(&answer, from);
        }
    });
}

fn bench() -> (Bench, Arc<Echo>) {
    let gate = Arc::new(Echo::default());
    let mut bench = Bench::new();
    bench.sandbox = open(bench.data.path()).with_gate(gate.clone());
    (bench, gate)
}

fn spec() -> Spec {
    let network = Network { reach: Reach::Unrestricted, egress: None };
    Spec { name: "one".into(), limits: LIMITS, network: Some(network), ..Spec::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_program_connects_to_the_gate_is_told_of() {
    let (bench, gate) = bench();
    let hand = bench.provision(&spec()).await;
    for (url, heard) in [
        ("http://203.0.113.7/", "Catch 203.0.113.7:80"),
        ("http://203.0.113.7:8443/", "Catch 203.0.113.7:8443"),
        ("http://[2001:db8::7]:99/", "Catch [2001:db8::7]:99"),
        ("http://some.name.example/", "Catch 198.18.0.7:80"),
        ("http://169.254.169.254/latest/", "Catch 169.254.169.254:80"),
    ] {
        assert_eq!(bash(&*hand, &format!("curl -sS -m 5 {url}")).await, heard);
    }
    let proxied = bash(&*hand, "curl -sS -m 5 -x http://127.0.0.1:3128 http://203.0.113.9/").await;
    assert!(proxied.starts_with("Proxy "), "{proxied}");
    let own = "python3 -m http.server 8000 --bind 127.0.0.1 >/dev/null 2>&1 & sleep 1; \
               curl -sS -m 5 -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/; kill $!";
    assert_eq!(bash(&*hand, own).await, "200");
    let served = gate.served.lock().unwrap().clone();
    assert_eq!(served, [("one".into(), vec![Socket::Proxy, Socket::DnsUdp, Socket::DnsTcp, Socket::Catch])]);
    bench.end().await;
    assert_eq!(gate.closed.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_gate_is_given_the_same_sockets() {
    let (mut bench, _) = bench();
    let hand = bench.provision(&spec()).await;
    let gate = Arc::new(Echo::default());
    bench.sandbox = open(bench.data.path()).with_gate(gate.clone());
    bench.sandbox.reopen().await.unwrap();
    assert_eq!(gate.served.lock().unwrap().len(), 1);
    let heard = bash(&*hand, "curl -sS -m 5 http://203.0.113.7/").await;
    assert_eq!(heard, "Catch 203.0.113.7:80");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_gate_a_sandbox_that_wants_a_network_is_not_made() {
    let bench = Bench::new();
    let refused = bench.sandbox.provision(&spec(), 1).await.err().unwrap().to_string();
    assert!(refused.contains("no gateway"), "{refused}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ports_of_the_gate_and_its_rules_are_out_of_a_programs_reach() {
    let (bench, _) = bench();
    let hand = bench.provision(&spec()).await;
    let steal = "python3 - <<'END'\n\
        import socket\n\
        for port in (53, 3128, 3129):\n\
        \x20   for option in (None, socket.SO_REUSEADDR, socket.SO_REUSEPORT):\n\
        \x20       s = socket.socket()\n\
        \x20       if option: s.setsockopt(socket.SOL_SOCKET, option, 1)\n\
        \x20       try:\n\
        \x20           s.bind(('127.0.0.1', port)); print('bound', port)\n\
        \x20       except OSError as error: print(error.errno)\n\
        try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12); print('netfilter')\n\
        except OSError as error: print(error.errno)\n\
        END";
    let said = bash(&*hand, steal).await;
    assert!(!said.contains("bound"), "{said}");
    let rules = bash(&*hand, "ip route del local default dev lo 2>&1; ip link set lo down 2>&1; echo $?").await;
    assert!(!rules.ends_with("\n0") && rules != "0", "{rules}");
    assert_eq!(bash(&*hand, "curl -sS -m 5 http://203.0.113.7/").await, "Catch 203.0.113.7:80");
    bench.end().await;
}
