//! Begins the private layer with what an earlier sandbox was put away with.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    os::fd::OwnedFd,
    path::Path,
    process::exit,
};

use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{Signal, WaitOptions, set_parent_process_death_signal, waitpid},
};

use super::{
    confine, descriptors,
    failure::{At, Failure},
    filter, root,
};
use crate::layer::{self, Layer};

pub(super) const STEP: &str = "the files of the sandbox that was put away";

/// Bytes of a reason.
const LONGEST: u64 = 4 << 10;

/// A directory of the stage.
const SPARE: &str = "spare";

/// To be called while this process may still read it.
pub(super) fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| Failure::new(STEP, format!("{}: {error}", path.display())))
}

/// Fills a layer that is empty, on a disk of this size. A process of its own reads the checkpoint, which may be forged:
/// it has given up every right but those over files.
pub(super) fn fill(layer: &Layer, disk: u64, checkpoint: &File) -> Result<(), Failure> {
    fs::create_dir(SPARE).at(STEP)?;
    let spare = root::open(SPARE).at(STEP)?;
    // Whoever waits for this one may give up, and nothing should go on then.
    set_parent_process_death_signal(Some(Signal::KILL)).at(STEP)?;
    let (verdict, tell) = pipe_with(PipeFlags::CLOEXEC).at(STEP)?;
    let Some(child) = descriptors::fork().at(STEP)? else {
        drop(verdict);
        let reason = unpack(layer, disk, &spare, checkpoint).err().unwrap_or_default();
        let _ = File::from(tell).write_all(reason.as_bytes());
        exit(i32::from(!reason.is_empty()))
    };
    drop(tell);
    let mut reason = Vec::new();
    File::from(verdict).take(LONGEST).read_to_end(&mut reason).at(STEP)?;
    let ended = waitpid(Some(child), WaitOptions::empty()).at(STEP)?;
    set_parent_process_death_signal(None).at(STEP)?;
    match ended {
        Some((_, status)) if status.exit_status() == Some(0) => fs::remove_dir(SPARE).at(STEP),
        _ if reason.is_empty() => Err(Failure::new(STEP, format!("what unpacks them has ended: {ended:?}"))),
        _ => Err(Failure::new(STEP, String::from_utf8_lossy(&reason))),
    }
}

fn unpack(layer: &Layer, disk: u64, spare: &OwnedFd, checkpoint: &File) -> Result<(), String> {
    confine::drop_privileges(true).map_err(|error| error.to_string())?;
    filter::install().map_err(Failure::into_reason)?;
    layer::unpack(layer, disk, spare, checkpoint).map_err(|error| match error.kind() {
        ErrorKind::StorageFull => {
            format!("{error}: they need more than the {} MiB that the disk of this sandbox may have", disk >> 20)
        }
        _ => error.to_string(),
    })
}
