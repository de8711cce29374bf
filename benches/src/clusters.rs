//! PostgreSQL and NATS for the benches that want them: servers of their own on loopback, gone with the bench.

use anyhow::{Error, Result};
use testkit::nats;
use testkit::postgres::Cluster;

use crate::table::row;

/// A PostgreSQL whose commits are on disk when they return. `None` if it is not installed.
pub(crate) fn postgres() -> Result<Option<Cluster>> {
    Cluster::start_with(&[("fsync", "on")]).map_err(Error::msg)
}

/// An empty database. Returns its URL.
pub(crate) fn database(cluster: &Cluster, name: &str) -> Result<String> {
    cluster.create_database(name).map_err(Error::msg)
}

/// `None` if NATS is not installed.
pub(crate) fn nats() -> Result<Option<nats::Server>> {
    nats::Server::start().map_err(Error::msg)
}

/// Says in the table which figures are left out, so that nobody takes them for forgotten.
pub(crate) fn missing(figure: &str, service: &str) {
    row(figure, &format!("left out: {service} is not installed"), "", "");
}
