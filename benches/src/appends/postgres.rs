//! Over PostgreSQL: the limit is its own pgbench, with the same rows over as many connections as the store has.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};
use store::AnyStore;
use store_postgres::PostgresStore;
use testkit::postgres::Cluster;
use tokio::process::Command;
use wire::Timestamp;

use super::{drill, on_threads, tell};
use crate::clusters;

/// As a server has, if it is not told otherwise.
const CONNECTIONS: u32 = 24;

/// Threads that serve pgbench's connections.
const THREADS: u32 = 2;

/// The database that no store writes to.
const RAW: &str = "raw";

/// What pgbench calls its sessions, before the number of the client that has one.
const NAME: &str = "session-";

pub(super) async fn run(lasting: Duration) -> Result<()> {
    let Some(cluster) = clusters::postgres()? else {
        clusters::missing("appends over PostgreSQL", "PostgreSQL");
        return Ok(());
    };
    // The store makes the tables, for pgbench too.
    let raw = clusters::database(&cluster, RAW)?;
    let made = raw.clone();
    on_threads(async move { open(&made).await.map(drop) }).await?;
    let limit = pgbench(&cluster, raw, lasting).await?;

    let url = clusters::database(&cluster, "store")?;
    let appends = async move {
        let store = open(&url).await?;
        let held = drill::prepare(&store).await?;
        drill::appends(store, held, lasting).await
    };
    let appends = on_threads(appends).await?;
    let limit_is = format!("pgbench with the same rows, {CONNECTIONS} connections");
    tell("PostgreSQL", lasting, appends, limit, &limit_is);
    Ok(())
}

async fn open(url: &str) -> Result<AnyStore> {
    let options = store_postgres::Options { connections: CONNECTIONS, ..Default::default() };
    Ok(Arc::new(PostgresStore::connect(url, options).await?))
}

/// Transactions per second: each client of pgbench appends to a session of its own.
async fn pgbench(cluster: &Cluster, url: String, lasting: Duration) -> Result<f64> {
    let sessions = format!(
        "INSERT INTO sessions (id, workspace, head, epoch, lease_owner, status, runnable, summary)
         SELECT '{NAME}' || n, 'workspace', 1, 1, 'node', 'running', true, '' FROM generate_series(0, {}) n",
        CONNECTIONS - 1
    );
    cluster.sql(RAW, &sessions).map_err(Error::msg)?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("append.sql");
    std::fs::write(&file, script()?)?;
    let program = cluster.programs().join("pgbench");
    let mut command = Command::new(&program);
    command.args(["--no-vacuum", "--protocol=prepared", "--define=head=1"]);
    command.args([format!("--client={CONNECTIONS}"), format!("--jobs={THREADS}")]);
    command.arg(format!("--time={}", lasting.as_secs())).arg("--file").arg(&file).arg(url);
    let output = command.output().await.with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(output.status.success(), "pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    per_second(&told).with_context(|| format!("pgbench told no rate:\n{told}"))
}

fn script() -> Result<String> {
    // Behind a colon pgbench looks for a variable. What stands there instead is as long.
    let plain = |json: &str| json.replace(':', "=");
    let (body, thread, id) = (plain(&drill::body()), format!("sthr_{:024}", 1), format!("sevt_{:024}", 1));
    let summary = plain(&serde_json::to_string(&drill::summary(Timestamp::default()))?);
    let mut script = "BEGIN;\n".to_owned();
    for (number, kind) in (1..).zip(drill::KINDS) {
        script += &format!(
            "INSERT INTO log (session, position, id, thread, at, kind, visibility, refers, body, private) VALUES \
             ('{NAME}' || :client_id, :head + {number}, '{id}', '{thread}', 0, '{kind}', 1, NULL, '{body}', '');\n"
        );
    }
    let rows = drill::ROWS;
    script += &format!(
        "UPDATE sessions SET head = :head + {rows}, epoch = epoch, lease_owner = lease_owner, status = 'running', \
         runnable = true, summary = '{summary}' WHERE id = '{NAME}' || :client_id;\n\
         COMMIT;\n\
         \\set head :head + {rows}\n"
    );
    Ok(script)
}

/// Older versions tell a second rate, which counts the time to connect; the last one does not.
fn per_second(told: &str) -> Option<f64> {
    let mut rates = told.lines().filter_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    rates.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_found_in_what_pgbench_tells() {
        let told = "latency average = 7.9 ms\ninitial connection time = 33.1 ms\n\
                    tps = 3029.171922 (without initial connection time)\n";
        assert_eq!(per_second(told), Some(3_029.171_922));
        assert_eq!(per_second("pgbench: error"), None);
    }

    #[test]
    fn the_only_variables_of_the_script_are_its_own() {
        let script = script().unwrap();
        let names = script.split(':').skip(1).map(|rest| rest.split([' ', ',', ';', '\n']).next().unwrap());
        assert!(names.clone().all(|name| name == "client_id" || name == "head"), "{:?}", names.collect::<Vec<_>>());
        assert_eq!(script.matches("INSERT").count(), drill::ROWS);
    }
}
