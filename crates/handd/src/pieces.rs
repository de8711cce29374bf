//! The form in which an archive travels: pieces, each behind its length, the last one empty; and then a piece that says why
//! the archive is not whole, which is empty too if it is.

use std::io::{self, Read, Write};

use hand_protocol::MAX_PIECE;

/// Bytes of a reason why an archive is not whole.
const LONGEST: usize = 1_000;

/// The length that a piece begins with, in bytes.
const LENGTH: usize = 4;

/// An archive on its way out.
pub(crate) struct Pieces<W> {
    to: W,
    /// The next one, behind room for its length.
    piece: Vec<u8>,
}

impl<W: Write> Pieces<W> {
    pub(crate) fn new(to: W) -> Self {
        let mut piece = Vec::with_capacity(LENGTH + MAX_PIECE);
        piece.resize(LENGTH, 0);
        Self { to, piece }
    }

    fn send(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.piece.len() - LENGTH).map_err(io::Error::other)?;
        if let Some(room) = self.piece.first_chunk_mut::<LENGTH>() {
            *room = length.to_le_bytes();
        }
        self.to.write_all(&self.piece)?;
        self.piece.truncate(LENGTH);
        Ok(())
    }

    /// Ends the archive, and says why it is not whole, if it is not.
    pub(crate) fn end(mut self, reason: &str) -> io::Result<()> {
        self.flush()?;
        self.send()?;
        self.piece.extend(reason.bytes().take(LONGEST));
        self.send()
    }
}

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (LENGTH + MAX_PIECE).saturating_sub(self.piece.len());
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.piece.extend_from_slice(taken);
        if self.piece.len() == LENGTH + MAX_PIECE {
            self.send()?;
        }
        Ok(taken.len())
    }

    /// An empty piece would end the archive.
    fn flush(&mut self) -> io::Result<()> {
        if self.piece.len() > LENGTH { self.send() } else { Ok(()) }
    }
}

/// Takes an archive in, to where it goes on. An error if it is not whole.
pub(crate) fn receive(mut from: impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; MAX_PIECE];
    loop {
        let piece = piece(&mut from, &mut buffer)?;
        if piece.is_empty() {
            break;
        }
        to.write_all(piece)?;
    }
    let reason = piece(&mut from, &mut buffer)?;
    if reason.is_empty() { Ok(()) } else { Err(io::Error::other(String::from_utf8_lossy(reason).into_owned())) }
}

fn piece<'a>(from: &mut impl Read, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut length = [0; LENGTH];
    from.read_exact(&mut length)?;
    let piece = buffer.get_mut(..u32::from_le_bytes(length) as usize);
    let piece = piece.ok_or_else(|| io::Error::other("a piece that is too long"))?;
    from.read_exact(piece)?;
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(archive: &[u8], reason: &str) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut pieces = Pieces::new(&mut bytes);
        pieces.write_all(archive).unwrap();
        pieces.flush().unwrap();
        pieces.end(reason).unwrap();
        let mut found = Vec::new();
        let mut rest = bytes.as_slice();
        while let Some((length, after)) = rest.split_first_chunk::<LENGTH>() {
            let (piece, after) = after.split_at(u32::from_le_bytes(*length) as usize);
            found.push(piece.to_vec());
            rest = after;
        }
        found
    }

    #[test]
    fn an_archive_ends_with_an_empty_piece_and_its_verdict() {
        assert_eq!(sent(b"archive", ""), [&b"archive"[..], b"", b""]);
        assert_eq!(sent(b"", "broken"), [&b""[..], b"broken"]);
        let long = vec![7; MAX_PIECE * 2 + 5];
        let lengths: Vec<_> = sent(&long, &"x".repeat(5_000)).iter().map(Vec::len).collect();
        assert_eq!(lengths, [MAX_PIECE, MAX_PIECE, 5, 0, LONGEST]);
        assert_eq!(sent(&vec![7; MAX_PIECE], "").len(), 3);
    }

    #[test]
    fn what_was_sent_is_received_and_what_is_not_whole_is_told() {
        let received = |archive: &[u8], reason: &str, cut: usize| {
            let mut bytes = Vec::new();
            let mut pieces = Pieces::new(&mut bytes);
            pieces.write_all(archive).unwrap();
            pieces.end(reason).unwrap();
            let mut to = Vec::new();
            let length = bytes.len() - cut;
            receive(&bytes[..length], &mut to).map(|()| to).map_err(|error| error.to_string())
        };
        let long = vec![7; MAX_PIECE * 2 + 5];
        assert_eq!(received(&long, "", 0), Ok(long.clone()));
        assert_eq!(received(b"", "", 0), Ok(Vec::new()));
        assert_eq!(received(&long, "broken", 0), Err("broken".to_owned()));
        assert!(received(&long, "", 1).is_err());
        assert!(receive(&[0xff; 8][..], &mut Vec::new()).is_err());
    }
}
