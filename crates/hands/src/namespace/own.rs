//! What is a sandbox's own where nothing holds it: directories below the hand's, and the processes below its daemon.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use hand_protocol::{OUTPUTS, OVERFLOW, OWN, SESSION, UPLOADS};

use super::{memory, process::Process};

/// Whoever works as this server's user has settings and keys in his home, and an agent is better off without them.
const HOME: &str = "own/home";

/// Rounds of looking and killing.
const ROUNDS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(5);

/// Makes the directories. Returns where the home is, as what is set in the environment.
pub(super) fn make(hand: &Path) -> io::Result<(String, String)> {
    for (place, at) in OWN {
        fs::create_dir_all(hand.join(place))?;
        for part in [OUTPUTS, OVERFLOW, UPLOADS].into_iter().filter(|_| at == SESSION) {
            let name = Path::new(part).file_name().unwrap_or_default();
            fs::create_dir(hand.join(place).join(name))?;
        }
    }
    let home = hand.join(HOME);
    fs::create_dir_all(&home)?;
    let home = home.into_os_string().into_string();
    let home = home.map_err(|_| io::Error::other("the data directory's path is not UTF-8"))?;
    Ok(("HOME".into(), home))
}

/// Removes a directory with all that is in it. This user has made whatever is there, but may not always have left himself
/// the right to remove it.
pub(super) fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            loosen(directory);
            fs::remove_dir_all(directory)
        }
        removed => removed,
    }
}

fn loosen(directory: &Path) {
    let mut left: Vec<PathBuf> = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        let _ = fs::set_permissions(&directory, Permissions::from_mode(0o700));
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        left.extend(entries.filter(|one| one.file_type().is_ok_and(|kind| kind.is_dir())).map(|one| one.path()));
    }
}

/// Ends all that is below the daemon, and then itself. There is no namespace that would end with it.
pub(super) fn end(daemon: &Process) -> io::Result<()> {
    // It must not write down how calls ended that are only now being ended.
    daemon.halt()?;
    thread::sleep(PAUSE);
    for _ in 0..ROUNDS {
        if !daemon.is_alive() {
            break;
        }
        let below = || memory::tree(daemon.pid()).into_iter().filter(|pid| *pid != daemon.pid()).collect::<Vec<_>>();
        let held = below().into_iter().filter_map(|pid| Some((pid, Process::find(pid).ok()?)));
        // What has ended waits for the daemon, which does not reap it any more.
        let held: Vec<_> = held.filter(|(_, process)| process.is_alive()).collect();
        if held.is_empty() {
            break;
        }
        // Asked again once they are held: one may have ended, and its pid be somebody else's.
        let still = below();
        for (_, process) in held.iter().filter(|(pid, _)| still.contains(pid)) {
            process.kill()?;
        }
        thread::sleep(PAUSE);
    }
    daemon.end()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_a_daemon_has_started_ends_with_it() {
        let mut daemon =
            Command::new("/bin/sh").args(["-c", "sleep 4141.41 & wait"]).stdout(Stdio::null()).spawn().unwrap();
        let process = Process::find(i32::try_from(daemon.id()).unwrap()).unwrap();
        let child = loop {
            if let [_, child] = memory::tree(process.pid())[..] {
                break Process::find(child).unwrap();
            }
            thread::sleep(PAUSE);
        };
        end(&process).unwrap();
        // Reaped already.
        let _ = daemon.wait();
        while child.is_alive() {
            thread::sleep(PAUSE);
        }
    }

    #[test]
    fn the_home_lies_below_the_hand_and_is_told() {
        let hand = tempfile::tempdir().unwrap();
        let (name, home) = make(hand.path()).unwrap();
        assert_eq!(name, "HOME");
        assert!(Path::new(&home).starts_with(hand.path()) && Path::new(&home).is_dir());
        assert!(OWN.iter().all(|(place, _)| hand.path().join(place).is_dir()));
        assert!(hand.path().join("own/session/outputs").is_dir());
    }

    #[test]
    fn what_was_closed_is_removed_all_the_same() {
        let hand = tempfile::tempdir().unwrap();
        let closed = hand.path().join("workspace/closed");
        fs::create_dir_all(closed.join("deeper")).unwrap();
        fs::set_permissions(&closed, Permissions::from_mode(0o500)).unwrap();
        remove(&hand.path().join("workspace")).unwrap();
        assert_eq!(fs::read_dir(hand.path()).unwrap().count(), 0);
    }
}
