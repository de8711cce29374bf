//! Durable appends of many sessions at once, beside what the database itself does with the same rows.

mod drill;
mod postgres;
mod sqlite;

use std::time::Duration;

use anyhow::Result;
use tokio::runtime::Builder;

use crate::options::Options;
use crate::table::row;

/// Sessions that append at once.
const SESSIONS: usize = 64;

pub(crate) async fn run(options: &Options) -> Result<()> {
    let lasting = Duration::from_secs(options.seconds);
    sqlite::run(options, lasting).await?;
    postgres::run(lasting).await
}

/// `ours` and `limit` are appends in the same time, by the store and by the database itself.
fn tell(database: &str, lasting: Duration, ours: u64, limit: f64, limit_is: &str) {
    let seconds = lasting.as_secs_f64();
    let ours = ours as f64 / seconds;
    let figure = format!("{SESSIONS} sessions append {} rows each time, {database}, {seconds:.0} s", drill::ROWS);
    let told = format!("{limit_is}: {limit:.0} per second");
    row(&format!("{figure}: appends per second"), &format!("{ours:.0}"), "", &told);
    row(&format!("{figure}: share of the database's own limit"), &format!("{:.2}", ours / limit), "0.50", &told);
}

/// Works on threads of its own, as many as there are cores, as the server does: on the one thread of the benches the
/// client of a database would be the limit.
async fn on_threads<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    tokio::task::spawn_blocking(move || runtime.block_on(work)).await?
}
