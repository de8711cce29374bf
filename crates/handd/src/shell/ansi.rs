//! Takes terminal control sequences out of a stream of bytes.

/// The longest string sequence that is believed. A lone `ESC ]` in binary output must not swallow the rest of it.
const LONGEST: usize = 4_096;

/// In UTF-8, how the characters U+0080 to U+00BF begin.
const LEAD: u8 = 0xc2;

/// Keeps its place between pieces, for a sequence may be cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Stripper {
    state: State,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Text,
    /// After the first byte of what may be a control character of the second set, U+0080 to U+009F.
    Lead,
    /// After `ESC`.
    Escape,
    /// After `ESC` and an intermediate byte, such as the `(` that chooses a character set.
    Intermediate,
    /// After `ESC [`, up to its final byte: colours, cursor movement.
    Control,
    /// After `ESC ]` and the like, with the bytes so far, up to `BEL` or `ESC \`: titles, links.
    String(usize),
    /// At an `ESC` inside such a string.
    StringEscape,
}

impl Stripper {
    /// Appends what is text in `input` to `output`. NUL bytes go too: no store and no model has a use for them.
    pub(super) fn strip(&mut self, input: &[u8], output: &mut Vec<u8>) {
        for &byte in input {
            self.state = match (self.state, byte) {
                (State::StringEscape, b'\\') => State::Text,
                // An escape begins anew wherever it stands, save in a string, which it may end.
                (State::String(_), 0x1b) => State::StringEscape,
                (_, 0x1b) => State::Escape,
                (State::Text, 0) => State::Text,
                (State::Text | State::Lead, LEAD) => {
                    if let State::Lead = self.state {
                        output.push(LEAD);
                    }
                    State::Lead
                }
                // Each is short for an escape and another byte.
                (State::Lead, 0x9b) => State::Control,
                (State::Lead, 0x90 | 0x98 | 0x9d..=0x9f) => State::String(0),
                (State::Lead, 0x80..=0x9f) => State::Text,
                (State::Lead, _) => {
                    output.push(LEAD);
                    output.extend((byte != 0).then_some(byte));
                    State::Text
                }
                (State::Text, _) => {
                    output.push(byte);
                    State::Text
                }
                (State::Escape | State::StringEscape, b'[') => State::Control,
                (State::Escape | State::StringEscape, b']' | b'P' | b'X' | b'^' | b'_') => State::String(0),
                (State::Escape | State::Intermediate | State::StringEscape, 0x20..=0x2f) => State::Intermediate,
                (State::Escape | State::Intermediate | State::StringEscape, 0x30..=0x7e) => State::Text,
                (State::Control, 0x20..=0x3f) => State::Control,
                (State::Control, 0x40..=0x7e) => State::Text,
                (State::String(_), 0x07) => State::Text,
                (State::String(length), 0x08..=0x0d | 0x20..=0xff) if length < LONGEST && byte != b'\n' => {
                    State::String(length + 1)
                }
                // Not a sequence after all: the byte is text again.
                (_, 0) => State::Text,
                _ => {
                    output.push(byte);
                    State::Text
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(pieces: &[&[u8]]) -> String {
        let mut stripper = Stripper::default();
        let mut output = Vec::new();
        for piece in pieces {
            stripper.strip(piece, &mut output);
        }
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn colours_and_cursor_movements_go() {
        assert_eq!(stripped(&[b"\x1b[1;31mred\x1b[0m \x1b[2K\x1b[1Gline\x1b[?25h"]), "red line");
    }

    #[test]
    fn a_sequence_may_be_cut_anywhere() {
        let whole = "a\x1b[38;5;196mb\x1b]0;title\x07c\x1b(Bd\x1b]8;;http://x\x1b\\e".as_bytes();
        for at in 0..whole.len() {
            assert_eq!(stripped(&[&whole[..at], &whole[at..]]), "abcde");
        }
    }

    #[test]
    fn sequences_of_eight_bits_go() {
        assert_eq!(stripped(&["a\u{9b}31mb\u{9d}0;title\u{7}c\u{85}d".as_bytes()]), "abcd");
        assert_eq!(stripped(&[b"a\xc2", b"\x9b31mb\xc2", b"\xa9"]), "ab\u{a9}");
    }

    #[test]
    fn text_in_any_language_stays() {
        assert_eq!(stripped(&["grüße — 世界\ttab\r\n".as_bytes()]), "grüße — 世界\ttab\r\n");
    }

    #[test]
    fn a_string_that_never_ends_gives_the_next_line_back() {
        assert_eq!(stripped(&[b"\x1b]junk\nkept\n"]), "\nkept\n");
        let mut long = b"\x1b]".to_vec();
        long.extend([b'x'; LONGEST + 2]);
        long.extend(b"kept");
        assert!(stripped(&[&long]).ends_with("kept"));
    }

    #[test]
    fn zero_bytes_go() {
        assert_eq!(stripped(&[b"a\0b\x1b[\0c"]), "abc");
    }
}
