//! From a name to its addresses, as the machine is configured to.

use std::fs;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use parking_lot::Mutex;

use crate::host::Name;

/// The name has no address, or nobody would say.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Unresolved(pub String);

/// Law: asked once for each connection; what it returns is judged, and one of exactly these addresses is dialled. It
/// may take its time: the caller stops waiting.
#[async_trait]
pub trait Resolve: Send + Sync {
    async fn resolve(&self, name: &Name) -> Result<Vec<IpAddr>, Unresolved>;
}

const CONFIGURATION: &str = "/etc/resolv.conf";

/// The resolvers in `/etc/resolv.conf`. The file is read again when it has changed: the gateway outlives many networks.
#[derive(Default)]
pub struct SystemResolver {
    current: Mutex<Option<Current>>,
}

struct Current {
    resolver: Arc<TokioResolver>,
    configured_at: Option<SystemTime>,
}

impl SystemResolver {
    fn current(&self) -> Result<Arc<TokioResolver>, Unresolved> {
        let configured_at = fs::metadata(CONFIGURATION).and_then(|metadata| metadata.modified()).ok();
        let mut current = self.current.lock();
        if let Some(current) = &*current
            && current.configured_at == configured_at
        {
            return Ok(Arc::clone(&current.resolver));
        }
        let built = TokioResolver::builder_tokio().and_then(|builder| builder.build());
        let resolver = Arc::new(built.map_err(|error| Unresolved(error.to_string()))?);
        *current = Some(Current { resolver: Arc::clone(&resolver), configured_at });
        Ok(resolver)
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &Name) -> Result<Vec<IpAddr>, Unresolved> {
        let resolver = self.current()?;
        // With the dot at its end no search list is tried: the name that was judged is the one that is asked for.
        let found = resolver.lookup_ip(format!("{name}.")).await.map_err(|error| Unresolved(error.to_string()))?;
        let mut addresses: Vec<IpAddr> = found.iter().collect();
        // Many hosts have an address of version 6 and no way to one.
        addresses.sort_by_key(IpAddr::is_ipv6);
        Ok(addresses)
    }
}
