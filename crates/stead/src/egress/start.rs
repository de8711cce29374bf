//! Starting a gateway that belongs to nobody.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use gateway::{Client, Error, Traces, Watch};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::directory;

/// This very program, also when another has been put in its place meanwhile.
const PROGRAM: &str = "/proc/self/exe";

/// All that it is told of the surroundings: nothing of the server's keys is among it.
const PASSED: &[&str] = &["PATH", "STEAD_LOG", "RUST_LOG", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// It takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// For the gateway of another starter to answer, once ours has made way for it.
const OTHERS: Duration = Duration::from_secs(2);

/// Bytes of a log that are kept, with as many of the one before; and that are quoted.
const LONGEST_LOG: u64 = 4 << 20;
const WORDS: u64 = 500;

/// Where a gateway lives, and what it leaves there.
pub(super) struct Place {
    data_dir: PathBuf,
    pub(super) directory: PathBuf,
    log: PathBuf,
}

impl Place {
    pub(super) fn new(data_dir: PathBuf) -> Self {
        let directory = directory(&data_dir);
        Self { log: directory.join("log"), directory, data_dir }
    }

    /// Why there is no way out, with the place where more about it stands.
    pub(super) fn failed(&self, why: &dyn std::fmt::Display) -> io::Error {
        let Traces { pid, .. } = Traces::of(&self.directory);
        let who = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let log = self.log.display();
        io::Error::other(match self.last_words() {
            words if words.is_empty() => format!("the gateway{who} cannot be used: {why}; its log is {log}"),
            words => format!("the gateway{who} cannot be used: {why}; its log, {log}, ends with: {words}"),
        })
    }

    fn last_words(&self) -> String {
        let mut words = Vec::new();
        if let Ok(mut log) = File::open(&self.log) {
            let length = log.metadata().map_or(0, |metadata| metadata.len());
            let _ = log.seek(SeekFrom::Start(length.saturating_sub(WORDS)));
            let _ = log.take(WORDS).read_to_end(&mut words);
        }
        String::from_utf8_lossy(&words).trim().replace('\n', "; ")
    }

    fn open_log(&self) -> io::Result<File> {
        if fs::metadata(&self.log).is_ok_and(|log| log.len() > LONGEST_LOG) {
            fs::rename(&self.log, self.log.with_extension("old"))?;
        }
        File::options().append(true).create(true).mode(0o600).open(&self.log)
    }

    fn spawn(&self) -> io::Result<Child> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let log = self.open_log()?;
        let mut command = Command::new(PROGRAM);
        command.arg0("stead").args(["gateway", "--detached", "--data-dir"]).arg(&self.data_dir);
        command.env_clear().envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // A directory of its own would keep a file system from being taken off.
        command.current_dir("/").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn()
    }
}

/// Returns once the gateway answers. It is not ended with the child that is returned.
pub(super) async fn start(place: &Place, client: &Client) -> io::Result<(Watch, Child)> {
    let mut child = place.spawn().map_err(|error| place.failed(&error))?;
    let mut until = Instant::now() + PATIENCE;
    let mut ended = None;
    loop {
        match client.watch().await {
            Ok(watch) => return Ok((watch, child)),
            Err(Error::Unreachable(_)) => {}
            Err(error) => return Err(place.failed(&error)),
        }
        if ended.is_none()
            && let Some(status) = child.try_wait()?
        {
            ended = Some(status);
            until = until.min(Instant::now() + OTHERS);
        }
        if Instant::now() >= until {
            return Err(match ended {
                Some(status) => place.failed(&format_args!("it has ended at once, with {status}")),
                None => {
                    // Nobody would ever make way for the next one otherwise.
                    let _ = child.start_kill();
                    place.failed(&format_args!("it does not answer within {} s", PATIENCE.as_secs()))
                }
            });
        }
        sleep(PAUSE).await;
    }
}
