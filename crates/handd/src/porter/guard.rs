//! What a guest kernel does not bound: the memory of its processes, which it keeps in one file without a name, and the
//! journal, which anybody inside can write to, for it lets them open the daemon's descriptors.

use std::{
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::PathBuf,
    process::exit,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{complain, processes, sync};

const ROUND: Duration = Duration::from_millis(250);

/// Bytes of journal. What tools answer is cut, so that no session's comes near it.
const JOURNAL: u64 = 4 << 30;

/// How the file begins that holds the processes' memory.
const MEMORY: &str = "/memfd:runsc-memory";

/// The unit in which a file's blocks are counted, in bytes.
const BLOCK: u64 = 512;

#[derive(Clone, Default)]
pub(super) struct Watched {
    /// Which kernel runs. 0 while none does.
    kernel: Arc<AtomicI32>,
    /// Whether one was ended for its memory.
    was_short: Arc<AtomicBool>,
}

impl Watched {
    pub(super) fn set(&self, kernel: Option<Pid>) {
        self.kernel.store(kernel.map_or(0, Pid::as_raw_pid), Ordering::Relaxed);
    }

    /// Whether the last one was ended for its memory. True once for each.
    pub(super) fn was_short(&self) -> bool {
        self.was_short.swap(false, Ordering::Relaxed)
    }
}

/// Looks after the kernel that runs, for ever, on a thread of its own.
pub(super) fn watch(watched: Watched, memory: u64, journal: OwnedFd) -> io::Result<()> {
    let journal = File::from(journal);
    sync::spawn("guard", move || {
        let mut found = None;
        loop {
            thread::sleep(ROUND);
            if journal.metadata().is_ok_and(|metadata| metadata.len() > JOURNAL) {
                complain("porter: the journal is larger than any session's");
                processes::end_all(None);
                exit(1);
            }
            let Some(kernel) = Pid::from_raw(watched.kernel.load(Ordering::Relaxed)) else { continue };
            if used(kernel, &mut found).is_some_and(|used| used > memory) {
                complain("porter: over its memory: all processes of the sandbox are ended");
                watched.was_short.store(true, Ordering::Relaxed);
                let _ = kill_process(kernel, Signal::KILL);
            }
        }
    })
}

/// Bytes of memory that the kernel's processes hold. Remembers where that stands, for finding it takes longer.
fn used(kernel: Pid, found: &mut Option<PathBuf>) -> Option<u64> {
    let directory = PathBuf::from(format!("/proc/{}/fd", kernel.as_raw_pid()));
    if found.as_ref().is_none_or(|path| !path.starts_with(&directory) || !path.exists()) {
        *found = fs::read_dir(&directory).ok()?.flatten().map(|entry| entry.path()).find(is_memory);
    }
    Some(fs::metadata(found.as_ref()?).ok()?.blocks().saturating_mul(BLOCK))
}

fn is_memory(path: &PathBuf) -> bool {
    fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with(MEMORY))
}
