//! Server processes that die with whoever started them.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Starts the command so that it ends with this process, however that ends. A process dies with the thread that started it,
/// not with the process, so that thread must live as long as this process does.
pub(crate) fn spawn(mut command: Command) -> Result<Child, String> {
    let (started, told) = mpsc::channel();
    let keeper = std::thread::Builder::new().name("keeper".into()).spawn(move || {
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"));
        let lives = child.is_ok();
        let _ = started.send(child);
        if lives {
            loop {
                std::thread::park();
            }
        }
    });
    keeper.map_err(|error| error.to_string())?;
    told.recv().map_err(|error| error.to_string())?
}

/// `setpriv` ends the process with its parent, and runs it as an ordinary user where that is needed.
pub(crate) fn guarded(program: &Path, user: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(user) = user {
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
    }
    command.arg("--").arg(program);
    command
}

/// Removes a directory when this process has ended, however it ends: what a static has is never dropped.
pub(crate) struct Sweeper(Child);

impl Sweeper {
    pub(crate) fn of(directory: &Path) -> Result<Self, String> {
        let mut sweeper = Command::new("sh");
        // Nobody writes to it: it reads until nobody can. What dies with this process gets a moment to do so.
        sweeper.args(["-c", "read -r _; sleep 1; exec rm -rf -- \"$1\"", "sweeper"]).arg(directory);
        // What ends this process from a terminal is not to end the sweeper, too.
        sweeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        sweeper.spawn().map(Self).map_err(|error| format!("{sweeper:?}: {error}"))
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    places.map(|place| place.join(name)).find(|file| file.is_file())
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port can be had");
    listener.local_addr().expect("a listener has an address").port()
}

/// Waits until somebody listens there.
pub(crate) fn wait_for(port: u16) -> Result<(), String> {
    for _ in 0..600 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("nobody listens on port {port}"))
}

/// What a test does without a service: it is skipped, or fails where nothing may be.
pub(crate) fn missing<T>(service: &str) -> Result<Option<T>, String> {
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        return Err(format!("{service} is not installed, and under CI=true nothing is skipped"));
    }
    eprintln!("SKIPPED: {service} is not installed here");
    Ok(None)
}
