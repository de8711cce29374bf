//! The sandboxes that the gateway serves. Whoever controls it may come and go: they stay.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::control::{Attach, Listed};
use crate::meter::Usage;
use crate::sandbox::{Sandbox, SocketKind, Terms, check, serve};
use crate::shared::Shared;
use crate::{Policy, Settings};

/// Bytes of a sandbox's name.
const LONGEST_NAME: usize = 256;

/// Control connections at a time.
const CONTROLLERS: usize = 64;

pub(crate) struct Gateway {
    pub(crate) shared: Arc<Shared>,
    /// Cancelled when somebody asks it to stop.
    pub(crate) stop: CancellationToken,
    /// A permit for each control connection.
    pub(crate) controllers: Arc<Semaphore>,
    attached: Mutex<HashMap<String, Attached>>,
}

struct Attached {
    sandbox: Arc<Sandbox>,
    kinds: Vec<SocketKind>,
    /// Cancelled when other sockets take the place of these.
    listening: CancellationToken,
}

/// Why a wish was not fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

impl Gateway {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let controllers = Arc::new(Semaphore::new(CONTROLLERS));
        Self { shared, stop: CancellationToken::new(), controllers, attached: Mutex::default() }
    }

    /// Whether it serves a sandbox, or somebody who may give it one is connected.
    pub(crate) fn is_needed(&self) -> bool {
        self.controllers.available_permits() < CONTROLLERS || !self.attached.lock().is_empty()
    }

    /// A sandbox that is known already gets new terms, and new sockets if there are any.
    pub(crate) fn attach(self: &Arc<Self>, attach: Attach, descriptors: Vec<OwnedFd>) -> Result<(), Refused> {
        let Attach { sandbox: id, session, policy, limits, sockets: kinds } = attach;
        if id.is_empty() || id.len() > LONGEST_NAME {
            return Err(Refused("a sandbox has a name of at most 256 bytes".into()));
        }
        if kinds.len() != descriptors.len() {
            return Err(Refused(format!("{} sockets were announced, {} came", kinds.len(), descriptors.len())));
        }
        let sockets = check(kinds.iter().copied().zip(descriptors).collect());
        let sockets = sockets.map_err(|wrong| Refused(wrong.to_string()))?;
        let terms = Terms { session, policy, limits };

        let mut attached = self.attached.lock();
        let known = attached.get(&id).map(|known| Arc::clone(&known.sandbox));
        let sandbox = match known {
            Some(sandbox) => {
                sandbox.set_terms(terms);
                sandbox
            }
            None if sockets.is_empty() => return Err(Refused(format!("{id} has nothing to be served on"))),
            None => Arc::new(Sandbox::new(id.clone(), terms, &self.shared)),
        };
        if sockets.is_empty() {
            return Ok(());
        }
        let listening = sandbox.gone.child_token();
        let now = Attached { sandbox: Arc::clone(&sandbox), kinds, listening: listening.clone() };
        if let Some(before) = attached.insert(id, now) {
            before.listening.cancel();
        }
        drop(attached);
        tracing::debug!(sandbox = sandbox.id, "a sandbox is attached");
        let gateway = Arc::clone(self);
        self.shared.tasks.spawn("sockets of a sandbox", listening.clone(), async move {
            serve(Arc::clone(&gateway.shared), Arc::clone(&sandbox), sockets).await;
            gateway.forget(&sandbox, &listening);
        });
        Ok(())
    }

    pub(crate) fn update(&self, id: &str, policy: Policy) -> Result<(), Refused> {
        let sandbox = self.sandbox(id)?;
        let terms = sandbox.terms();
        sandbox.set_terms(Terms { session: terms.session.clone(), policy, limits: terms.limits });
        Ok(())
    }

    /// Ends all its connections. One that is not known is as good as detached.
    pub(crate) fn detach(&self, id: &str) {
        if let Some(attached) = self.attached.lock().remove(id) {
            attached.sandbox.gone.cancel();
        }
    }

    pub(crate) fn list(&self) -> Vec<Listed> {
        let attached = self.attached.lock();
        let listed = attached.iter().map(|(id, attached)| Listed {
            sandbox: id.clone(),
            session: attached.sandbox.terms().session.clone(),
            sockets: attached.kinds.clone(),
            usage: attached.sandbox.meter.usage(),
        });
        let mut listed: Vec<Listed> = listed.collect();
        listed.sort_by(|left, right| left.sandbox.cmp(&right.sandbox));
        listed
    }

    pub(crate) fn usage(&self, id: &str) -> Result<Usage, Refused> {
        Ok(self.sandbox(id)?.meter.usage())
    }

    pub(crate) async fn set(&self, settings: Settings) {
        self.shared.keys.find_at(settings.keys.clone()).await;
        *self.shared.settings.write() = Arc::new(settings);
    }

    fn sandbox(&self, id: &str) -> Result<Arc<Sandbox>, Refused> {
        let attached = self.attached.lock();
        let found = attached.get(id).map(|attached| Arc::clone(&attached.sandbox));
        found.ok_or_else(|| Refused(format!("no sandbox {id} is attached")))
    }

    /// All its sockets have failed, or it has ended. Not if others were attached meanwhile.
    fn forget(&self, sandbox: &Arc<Sandbox>, listening: &CancellationToken) {
        let mut attached = self.attached.lock();
        let is_current = attached.get(&sandbox.id).is_some_and(|now| Arc::ptr_eq(&now.sandbox, sandbox));
        if is_current && !listening.is_cancelled() {
            attached.remove(&sandbox.id);
            sandbox.gone.cancel();
            tracing::debug!(sandbox = sandbox.id, "a sandbox has ended");
        }
    }
}
