//! Where servers run: a directory of their own, and a database that several places may share.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hands::Sandbox;
use hands::namespace::{Namespace, Options};
use rustix::process::Pid;
use serde_json::Value;
use tempfile::TempDir;
use testkit::postgres::Cluster;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{KEY, PATIENCE};
use crate::server::Server;

/// A server that cannot start is not to keep anybody waiting.
const SOON: Duration = Duration::from_secs(20);

/// What a place keeps its sessions in.
#[derive(Clone)]
pub(crate) enum Database {
    /// In its own directory.
    Sqlite,
    /// At this URL.
    Postgres(String),
}

impl Database {
    /// A new one on the server that the tests share.
    pub(crate) fn postgres() -> Option<Self> {
        Some(Self::on(shared()?).1)
    }

    /// A new one on this server, and its name there.
    pub(crate) fn on(cluster: &Cluster) -> (String, Self) {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = format!("end_to_end_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let url = cluster.create_database(&name).unwrap();
        (name, Self::Postgres(url))
    }
}

/// The PostgreSQL server that the tests share. Where there is none, the test that asks is skipped, and named.
pub(crate) fn shared() -> Option<&'static Cluster> {
    let cluster = Cluster::shared();
    if cluster.is_none() {
        skipped("PostgreSQL is not installed here");
    }
    cluster
}

/// A PostgreSQL server for one test, that may be ended as a crash would: what it has committed stays.
pub(crate) fn crashing() -> Option<Cluster> {
    let cluster = Cluster::start_with(&[("fsync", "off")]).unwrap();
    if cluster.is_none() {
        skipped("PostgreSQL is not installed here");
    }
    cluster
}

pub(crate) fn skipped(reason: &str) {
    // A test runs in a thread of its name.
    eprintln!("SKIPPED: {}: {reason}", std::thread::current().name().unwrap_or_default());
}

/// A data directory with scripts, on which servers come and go.
pub(crate) struct Place {
    directory: TempDir,
    database: Database,
    nats: Option<String>,
    /// What is in `stead.toml`.
    config: String,
}

impl Place {
    pub(crate) fn new(scripts: &[(&str, &str)]) -> Self {
        Self::on(Database::Sqlite, scripts)
    }

    pub(crate) fn on(database: Database, scripts: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("scripts");
        std::fs::create_dir(&folder).unwrap();
        for (name, text) in scripts {
            std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
        }
        let place = Self { directory, database, nats: None, config: String::new() };
        // Few connections: many servers share one database server.
        place.with_config("[node]\nconnections = 8\n")
    }

    /// With more in `stead.toml`, whose open table is `[node]`.
    pub(crate) fn with_config(mut self, more: &str) -> Self {
        self.config.push_str(more);
        std::fs::write(self.path().join("stead.toml"), &self.config).unwrap();
        self
    }

    /// With doorbells and previews over this server.
    pub(crate) fn with_nats(mut self, url: &str) -> Self {
        self.nats = Some(url.to_owned());
        self
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The program, in the place's own surroundings and no others.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
        command.args(arguments).env_clear().current_dir(self.path()).stdin(Stdio::null());
        for name in ["PATH", "HOME", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("STEAD_LISTEN", "127.0.0.1:0").env("STEAD_DATA_DIR", self.data());
        command
            .env("STEAD_API_KEY", KEY)
            .env("STEAD_SCRIPTS_DIR", self.path().join("scripts"))
            .env("STEAD_LOG", "info");
        if let Database::Postgres(url) = &self.database {
            command.env("STEAD_DATABASE_URL", url);
        }
        if let Some(url) = &self.nats {
            command.env("STEAD_NATS_URL", url);
        }
        command
    }

    pub(crate) async fn serve(&self) -> Server {
        self.serve_with(&[]).await
    }

    /// Starts a server, with more environment variables, and waits until it answers.
    pub(crate) async fn serve_with(&self, variables: &[(&str, String)]) -> Server {
        let told = self.data().join("server.json");
        // An earlier server's.
        let _ = std::fs::remove_file(&told);
        let log = File::options().create(true).append(true).open(self.path().join("log")).unwrap();
        let mut command = self.command(&["serve"]);
        command.envs(variables.iter().map(|(name, value)| (name, value))).stdout(Stdio::null()).stderr(log);
        let mut server = Server::of(command.spawn().unwrap());
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(url) = address(&told) {
                server.client.url = url;
                if server.client.is_answered().await {
                    return server;
                }
            }
            assert!(!server.is_dead(), "the server has ended; its log:\n{}", self.log());
            assert!(Instant::now() < until, "the server does not answer; its log:\n{}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        finish(self.command(arguments)).await
    }

    /// Runs a command that must succeed, on the database as a whole.
    pub(crate) async fn db(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["db"][..], arguments].concat()).await;
        let told = both(&output);
        assert!(output.status.success(), "stead db {arguments:?}: {told}\nthe servers' log:\n{}", self.log());
        told
    }

    /// What a server says that does not start; it has to say so soon.
    pub(crate) async fn refuses(&self, variables: &[(&str, String)]) -> String {
        let mut command = self.command(&["serve"]);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        refused(command).await
    }

    /// The data directory's own id, by which other nodes know it.
    pub(crate) fn id(&self) -> String {
        std::fs::read_to_string(self.data().join("directory_id")).unwrap()
    }

    /// The gateway of this place, if it runs.
    pub(crate) fn gateway(&self) -> Option<Pid> {
        let written = std::fs::read_to_string(self.data().join("gateway/lock")).ok()?;
        Pid::from_raw(written.trim().parse().ok()?).filter(|pid| self.is_gateway(*pid))
    }

    /// No other process, though it may have come to the same number.
    pub(crate) fn is_gateway(&self, pid: Pid) -> bool {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        let line = String::from_utf8(line).unwrap();
        line.contains("gateway") && line.contains(self.data().to_str().unwrap())
    }

    /// Whether the session's sandbox is here.
    pub(crate) fn has_hand(&self, session: &str) -> bool {
        self.data().join("hands").join(session).exists()
    }

    /// Ends what servers have left: a sandbox outlives its server by minutes.
    pub(crate) fn end_sandboxes(&self) {
        // A worker's are its own.
        let directories = [self.data(), self.data().join("worker")];
        let end = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for data_dir in directories {
                    let sandbox = Namespace::new(Options { data_dir, home: String::new() });
                    for hands::Kept { name, .. } in sandbox.kept().await {
                        let _ = sandbox.destroy(&name, None).await;
                    }
                }
            });
        };
        // A runtime cannot be started inside another.
        let _ = std::thread::spawn(end).join();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end_sandboxes();
    }
}

/// What a server of this command says that does not start.
pub(crate) async fn refused(command: Command) -> String {
    let began = Instant::now();
    let output = finish(command).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{told}");
    assert!(began.elapsed() < SOON, "it took {:?} to say: {told}", began.elapsed());
    told
}

async fn finish(command: Command) -> Output {
    let mut command = tokio::process::Command::from(command);
    let output = timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    output.expect("the command ends by itself").unwrap()
}

pub(crate) fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Where a server of this data directory listens.
fn address(file: &Path) -> Option<String> {
    let told: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    told["url"].as_str().map(str::to_owned)
}
