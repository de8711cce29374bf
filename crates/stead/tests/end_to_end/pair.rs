//! Two nodes of one installation, and which of them does what.

use testkit::postgres::Cluster;

use crate::client::{Client, eventually};
use crate::place::{Database, Place, shared};
use crate::server::Server;

pub(crate) struct Pair {
    cluster: &'static Cluster,
    /// Of the database that both share.
    name: String,
    pub(crate) places: [Place; 2],
}

impl Pair {
    /// On a new database; `config` goes into both nodes' `[node]`.
    pub(crate) fn new(scripts: &[(&str, &str)], config: &str) -> Option<Self> {
        let cluster = shared()?;
        let (name, database) = Database::on(cluster);
        let places = [(); 2].map(|()| Place::on(database.clone(), scripts).with_config(config));
        Some(Self { cluster, name, places })
    }

    pub(crate) fn with_nats(mut self, url: &str) -> Self {
        self.places = self.places.map(|place| place.with_nats(url));
        self
    }

    /// In the order of the places.
    pub(crate) async fn serve(&self) -> Vec<Server> {
        let mut servers = Vec::new();
        for place in &self.places {
            servers.push(place.serve().await);
        }
        servers
    }

    /// The node that works on the session now, which must take a while.
    pub(crate) async fn brain(&self, session: &str) -> usize {
        let sql = format!(
            "SELECT directory FROM sessions JOIN nodes ON nodes.id = lease_owner WHERE sessions.id = '{session}'"
        );
        eventually("a node works on the session", async || {
            let directory = self.cluster.sql(&self.name, &sql).unwrap();
            self.places.iter().position(|place| place.id() == directory)
        })
        .await
    }

    /// The node that has the session's sandbox.
    pub(crate) async fn home(&self, session: &str) -> usize {
        eventually("a node has the session's sandbox", async || {
            self.places.iter().position(|place| place.has_hand(session))
        })
        .await
    }

    /// Stops them in good order, and reads the whole database.
    pub(crate) async fn close(&self, servers: Vec<Server>) {
        for server in servers {
            assert!(server.terminate().await, "{}{}", self.places[0].log(), self.places[1].log());
        }
        self.places[0].db(&["check"]).await;
    }
}

/// A session that has been told to begin.
pub(crate) async fn begun(client: &Client, script: &str) -> String {
    let session = client.session(&format!("script/{script}")).await;
    client.say(&session, "Begin.").await;
    session
}
