//! A path as an archive writes it, and as it is taken.

use super::Error;
use crate::walk::MAX_DEPTH;

/// What file systems take.
const MAX_NAME: usize = 255;

/// The names on the way from the root of the image. None for the root itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names<'a>(Vec<&'a [u8]>);

impl<'a> Names<'a> {
    /// A slash at the start means nothing more than none; `.` and empty names are dropped.
    pub(super) fn parse(path: &'a [u8], limit: usize) -> Result<Self, Error> {
        let refuse = |reason| Err(Error::path(path, reason));
        if path.len() > limit {
            return refuse("its path is too long");
        }
        if path.contains(&0) {
            return refuse("its path holds a zero byte");
        }
        let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
        if names.contains(&b"..".as_slice()) {
            return refuse("its path goes up");
        }
        if names.len() > MAX_DEPTH || names.iter().any(|name| name.len() > MAX_NAME) {
            return refuse("its path is too deep, or a name in it too long");
        }
        Ok(Self(names))
    }

    /// The last name, and those before.
    pub(super) fn split_last(&self) -> Option<(&'a [u8], &[&'a [u8]])> {
        self.0.split_last().map(|(name, parents)| (*name, parents))
    }

    pub(super) fn joined(&self) -> Vec<u8> {
        self.0.join(&b'/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &[u8]) -> Option<Vec<u8>> {
        Names::parse(path, 1000).ok().map(|names| names.joined())
    }

    #[test]
    fn a_path_is_taken_from_the_root_of_the_image() {
        for path in [b"etc/passwd".as_slice(), b"/etc/passwd", b"./etc//passwd/", b"///etc/./passwd"] {
            assert_eq!(names(path).as_deref(), Some(b"etc/passwd".as_slice()));
        }
        assert_eq!(names(b"./").as_deref(), Some(b"".as_slice()));
    }

    #[test]
    fn a_path_that_goes_up_or_is_too_much_is_refused() {
        let (long, deep) = (vec![b'a'; 256], b"a/".repeat(MAX_DEPTH + 1));
        for path in [b"..".as_slice(), b"a/../../etc", b"/..", b"a/..", b"a\0b", &long, &deep, &b"a/".repeat(501)] {
            assert_eq!(names(path), None, "{path:?}");
        }
        assert_eq!(names(b"..a/b..").as_deref(), Some(b"..a/b..".as_slice()));
    }
}
