//! What one command prints, from the pipe to the text that the model sees.

use std::{mem, path::PathBuf};

use hand_protocol::MAX_TEXT;

use super::ansi::Stripper;
use crate::overflow::{self, Overflow};

/// Bytes held in memory. More cannot be within the limit of characters, whatever they are.
const IN_MEMORY: usize = 4 * MAX_TEXT;

pub(super) struct Capture {
    directory: PathBuf,
    call: String,
    stripper: Stripper,
    memory: Vec<u8>,
    overflow: Option<Overflow>,
}

impl Capture {
    /// `directory` is where a too long output goes.
    pub(super) fn new(directory: PathBuf, call: String) -> Self {
        Self { directory, call, stripper: Stripper::default(), memory: Vec::new(), overflow: None }
    }

    pub(super) fn push(&mut self, raw: &[u8]) {
        self.stripper.strip(raw, &mut self.memory);
        if let Some(overflow) = &mut self.overflow {
            overflow.push(&self.memory);
            self.memory.clear();
        } else if self.memory.len() > IN_MEMORY {
            let mut overflow = Overflow::new(&self.directory, &self.call);
            overflow.push(&mem::take(&mut self.memory));
            self.overflow = Some(overflow);
        }
    }

    /// The text for the model, empty if nothing was printed.
    pub(super) fn finish(self) -> String {
        if let Some(overflow) = self.overflow {
            return overflow.preview();
        }
        let text = String::from_utf8_lossy(&self.memory).into_owned();
        if overflow::fits(&text) { text } else { overflow::fit(&self.directory, &self.call, text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let mut capture = Capture::new(directory.path().into(), "c".into());
        capture.push(b"\x1b[1mbold");
        capture.push(b"\x1b[0m and \xff");
        assert_eq!(capture.finish(), "bold and \u{fffd}");
    }

    #[test]
    fn what_does_not_fit_is_streamed_to_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut capture = Capture::new(directory.path().into(), "c".into());
        for _ in 0..100 {
            capture.push(&[b'x'; 10_000]);
            assert!(capture.memory.len() <= IN_MEMORY);
        }
        assert!(capture.finish().contains("output of 1000000 bytes cut here"));
        assert_eq!(std::fs::metadata(directory.path().join("c.txt")).unwrap().len(), 1_000_000);
    }

    #[test]
    fn just_over_the_limit_of_characters_is_cut_too() {
        let directory = tempfile::tempdir().unwrap();
        let mut capture = Capture::new(directory.path().into(), "c".into());
        capture.push(&vec![b'x'; MAX_TEXT + 1]);
        assert!(capture.finish().contains("cut here"));
    }
}
