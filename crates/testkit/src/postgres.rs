//! A PostgreSQL of the tests' own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::{Sweeper, free_port, guarded, in_path, is_root, missing, spawn};

/// The user that PostgreSQL runs as where this process is root, which it refuses to be.
const USER: &str = "postgres";

/// How many more ports are tried: between the search for one and its use, somebody else may take it.
const PORTS: u32 = 3;

/// One server, with any number of databases.
pub struct Cluster {
    programs: PathBuf,
    directory: TempDir,
    /// Dropped behind the directory, which is removed by then.
    _sweeper: Sweeper,
    port: u16,
    settings: Vec<(String, String)>,
    server: Mutex<Option<Child>>,
}

impl Cluster {
    /// A server that is fast, not durable. `None` if PostgreSQL is not installed.
    pub fn start() -> Result<Option<Self>, String> {
        Self::start_with(&[("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")])
    }

    pub fn start_with(settings: &[(&str, &str)]) -> Result<Option<Self>, String> {
        let Some(programs) = programs() else { return missing("PostgreSQL") };
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        if is_root() {
            run(Command::new("chown").arg(USER).arg(directory.path()))?;
        }
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sweeper = Sweeper::of(directory.path())?;
        let server = Mutex::new(None);
        let mut cluster = Self { programs, directory, _sweeper: sweeper, port: free_port(), settings, server };
        let mut init = guarded(&cluster.programs.join("initdb"), cluster.user());
        init.args(["-A", "trust", "-U", "stead", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]).arg(cluster.data());
        run(&mut init)?;
        let mut served = cluster.serve();
        for _ in 0..PORTS {
            if served.is_ok() {
                break;
            }
            cluster.stop();
            cluster.port = free_port();
            served = cluster.serve();
        }
        served.map(|()| Some(cluster))
    }

    /// One server for all tests of this process.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start().expect("PostgreSQL starts")).as_ref()
    }

    fn user(&self) -> Option<&'static str> {
        is_root().then_some(USER)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn serve(&self) -> Result<(), String> {
        let mut command = guarded(&self.programs.join("postgres"), self.user());
        command.arg("-D").arg(self.data());
        let sockets = self.directory.path().display().to_string();
        let port = self.port.to_string();
        let fixed = [
            ("listen_addresses", "127.0.0.1"),
            ("port", port.as_str()),
            ("unix_socket_directories", sockets.as_str()),
            ("max_connections", "300"),
            ("shared_buffers", "64MB"),
        ];
        let chosen = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in fixed.into_iter().chain(chosen) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let log = std::fs::File::options().create(true).append(true).open(self.directory.path().join("log"));
        let log = log.map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        *self.server.lock().expect("the lock is whole") = Some(spawn(command)?);
        for _ in 0..600 {
            // Whoever answers may be another server, and this one gone because the port was taken.
            let answer = self.sql("postgres", "SHOW data_directory");
            if answer.is_ok_and(|directory| Path::new(&directory) == self.data()) {
                return Ok(());
            }
            if self.is_dead() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // The file goes with the directory.
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        Err(format!("PostgreSQL does not start; its log:\n{log}"))
    }

    fn is_dead(&self) -> bool {
        let mut server = self.server.lock().expect("the lock is whole");
        server.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://stead@127.0.0.1:{}/{database}", self.port)
    }

    /// All of a database, as text.
    pub fn dump(&self, database: &str) -> Result<String, String> {
        let mut command = Command::new(self.programs.join("pg_dump"));
        let output = command.arg("--dbname").arg(self.url(database)).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The directory of the server's own programs, such as `pgbench`.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Makes a database, and gives its URL.
    pub fn create_database(&self, name: &str) -> Result<String, String> {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        Ok(self.url(name))
    }

    /// Runs statements; returns what they print.
    pub fn sql(&self, database: &str, text: &str) -> Result<String, String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text]).arg(self.url(database));
        run(&mut psql)
    }

    /// Stands still: connections stay open, and nothing is answered.
    pub fn pause(&self) {
        self.signal_all(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Ends it at once, as a crash would.
    pub fn stop(&self) {
        let child = self.server.lock().expect("the lock is whole").take();
        if let Some(mut child) = child {
            signal(child.id(), Signal::QUIT);
            let _ = child.wait();
        }
    }

    pub fn restart(&self) -> Result<(), String> {
        self.stop();
        self.serve()
    }

    /// The server and the processes that it has made for its connections.
    fn signal_all(&self, sent: Signal) {
        let server = self.server.lock().expect("the lock is whole");
        let Some(server) = server.as_ref().map(Child::id) else { return };
        let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap_or_default();
        signal(server, sent);
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).for_each(|pid| signal(pid, sent));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.resume();
        self.stop();
    }
}

fn signal(pid: u32, sent: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, sent);
    }
}

/// Where a server's programs are, the newest version first: a program in the path may only lead to them.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    places.sort();
    places.reverse();
    places.extend(in_path("postgres").and_then(|file| file.parent().map(Path::to_owned)));
    places.into_iter().find(|place| ["initdb", "postgres", "psql"].iter().all(|name| place.join(name).is_file()))
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
