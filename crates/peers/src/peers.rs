//! What a node has of its port: previews both ways, and the way to sandboxes elsewhere.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bus::{Heard, Preview, Previews};
use hands::{Address, Dial, Lost, Sandbox};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::DropGuard;
use wire::SessionId;

use crate::audience::Audience;
use crate::interests::Interests;
use crate::remote::Remote;
use crate::secret::Secret;
use crate::socket::{self, PATIENCE};
use crate::tasks::Tasks;
use crate::wants::Want;
use crate::{frame, handshake, left, link, port};

/// What a node lends to the others, and what it hears of them.
pub struct Local {
    /// The id of its data directory, by which the others know it.
    pub directory: String,
    pub sandbox: Arc<dyn Sandbox>,
    pub heard: mpsc::Sender<Heard>,
}

/// The port is open until this is dropped. Then every connection ends, and every task with it.
pub struct Peers {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// What the tasks of the port work with.
pub(crate) struct Shared {
    pub(crate) local: Local,
    pub(crate) secret: Secret,
    pub(crate) audience: Audience,
    pub(crate) interests: Interests,
    pub(crate) tasks: Tasks,
    /// The other nodes that live, by their data directories.
    nodes: Mutex<HashMap<String, Node>>,
}

struct Node {
    address: String,
    /// The connection to it is kept for as long.
    _link: DropGuard,
}

impl Peers {
    /// Port 0 takes any.
    pub async fn listen(listen: SocketAddr, secret: Secret, local: Local) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            local,
            secret,
            audience: Audience::default(),
            interests: Interests::default(),
            tasks: Tasks::new(),
            nodes: Mutex::default(),
        });
        let tasks = &shared.tasks;
        tasks.spawn("internal port", tasks.token(), port::listen(listener, shared.clone()));
        Ok(Self { shared, address })
    }

    /// Where the port is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The other nodes that live, as (data directory, `host:port`). To be told whenever they change, and as often as
    /// one likes: connections to those that are as before stay.
    pub fn set_nodes(&self, nodes: Vec<(String, String)>) {
        let mut wanted: HashMap<_, _> = nodes.into_iter().collect();
        wanted.remove(&self.shared.local.directory);
        let mut nodes = self.shared.nodes.lock();
        nodes.retain(|directory, node| wanted.get(directory) == Some(&node.address));
        for (directory, address) in wanted {
            if nodes.contains_key(&directory) {
                continue;
            }
            let until = self.shared.tasks.token();
            let link = link::keep(self.shared.clone(), directory.clone(), address.clone());
            self.shared.tasks.spawn("link to a node", until.clone(), link);
            nodes.insert(directory, Node { address, _link: until.drop_guard() });
        }
    }

    /// The way to a sandbox that lives on the node of this data directory; `None` if that is not known to live. It
    /// stays good when the node comes back at another address.
    pub fn dialer(&self, directory: &str, address: &Address) -> Option<Arc<dyn Dial>> {
        self.shared.address_of(directory)?;
        Some(Arc::new(Remote::new(self.shared.clone(), directory.to_owned(), address.clone())))
    }

    /// Copies what a sandbox of the node of this data directory was put away as to a new file, which may be there in
    /// part if this fails. `Gone` if that node says that there is nothing.
    pub async fn fetch_left(&self, directory: &str, address: &Address, to: &Path) -> Result<(), Lost> {
        left::fetch(&self.shared, directory, address, to).await
    }

    /// Closes the port, and waits until every connection has ended.
    pub async fn close(&self) {
        self.shared.tasks.stop();
        self.shared.tasks.finish().await;
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.shared.tasks.stop();
    }
}

impl Previews for Peers {
    fn is_wanted(&self, session: SessionId) -> bool {
        self.shared.audience.wants(session)
    }

    fn send(&self, session: SessionId, preview: &Preview) {
        self.shared.audience.send(session, preview);
    }

    fn want(&self, session: SessionId, wanted: bool) {
        self.shared.interests.set(session, wanted);
    }
}

impl Shared {
    pub(crate) fn address_of(&self, directory: &str) -> Option<String> {
        self.nodes.lock().get(directory).map(|node| node.address.clone())
    }

    /// Connects to the node of this data directory, and says what for.
    pub(crate) async fn reach(
        &self,
        directory: &str,
        address: &str,
        want: &Want,
    ) -> Result<TcpStream, handshake::Error> {
        let reaching = async {
            let mut stream = TcpStream::connect(address).await?;
            socket::prepare(&stream);
            handshake::call(&mut stream, &self.secret, &self.local.directory, directory).await?;
            frame::write(&mut stream, want).await?;
            Ok::<_, handshake::Error>(stream)
        };
        timeout(PATIENCE, reaching).await.unwrap_or_else(|_| Err(handshake::Error::Silent))
    }
}

#[cfg(test)]
mod tests;
