//! Where a sparse file has data. What lies between is holes, which take no room: neither in an archive, nor when it is
//! unpacked.

use std::{
    fmt::Write,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
};

use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

/// Stretches of data: where each begins, and how long it is.
pub(super) type Extents = Vec<(u64, u64)>;

/// As many as a file of four gibibytes has if every second page of it is a hole.
const MOST: usize = 1 << 19;

/// Of a file of this size.
pub(super) fn of(file: &File, size: u64) -> io::Result<Extents> {
    let mut extents = Extents::new();
    let mut at = 0;
    while at < size {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            // A file system that knows of no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                extents.push((at, size - at));
                break;
            }
            Err(errno) => return Err(errno.into()),
        };
        let end = seek(file, SeekFrom::Hole(start))?.min(size);
        if end <= start {
            break;
        }
        if extents.len() >= MOST {
            return Err(io::Error::other(format!("it has more than {MOST} holes")));
        }
        extents.push((start, end - start));
        at = end;
    }
    Ok(extents)
}

/// Whether that is all of a file of this size.
pub(super) fn is_whole(extents: &[(u64, u64)], size: u64) -> bool {
    match extents {
        [] => size == 0,
        [(0, length)] => *length == size,
        _ => false,
    }
}

/// The stretches in the form of a record, and their number. An empty one tells where the file ends if a hole does.
pub(super) fn map(extents: &[(u64, u64)], size: u64) -> (String, usize) {
    let ends_in_hole = extents.last().is_none_or(|(start, length)| start + length < size);
    let end = ends_in_hole.then_some((size, 0));
    let mut text = String::new();
    let mut count = 0;
    for (start, length) in extents.iter().copied().chain(end) {
        let separator = if text.is_empty() { "" } else { "," };
        // Cannot fail, for a string takes all.
        let _ = write!(text, "{separator}{start},{length}");
        count += 1;
    }
    (text, count)
}

/// The stretches that a record tells of, which must fit in a file of this size, in order, and be as long together as
/// what is stored.
pub(super) fn parse(map: &str, size: u64, stored: u64) -> Option<Extents> {
    let mut numbers = map.split(',').map(|number| number.parse::<u64>().ok());
    let mut extents = Extents::new();
    let (mut end, mut sum) = (0, 0);
    while let Some(start) = numbers.next() {
        let (start, length) = (start?, numbers.next()??);
        if start < end {
            return None;
        }
        end = start.checked_add(length).filter(|end| *end <= size)?;
        sum += length;
        if length > 0 {
            extents.push((start, length));
        }
    }
    (sum == stored).then_some(extents)
}

/// The data of a file, as much of it as was announced: where it has become shorter, zeros.
pub(super) struct Contents<'a> {
    file: &'a File,
    left: &'a [(u64, u64)],
    /// Bytes of the first stretch that have been read.
    done: u64,
}

impl<'a> Contents<'a> {
    pub(super) fn new(file: &'a File, extents: &'a [(u64, u64)]) -> Self {
        Self { file, left: extents, done: 0 }
    }
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(((start, length), others)) = self.left.split_first() {
            let left = length - self.done;
            if left == 0 {
                (self.left, self.done) = (others, 0);
                continue;
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let into = buffer.get_mut(..most).unwrap_or_default();
            let read = match self.file.read_at(into, start + self.done)? {
                0 => {
                    into.fill(0);
                    most
                }
                read => read,
            };
            self.done += read as u64;
            return Ok(read);
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_survives_the_round_trip_and_tells_of_the_end() {
        for (extents, size, text) in
            [(vec![], 1 << 30, "1073741824,0"), (vec![(0, 5)], 10, "0,5,10,0"), (vec![(4, 2), (8, 2)], 10, "4,2,8,2")]
        {
            let (map, count) = map(&extents, size);
            assert_eq!((map.as_str(), count), (text, text.split(',').count() / 2));
            let stored = extents.iter().map(|(_, length)| length).sum();
            assert_eq!(parse(&map, size, stored), Some(extents));
        }
        assert!(is_whole(&[], 0) && is_whole(&[(0, 7)], 7));
        assert!(!is_whole(&[], 7) && !is_whole(&[(0, 6)], 7) && !is_whole(&[(1, 6)], 7));
    }

    #[test]
    fn a_map_that_does_not_fit_is_none() {
        for (map, size, stored) in [
            ("", 10, 0),
            ("0", 10, 0),
            ("0,5,4,2", 10, 7),
            ("0,11", 10, 11),
            ("0,5", 10, 6),
            ("5,18446744073709551615", 10, 0),
            ("-1,5", 10, 5),
            ("0,5,", 10, 5),
        ] {
            assert_eq!(parse(map, size, stored), None, "{map}");
        }
    }

    #[test]
    fn a_file_that_has_become_shorter_is_filled_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let file = File::open(&path).unwrap();
        let mut text = String::new();
        Contents::new(&file, &[(1, 2), (8, 4)]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "1289\0\0");
    }
}
