//! As much of netlink as two requests need: messages of attributes, sent and acknowledged.

use std::{io, os::fd::OwnedFd};

use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketType, netlink::SocketAddrNetlink};

const ALIGNMENT: usize = 4;
const HEADER: usize = 16;

/// Messages for one datagram.
#[derive(Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    /// Where the last message begins.
    last: usize,
    asked: usize,
}

impl Messages {
    /// Begins a message; `fixed` is the part before its attributes.
    pub(super) fn begin(&mut self, kind: u16, flags: u16, fixed: &[u8]) -> &mut Self {
        self.last = self.bytes.len();
        self.asked += usize::from(flags & libc::NLM_F_ACK as u16 != 0);
        let sequence = u32::try_from(self.last).unwrap_or_default();
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        self.bytes.extend(sequence.to_ne_bytes());
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend(fixed);
        self.close(self.last)
    }

    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.nested(kind, |inner| inner.bytes.extend(value))
    }

    pub(super) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.nested(kind, |inner| {
            inner.bytes.extend(value.as_bytes());
            inner.bytes.push(0);
        })
    }

    /// Numbers that other machines understand too, as netfilter wants them.
    pub(super) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// An attribute of whatever `fill` adds.
    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend(0_u16.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        fill(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        if let Some(place) = self.bytes.get_mut(start..start + 2) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
        self.close(self.last)
    }

    /// Pads, and writes how long the message is by now.
    fn close(&mut self, message: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let length = u32::try_from(self.bytes.len() - message).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(message..message + 4) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
        self
    }

    /// Sends them all, and waits for the kernel to have done what they ask.
    pub(super) fn send(self, protocol: Option<Protocol>) -> io::Result<()> {
        let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, protocol)?;
        rustix::net::sendto(&socket, &self.bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut left = self.asked;
        while left > 0 {
            left = left.saturating_sub(answers(&socket)?);
        }
        Ok(())
    }
}

/// How many acknowledgements the next datagram has. An error in it is the answer to all.
fn answers(socket: &OwnedFd) -> io::Result<usize> {
    let mut buffer = [0; 8192];
    let (read, _) = rustix::net::recv(socket, &mut buffer, RecvFlags::empty())?;
    let (mut rest, mut count) = (buffer.get(..read).unwrap_or_default(), 0);
    while let Some((header, body)) = rest.split_at_checked(HEADER) {
        let length = number(header, 0) as usize;
        let kind = number(header, 4) & 0xffff;
        if kind == libc::NLMSG_ERROR as u32 {
            match number(body, 0) as i32 {
                0 => count += 1,
                error => return Err(io::Error::from_raw_os_error(error.saturating_neg())),
            }
        }
        if length < HEADER {
            break;
        }
        rest = rest.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    }
    Ok(count)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let number = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    u32::from_ne_bytes(number.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_how_long_it_is_and_so_does_each_attribute() {
        let mut messages = Messages::default();
        messages.begin(7, 0, &[1, 2, 3, 4]).nested(5, |inner| {
            inner.text(6, "ab");
        });
        assert_eq!(messages.bytes.len(), 16 + 4 + 4 + 4 + 4);
        assert_eq!(number(&messages.bytes, 0), 32);
        assert_eq!(
            messages.bytes[20..22],
            12_u16.to_ne_bytes(),
            "the outer attribute, with the padding of the inner one"
        );
        assert_eq!(messages.bytes[24..26], 7_u16.to_ne_bytes());
    }
}
