//! One connection from inside: whom it asks for, whether it may, and the way there.

mod upstream;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Host;
use crate::audit::{Kind, Protocol, Record, Verdict};
use crate::meter::Place;
use crate::pulse::Pulse;
use crate::refusal::{Code, Refusal};
use crate::sandbox::{Sandbox, Terms};
use crate::shared::Shared;
use crate::stream::BoxedStream;
use crate::web;

use upstream::{End, Upstream};

/// Addresses of one name that are tried.
const TRIES: usize = 4;

/// Whom a program means, with the addresses that stand for names translated back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl Asked {
    pub(crate) fn refusal(&self, code: Code) -> Refusal {
        Refusal::new(code).host(&self.host.to_string()).port(self.port)
    }
}

/// A way out that stands. What passes is counted, and its end recorded.
pub(crate) struct Reached {
    pub(crate) stream: BoxedStream,
    pub(crate) address: IpAddr,
}

pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) pulse: Pulse,
    number: u64,
    _place: Place,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, sandbox: Arc<Sandbox>, place: Place) -> Self {
        let number = shared.next_connection();
        Self { shared, sandbox, pulse: Pulse::new(), number, _place: place }
    }

    pub(crate) fn terms(&self) -> Arc<Terms> {
        self.sandbox.terms()
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.terms().policy.is_limited()
    }

    pub(crate) fn deny(&self, protocol: Protocol, refusal: &Refusal) {
        self.sandbox.deny(&self.shared, self.number, protocol, refusal);
    }

    /// An address that stands for a name means that name.
    pub(crate) fn meant(&self, host: Host, port: u16) -> Result<Asked, Refusal> {
        let host = match host {
            Host::Address(IpAddr::V4(address)) if self.shared.names.contains(&address) => {
                let name = self.sandbox.names.lock().name_of(address);
                let unknown = || Refusal::new(Code::AddressUnknown).host(&address.to_string()).port(port);
                Host::Name(name.ok_or_else(unknown)?)
            }
            host => host,
        };
        Ok(Asked { host, port })
    }

    /// What can be said before anything is looked up. Nothing about a name that is refused here ever leaves.
    pub(crate) fn permit(&self, asked: &Asked) -> Result<(), Refusal> {
        if !self.terms().policy.permits(&asked.host) {
            return Err(match asked.host {
                Host::Name(_) => asked.refusal(Code::HostNotAllowed),
                Host::Address(address) => asked.refusal(Code::AddressNotListed).address(address),
            });
        }
        if self.sandbox.meter.is_spent() {
            return Err(asked.refusal(Code::EgressLimit));
        }
        Ok(())
    }

    /// The way to whom is asked for: resolved once, judged, recorded, and dialled at an address that was judged.
    pub(crate) async fn reach(&self, protocol: Protocol, asked: &Asked) -> Result<Reached, Refusal> {
        self.permit(asked)?;
        let addresses = self.addresses(asked).await?;
        // One that swallows packets must not use up the time of the next.
        let tries = addresses.len().clamp(1, TRIES);
        let each = self.shared.timeouts.connect / u32::try_from(tries).unwrap_or(1);
        let mut refusal = asked.refusal(Code::Unreachable);
        for address in addresses.into_iter().take(tries) {
            self.allow(protocol, asked, address).await?;
            let code = match timeout(each, TcpStream::connect(SocketAddr::new(address, asked.port))).await {
                Ok(Ok(stream)) => return Ok(self.reached(protocol, asked, address, stream)),
                Ok(Err(error)) => {
                    tracing::debug!(%address, port = asked.port, %error, "an address does not answer");
                    Code::Unreachable
                }
                Err(_) => Code::Timeout,
            };
            refusal = asked.refusal(code).address(address);
        }
        Err(refusal)
    }

    /// The way for a tunnel. None where it leads to plain HTTP that must be looked at: each request then finds its own.
    pub(crate) async fn open(&self, protocol: Protocol, asked: &Asked) -> Result<Option<BoxedStream>, Refusal> {
        if self.is_limited() && asked.port == web::PORT {
            self.permit(asked)?;
            return Ok(None);
        }
        Ok(Some(self.reach(protocol, asked).await?.stream))
    }

    /// Decides anew about a way that stands already, for another request over it.
    pub(crate) async fn reach_again(&self, protocol: Protocol, asked: &Asked, at: IpAddr) -> Result<(), Refusal> {
        self.permit(asked)?;
        if let Some(class) = self.shared.settings().forbids(&asked.host, at) {
            return Err(asked.refusal(Code::AddressForbidden).address(at).class(class));
        }
        self.allow(protocol, asked, at).await
    }

    /// Those that may be reached, never none.
    async fn addresses(&self, asked: &Asked) -> Result<Vec<IpAddr>, Refusal> {
        let settings = self.shared.settings();
        let found = match &asked.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => match settings.hosts.get(name) {
                Some(address) => vec![*address],
                None => match timeout(self.shared.timeouts.resolve, self.shared.resolver.resolve(name)).await {
                    Ok(Ok(found)) => found,
                    Ok(Err(error)) => {
                        tracing::debug!(%name, %error, "a name was not resolved");
                        return Err(asked.refusal(Code::NameUnresolved));
                    }
                    Err(_) => return Err(asked.refusal(Code::NameUnresolved)),
                },
            },
        };
        let mut refusal = asked.refusal(Code::NameUnresolved);
        let mut open = Vec::new();
        for address in found {
            match settings.forbids(&asked.host, address) {
                Some(class) => refusal = asked.refusal(Code::AddressForbidden).address(address).class(class),
                None => open.push(address.to_canonical()),
            }
        }
        if open.is_empty() { Err(refusal) } else { Ok(open) }
    }

    /// Returns once it is on disk that the connection is let through.
    async fn allow(&self, protocol: Protocol, asked: &Asked, address: IpAddr) -> Result<(), Refusal> {
        let terms = self.terms();
        let host = asked.host.to_string();
        let record = Record {
            time: self.shared.clock.now(),
            kind: Kind::Decision,
            sandbox: &self.sandbox.id,
            session: terms.session.as_deref(),
            connection: self.number,
            protocol,
            host: Some(&host),
            address: Some(address),
            port: Some(asked.port),
            verdict: Some(Verdict::Allow),
            code: None,
            up: None,
            down: None,
        };
        self.shared.spool.write(&record).await.map_err(|_| asked.refusal(Code::AuditUnavailable).address(address))
    }

    fn reached(&self, protocol: Protocol, asked: &Asked, address: IpAddr, stream: TcpStream) -> Reached {
        self.sandbox.meter.count_connection();
        let end = End {
            shared: Arc::clone(&self.shared),
            sandbox: Arc::clone(&self.sandbox),
            connection: self.number,
            protocol,
            asked: asked.clone(),
            address,
        };
        Reached { stream: Box::new(Upstream::new(stream, self.pulse.clone(), end)), address }
    }
}

#[cfg(test)]
mod tests;
