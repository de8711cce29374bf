//! Server-sent events, both directions: one encoder for what clients read, one decoder for what model providers send.

use std::fmt::Write;

/// One frame as a client reads it.
pub fn encode(event: &str, id: Option<u64>, data: &str) -> String {
    let mut frame = String::with_capacity(event.len() + data.len() + 40);
    frame.push_str("event: ");
    frame.push_str(event);
    if let Some(id) = id {
        // Writing to a String cannot fail.
        let _ = write!(frame, "\nid: {id}");
    }
    frame.push_str("\ndata: ");
    frame.push_str(data);
    frame.push_str("\n\n");
    frame
}

/// A decoded frame. `event` is empty when the sender named none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    pub event: String,
    pub data: String,
}

/// The sender's frame grew past the decoder's limit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a server-sent event is larger than {limit} bytes")]
pub struct TooLarge {
    pub limit: usize,
}

/// Turns chunks of bytes, cut anywhere, into frames. Accepts `\n`, `\r\n` and `\r`.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    line: Vec<u8>,
    frame: Frame,
    has_data: bool,
    after_return: bool,
}

impl Decoder {
    /// `limit` bounds the bytes of one frame.
    pub fn new(limit: usize) -> Self {
        Self { limit, line: Vec::new(), frame: Frame::default(), has_data: false, after_return: false }
    }

    /// Takes the next bytes and appends the frames that they complete.
    pub fn push(&mut self, bytes: &[u8], frames: &mut Vec<Frame>) -> Result<(), TooLarge> {
        for &byte in bytes {
            let newline_of_pair = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            match byte {
                _ if newline_of_pair => {}
                b'\n' | b'\r' => self.end_line(frames),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.frame.data.len() > self.limit {
                return Err(TooLarge { limit: self.limit });
            }
        }
        Ok(())
    }

    fn end_line(&mut self, frames: &mut Vec<Frame>) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            if std::mem::take(&mut self.has_data) {
                frames.push(frame);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.frame.event = value.to_owned(),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.frame.data.push('\n');
                }
                self.frame.data.push_str(value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(chunks: &[&str]) -> Vec<Frame> {
        let mut decoder = Decoder::new(1000);
        let mut frames = Vec::new();
        for chunk in chunks {
            decoder.push(chunk.as_bytes(), &mut frames).unwrap();
        }
        frames
    }

    #[test]
    fn what_is_encoded_is_decoded_however_it_is_cut() {
        let text = encode("agent.message", Some(4), r#"{"a":"ü"}"#);
        let whole = decode(&[&text]);
        assert_eq!(whole, [Frame { event: "agent.message".into(), data: r#"{"a":"ü"}"#.into() }]);
        let mut decoder = Decoder::new(1000);
        let mut frames = Vec::new();
        for byte in text.as_bytes() {
            decoder.push(&[*byte], &mut frames).unwrap();
        }
        assert_eq!(frames, whole);
    }

    #[test]
    fn every_line_end_is_understood() {
        for text in ["data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r", "data: a\n\ndata: b\n\n"] {
            let data: Vec<_> = decode(&[text]).into_iter().map(|frame| frame.data).collect();
            assert_eq!(data, ["a", "b"], "{text:?}");
        }
    }

    #[test]
    fn comments_and_frames_without_data_are_passed_over() {
        assert_eq!(decode(&[": keep-alive\n\nevent: x\n\ndata: 1\ndata: 2\n\n"])[0].data, "1\n2");
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut decoder = Decoder::new(10);
        assert_eq!(decoder.push(&[b'x'; 11], &mut Vec::new()), Err(TooLarge { limit: 10 }));
    }
}
