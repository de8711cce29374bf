//! Output that is too long for a result: the whole goes to a file, and the model sees its head and tail.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use hand_protocol::MAX_TEXT;

/// Bytes of one output that are kept in its file.
const KEPT: u64 = 64 << 20;
/// Characters of the preview before the cut.
const HEAD: usize = 4_000;
/// And after it: the end of an output is usually what it was run for.
const TAIL: usize = 6_000;
/// The longest encoding of a character, in bytes.
const WIDEST: usize = 4;

/// Writes an output through to disk, so that its size is never this process's size.
pub(crate) struct Overflow {
    path: PathBuf,
    file: Option<File>,
    saved: u64,
    total: u64,
    trouble: Option<io::Error>,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Overflow {
    /// A disk that takes nothing more is not an error here: the preview says so.
    pub(crate) fn new(directory: &Path, call: &str) -> Self {
        let path = directory.join(file_name(call));
        let (file, trouble) = match create(directory, &path) {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(error)),
        };
        Self { path, file, saved: 0, total: 0, trouble, head: Vec::new(), tail: Vec::new() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = (HEAD * WIDEST).saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.tail.extend_from_slice(bytes);
        let excess = self.tail.len().saturating_sub(TAIL * WIDEST);
        // Moved down only when it has doubled, not at every push.
        if excess > TAIL * WIDEST {
            self.tail.drain(..excess);
        }
        self.save(bytes);
    }

    fn save(&mut self, bytes: &[u8]) {
        let room = usize::try_from(KEPT - self.saved).unwrap_or(usize::MAX).min(bytes.len());
        let mut rest = bytes.get(..room).unwrap_or_default();
        let Some(file) = &mut self.file else { return };
        // Piece by piece, to know how much has fitted when the disk is full.
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(written @ 1..) => {
                    self.saved += written as u64;
                    rest = rest.get(written..).unwrap_or_default();
                }
                Ok(0) => {
                    self.trouble = Some(io::ErrorKind::WriteZero.into());
                    self.file = None;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.trouble = Some(error);
                    self.file = None;
                    return;
                }
            }
        }
    }

    /// What the model sees instead.
    pub(crate) fn preview(self) -> String {
        let path = self.path.display();
        let kept = match (&self.trouble, self.saved) {
            (None, saved) if saved == self.total => format!("the whole is in {path}"),
            (None, saved) => format!("the first {saved} bytes are in {path}, and the rest is not kept"),
            (Some(error), 0) => format!("it could not be saved: {error}"),
            (Some(error), saved) => format!("only the first {saved} bytes could be saved in {path}: {error}"),
        };
        let head = String::from_utf8_lossy(&self.head);
        let tail = String::from_utf8_lossy(&self.tail);
        let total = self.total;
        format!("{}\n\n[output of {total} bytes cut here; {kept}]\n\n{}", first(&head, HEAD), last(&tail, TAIL))
    }
}

/// A result's text as it may be sent: as it is, or cut and kept in a file, and never empty.
pub(crate) fn fit(directory: &Path, call: &str, text: String) -> String {
    if text.is_empty() {
        return "(no output)".to_owned();
    }
    if fits(&text) {
        return text;
    }
    let mut overflow = Overflow::new(directory, call);
    overflow.push(text.as_bytes());
    overflow.preview()
}

/// Whether a result may carry this text whole.
pub(crate) fn fits(text: &str) -> bool {
    text.len() <= MAX_TEXT || text.chars().count() <= MAX_TEXT
}

fn create(directory: &Path, path: &Path) -> io::Result<File> {
    fs::create_dir_all(directory)?;
    // A tool may have put anything here, a FIFO that would hold us up for ever among it. Only a new file will do.
    let _ = fs::remove_file(path);
    File::create_new(path)
}

/// A call id comes from outside: nothing in it may lead out of the directory.
fn file_name(call: &str) -> String {
    let safe = |letter: char| if letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-') { letter } else { '_' };
    let name: String = call.chars().take(100).map(safe).collect();
    if name.is_empty() { "call.txt".to_owned() } else { format!("{name}.txt") }
}

fn first(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| text.get(..end).unwrap_or_default())
}

fn last(text: &str, characters: usize) -> &str {
    let start = text.char_indices().rev().nth(characters.saturating_sub(1)).map_or(0, |(start, _)| start);
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_left_alone_and_an_empty_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(fit(directory.path(), "c", "hello".into()), "hello");
        assert_eq!(fit(directory.path(), "c", String::new()), "(no output)");
        assert_eq!(fit(directory.path(), "c", "é".repeat(MAX_TEXT)).chars().count(), MAX_TEXT);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_long_text_is_kept_whole_and_shown_in_part() {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("start{}end", "é".repeat(MAX_TEXT));
        let preview = fit(directory.path(), "sevt_1", text.clone());
        assert!(preview.starts_with("start"));
        assert!(preview.ends_with("end"));
        assert!(preview.chars().count() < 12_000);
        let path = directory.path().join("sevt_1.txt");
        assert!(preview.contains(&format!(
            "output of {} bytes cut here; the whole is in {}",
            text.len(),
            path.display()
        )));
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }

    #[test]
    fn many_small_pushes_keep_the_last_characters() {
        let directory = tempfile::tempdir().unwrap();
        let mut overflow = Overflow::new(directory.path(), "c");
        for number in 0..200_000 {
            overflow.push(format!("{number}\n").as_bytes());
        }
        assert!(overflow.tail.len() <= 2 * TAIL * WIDEST + 8);
        assert!(overflow.preview().ends_with("\n199998\n199999\n"));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let preview = fit(&file.join("below"), "c", "x".repeat(MAX_TEXT + 1));
        assert!(preview.contains("it could not be saved"), "{preview}");
    }

    #[test]
    fn a_call_id_cannot_lead_out_of_the_directory() {
        assert_eq!(file_name("../../etc/passwd"), "______etc_passwd.txt");
        assert_eq!(file_name(""), "call.txt");
    }
}
