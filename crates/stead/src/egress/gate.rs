//! What a sandbox may reach, in the gateway's terms.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use async_trait::async_trait;
use gateway::{Attach, Error, HostPattern, Limits, Policy, SocketKind};
use hands::{Gate, Pass, Reach, Socket};

use super::{Egress, Inner};

/// A gateway may end between its being found and its being asked.
const TRIES: usize = 2;

#[async_trait]
impl Gate for Egress {
    async fn open(&self, pass: Pass<'_>, sockets: Vec<(Socket, OwnedFd)>) -> io::Result<()> {
        let mut last = io::Error::other("the gateway ends whenever it is asked");
        for _ in 0..TRIES {
            self.0.ensure().await?;
            match self.0.attach(&pass, &sockets).await {
                Err(error @ Error::Unreachable(_)) => last = self.0.place.failed(&error),
                Err(error) => return Err(io::Error::other(error)),
                Ok(()) => return Ok(()),
            }
        }
        Err(last)
    }

    async fn close(&self, incarnation: &str) -> io::Result<()> {
        match self.0.impatient.detach(incarnation).await {
            // Where no gateway is, nothing is served.
            Ok(()) | Err(Error::Unreachable(_)) => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

impl Inner {
    async fn attach(&self, pass: &Pass<'_>, sockets: &[(Socket, OwnedFd)]) -> Result<(), Error> {
        let terms = self.terms(pass);
        // One that is served already keeps its sockets, so that no connection is lost that is just coming out of them.
        match self.client.attach(terms.clone(), &[]).await {
            Err(Error::Refused(_)) => {}
            served => return served,
        }
        let outward = sockets.iter().map(|(socket, descriptor)| (kind(*socket), descriptor.as_fd()));
        let all: Vec<(SocketKind, BorrowedFd<'_>)> = outward.chain([(SocketKind::Life, pass.life.as_fd())]).collect();
        self.client.attach(terms, &all).await
    }

    pub(super) fn terms(&self, pass: &Pass<'_>) -> Attach {
        let settings = self.settings.read();
        let egress_bytes = match (pass.network.egress, self.egress) {
            (Some(own), Some(all)) => Some(own.min(all)),
            (own, all) => own.or(all),
        };
        Attach {
            sandbox: pass.incarnation.to_owned(),
            session: Some(pass.name.to_owned()),
            policy: policy(&pass.network.reach, &settings.package_hosts),
            limits: Limits { connections: self.connections, egress_bytes, ..Limits::default() },
            sockets: Vec::new(),
        }
    }
}

fn kind(socket: Socket) -> SocketKind {
    match socket {
        Socket::Proxy => SocketKind::Proxy,
        Socket::DnsUdp => SocketKind::DnsUdp,
        Socket::DnsTcp => SocketKind::DnsTcp,
        Socket::Catch => SocketKind::Other,
    }
}

fn policy(reach: &Reach, package_hosts: &[HostPattern]) -> Policy {
    match reach {
        Reach::Unrestricted => Policy::Unrestricted,
        Reach::Limited { hosts, packages } => {
            let mut hosts = patterns(hosts.iter().cloned());
            if *packages {
                hosts.extend_from_slice(package_hosts);
            }
            Policy::Limited { hosts }
        }
    }
}

/// Those that are none are left out, which opens nothing: they were looked at when they were written down.
pub(super) fn patterns(hosts: impl IntoIterator<Item = String>) -> Vec<HostPattern> {
    let parse = |host: String| {
        let parsed = host.parse::<HostPattern>();
        parsed.inspect_err(|error| tracing::warn!(host, %error, "a host is left out of what may be reached")).ok()
    };
    hosts.into_iter().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(policy: Policy) -> Vec<String> {
        match policy {
            Policy::Limited { hosts } => hosts.iter().map(ToString::to_string).collect(),
            Policy::Unrestricted => panic!("it is not limited"),
        }
    }

    #[test]
    fn package_hosts_are_open_to_those_who_are_to_have_packages() {
        let package_hosts = patterns(["mirror.example".to_owned()]);
        let limited =
            |packages| policy(&Reach::Limited { hosts: vec!["*.example.com".into()], packages }, &package_hosts);
        assert_eq!(listed(limited(true)), ["*.example.com", "mirror.example"]);
        assert_eq!(listed(limited(false)), ["*.example.com"]);
        assert_eq!(policy(&Reach::Unrestricted, &package_hosts), Policy::Unrestricted);
    }

    #[test]
    fn what_is_no_host_opens_nothing() {
        let hosts = vec!["0x7f.1".into(), "*".into(), String::new(), "a/b".into(), "Example.COM.".into()];
        assert_eq!(listed(policy(&Reach::Limited { hosts, packages: true }, &[])), ["example.com"]);
    }
}
