//! What a sandbox leaves that ends itself because nobody needs it any more: an archive of what it has written, as of
//! [`crate::Verb::Save`], in a file of the host's.

/// The file, in the hand's own directory.
pub const LEFT: &str = "left";

/// Bytes that follow the archive.
pub const LEFT_END: usize = 16;

/// A frame that readers of the archive's compression skip, and that is eight bytes long.
const FRAME: [u8; 8] = [0x5e, 0x2a, 0x4d, 0x18, 8, 0, 0, 0];

/// What stands after an archive of this many bytes, once it is whole.
#[must_use]
pub fn left_end(length: u64) -> [u8; LEFT_END] {
    let mut end = [0; LEFT_END];
    let (frame, number) = end.split_at_mut(FRAME.len());
    frame.copy_from_slice(&FRAME);
    number.copy_from_slice(&length.to_le_bytes());
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_tells_what_it_is_the_end_of() {
        assert_eq!(left_end(7), *b"\x5e\x2a\x4d\x18\x08\0\0\0\x07\0\0\0\0\0\0\0");
        assert_ne!(left_end(7), left_end(8));
    }
}
