//! One sandbox, as the gateway knows it.

mod listener;
mod sockets;

pub(crate) use listener::serve;
pub use sockets::SocketKind;
pub(crate) use sockets::check;

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use crate::audit::{Kind, Protocol, Record, Verdict};
use crate::meter::Meter;
use crate::names::Names;
use crate::pace::Pace;
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::{Limits, Policy};

/// The number in records of what belongs to no connection.
pub(crate) const NO_CONNECTION: u64 = 0;

/// What may be replaced while the sandbox lives.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) session: Option<String>,
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
}

pub(crate) struct Sandbox {
    pub(crate) id: String,
    terms: RwLock<Arc<Terms>>,
    pub(crate) names: Mutex<Names>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) pace: Pace,
    /// Cancelled once it is detached: all its connections end.
    pub(crate) gone: CancellationToken,
}

impl Sandbox {
    pub(crate) fn new(id: String, terms: Terms, shared: &Shared) -> Self {
        let meter = Meter::default();
        meter.set_limit(terms.limits.egress_bytes);
        Self {
            id,
            terms: RwLock::new(Arc::new(terms)),
            names: Mutex::new(Names::new(shared.names)),
            meter: Arc::new(meter),
            pace: Pace::new(),
            gone: shared.tasks.token(),
        }
    }

    pub(crate) fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms.read())
    }

    /// Holds for every decision from now on. Connections that are open stay.
    pub(crate) fn set_terms(&self, terms: Terms) {
        self.meter.set_limit(terms.limits.egress_bytes);
        *self.terms.write() = Arc::new(terms);
    }

    /// Records that something was refused. Nothing waits for it: what is refused does nothing.
    pub(crate) fn deny(&self, shared: &Shared, connection: u64, protocol: Protocol, refusal: &Refusal) {
        self.meter.count_denial();
        let terms = self.terms();
        let record = Record {
            time: shared.clock.now(),
            kind: Kind::Decision,
            sandbox: &self.id,
            session: terms.session.as_deref(),
            connection,
            protocol,
            host: refusal.host.as_deref(),
            address: refusal.address,
            port: refusal.port,
            verdict: Some(Verdict::Deny),
            code: Some(refusal.code),
            up: None,
            down: None,
        };
        shared.spool.note(&record, true);
    }
}
