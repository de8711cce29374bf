//! What is left of the disk.

use std::path::Path;

use rustix::fs::{StatVfs, statvfs};

/// The least that any file takes, in bytes.
const PAGE: u64 = 4_096;

/// The file system that takes what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// In bytes.
    pub(super) size: u64,
    pub(super) free: u64,
    /// Files and directories that there may be. 0 where nothing bounds their number.
    pub(super) files: u64,
    pub(super) free_files: u64,
}

impl Room {
    /// The one of these places that has nothing left, or else the last that tells what it has.
    pub(super) fn of(places: &[&Path]) -> Option<Self> {
        let rooms = places.iter().filter_map(|place| statvfs(*place).ok().map(Self::from));
        rooms.reduce(|one, other| if one.is_full() { one } else { other })
    }

    /// What the model reads of it: where there is none left, and with `missed`, where something has asked for more than
    /// there is. `limit` is what the sandbox may write, in bytes: what is larger is somebody else's too.
    pub(super) fn line(&self, limit: u64, missed: bool) -> Option<String> {
        let is_ours = self.size <= limit.saturating_add(PAGE);
        if self.lacks_bytes() {
            return Some(if is_ours {
                format!("[the sandbox's disk limit of {} is reached]", mebibytes(limit))
            } else {
                "[the disk that keeps the sandbox's files is full]".to_owned()
            });
        }
        if self.lacks_files() {
            return Some(if is_ours {
                format!("[the sandbox's limit of {} files and directories is reached]", self.files)
            } else {
                "[the disk that keeps the sandbox's files takes no more files]".to_owned()
            });
        }
        let (limit, free) = (mebibytes(limit), mebibytes(self.free));
        (missed && is_ours).then(|| format!("[the sandbox's disk limit is {limit}, of which {free} are free now]"))
    }

    fn is_full(&self) -> bool {
        self.lacks_bytes() || self.lacks_files()
    }

    fn lacks_bytes(&self) -> bool {
        self.size > 0 && self.free < PAGE
    }

    fn lacks_files(&self) -> bool {
        self.files > 0 && self.free_files == 0
    }
}

impl From<StatVfs> for Room {
    fn from(found: StatVfs) -> Self {
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Self {
            size: bytes(found.f_blocks),
            free: bytes(found.f_bavail),
            files: found.f_files,
            free_files: found.f_favail,
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    match bytes >> 20 {
        0 => "less than 1 MiB".to_owned(),
        whole => format!("{whole} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 64 << 20;
    const ROOM: Room = Room { size: LIMIT, free: 12 << 20, files: 1_000, free_files: 10 };

    fn line(room: Room, missed: bool) -> String {
        room.line(LIMIT, missed).unwrap_or_default()
    }

    #[test]
    fn a_full_disk_is_the_sandboxs_limit_or_somebody_elses_disk() {
        assert_eq!(line(Room { free: 4_095, ..ROOM }, false), "[the sandbox's disk limit of 64 MiB is reached]");
        let large = Room { size: 1 << 40, free: 0, ..ROOM };
        assert_eq!(line(large, true), "[the disk that keeps the sandbox's files is full]");
    }

    #[test]
    fn files_run_out_too_where_they_are_counted() {
        let none_left = Room { free_files: 0, ..ROOM };
        assert_eq!(line(none_left, false), "[the sandbox's limit of 1000 files and directories is reached]");
        assert_eq!(line(Room { files: 0, ..none_left }, false), "");
    }

    #[test]
    fn who_asked_for_more_than_there_is_learns_what_there_is() {
        assert_eq!(line(ROOM, true), "[the sandbox's disk limit is 64 MiB, of which 12 MiB are free now]");
        assert_eq!(
            line(Room { free: 8_192, ..ROOM }, true),
            "[the sandbox's disk limit is 64 MiB, of which less than 1 MiB are free now]"
        );
        assert_eq!(line(ROOM, false), "");
        assert_eq!(line(Room { size: 1 << 40, ..ROOM }, true), "");
    }

    #[test]
    fn a_place_that_is_there_is_measured() {
        let found = Room::of(&[Path::new("/no such place"), Path::new("/")]).unwrap();
        assert!(found.size > 0 && found.free <= found.size);
        assert_eq!(Room::of(&[Path::new("/no such place")]), None);
    }
}
