//! `stead db`: the database as a whole, while no server uses it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use store::{AnyStore, archive};

use crate::config::Config;
use crate::installation;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Bring the database's schema up to date, as a server does when it starts
    Migrate,
    /// Read everything, and tell what is wrong with it
    Check,
    /// Write everything into one file
    Export {
        /// The file; must not be there yet
        file: PathBuf,
    },
    /// Read a file that `export` wrote into an empty database, of either kind
    Import { file: PathBuf },
}

pub(crate) async fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    let (store, name) = installation::open_alone(config).await?;
    match command {
        // Opening it has done so.
        Command::Migrate => println!("{name}: the schema is up to date"),
        Command::Check => check(&store, &name).await?,
        Command::Export { file } => export(&store, file).await?,
        Command::Import { file } => import(&store, file).await?,
    }
    Ok(())
}

async fn check(store: &AnyStore, name: &str) -> anyhow::Result<()> {
    let bar = bar("checked", None);
    let report = store::check(&**store, |report| bar.set_position(report.rows)).await?;
    bar.finish_and_clear();
    let store::Report { documents, sessions, rows, blobs, faults } = report;
    println!("{name}: {sessions} sessions with {rows} rows, {documents} documents, {blobs} blobs");
    for fault in &faults {
        println!("  {fault}");
    }
    if !faults.is_empty() {
        bail!("{} faults. Stop using this database, keep a copy of it, and restore the last good export", faults.len());
    }
    println!("Nothing is wrong with it.");
    Ok(())
}

async fn export(store: &AnyStore, path: &Path) -> anyhow::Result<()> {
    // Under another name until it is whole, so that half an export is never taken for one.
    let part = path.with_extension("part");
    anyhow::ensure!(!path.exists(), "{} is there already", path.display());
    let file = File::create(&part).with_context(|| format!("{} cannot be written", part.display()))?;
    let mut file = BufWriter::new(file);
    let bar = bar("exported", None);
    let records = archive::export(&**store, &mut file, |records| bar.set_position(records)).await?;
    file.flush()?;
    file.get_ref().sync_all()?;
    std::fs::rename(&part, path)?;
    bar.finish_and_clear();
    println!("{records} records are in {}", path.display());
    Ok(())
}

async fn import(store: &AnyStore, path: &Path) -> anyhow::Result<()> {
    let open = || File::open(path).map(BufReader::new).with_context(|| format!("{} cannot be read", path.display()));
    let records = archive::verify(&mut open()?)?;
    let bar = bar("imported", Some(records));
    archive::import(&**store, &mut open()?, |records| bar.set_position(records))
        .await
        .context("the import has stopped; if the database was empty before, empty it before the next attempt")?;
    bar.finish_and_clear();
    println!("{records} records are imported. Check them with `stead db check`");
    Ok(())
}

fn bar(what: &str, of: Option<u64>) -> ProgressBar {
    let bar = of.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = if of.is_some() { "{bar:30} {pos} of {len} records " } else { "{spinner} {pos} records " };
    // The template is ours, and well formed.
    if let Ok(style) = ProgressStyle::with_template(&format!("{template}{what}")) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
