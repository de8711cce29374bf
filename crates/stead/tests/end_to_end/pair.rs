//! Two nodes of one installation, and which of them does what.

use std::io::Write;
use std::process::{Child, Command, Stdio};

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

    /// Keeps everybody from writing to the table until it is dropped. Reading goes on.
    pub(crate) async fn hold(&self, table: &str) -> Held {
        let mut psql = Command::new(self.cluster.programs().join("psql"));
        psql.args(["-X", "-q"]).arg(self.cluster.url(&self.name)).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut held = Held(psql.spawn().unwrap());
        let lock = format!("BEGIN; LOCK TABLE {table} IN SHARE MODE;\n");
        held.0.stdin.as_mut().unwrap().write_all(lock.as_bytes()).unwrap();
        self.locks(table, "mode = 'ShareLock' AND granted", 1).await;
        held
    }

    /// Waits until so many wait for the table.
    pub(crate) async fn waiting_for(&self, table: &str, count: usize) {
        self.locks(table, "NOT granted", count).await;
    }

    async fn locks(&self, table: &str, condition: &str, count: usize) {
        let sql = format!(
            "SELECT count(*) = {count} FROM pg_locks WHERE relation = '{table}'::regclass AND {condition}
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        );
        eventually("the table has its locks", async || {
            (self.cluster.sql(&self.name, &sql).unwrap() == "t").then_some(())
        })
        .await;
    }

    /// Stops them in good order, and reads the whole database.
    pub(crate) async fn close(&self, servers: Vec<Server>) {
        for server in servers {
            assert!(server.terminate().await, "{}{}", self.places[0].log(), self.places[1].log());
        }
        self.places[0].db(&["check"]).await;
    }
}

/// A table that nobody writes to.
pub(crate) struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A session that has been told to begin.
pub(crate) async fn begun(client: &Client, script: &str) -> String {
    let session = client.session(&format!("script/{script}")).await;
    client.say(&session, "Begin.").await;
    session
}
