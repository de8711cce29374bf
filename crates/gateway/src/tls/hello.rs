//! `ClientHello` (RFC 8446, 4.1.2), as much of it as says whom it is for.

/// What matters of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// As it was sent: not known to be a name.
    pub(crate) server_name: Option<String>,
    /// It offers to hide another, inner one. Some browsers only pretend to, and nobody can tell.
    pub(crate) is_encrypted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// The beginning of one.
    Partial,
    Hello(Hello),
    /// It begins as TLS does, and is no such message, or one that could be understood in more than one way.
    Malformed,
    Other,
}

const HANDSHAKE: u8 = 22;
/// Of every version since SSL 3.
const MAJOR: u8 = 3;
const CLIENT_HELLO: u8 = 1;
const LONGEST_RECORD: usize = 1 << 14;

const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// Encrypted Client Hello, and the draft that came before it.
const ENCRYPTED: [u16; 2] = [0xfe0d, 0xffce];

pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    match message(bytes) {
        Message::Partial => Parsed::Partial,
        Message::Malformed => Parsed::Malformed,
        Message::Other => Parsed::Other,
        Message::Whole(body) => hello(&body).map_or(Parsed::Malformed, Parsed::Hello),
    }
}

enum Message {
    Partial,
    Malformed,
    Other,
    Whole(Vec<u8>),
}

/// The first handshake message, put together from the records that it comes in.
fn message(bytes: &[u8]) -> Message {
    // Told at the first byte: those who speak something else may be waiting for an answer.
    if bytes.first().is_some_and(|kind| *kind != HANDSHAKE) || bytes.get(1).is_some_and(|major| *major != MAJOR) {
        return Message::Other;
    }
    let mut rest = bytes;
    let mut message = Vec::new();
    loop {
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Message::Malformed;
        }
        if let Some((length, body)) = Reader(&message).head() {
            if length > super::LONGEST {
                return Message::Malformed;
            }
            if let Some(body) = body.get(..length) {
                return Message::Whole(body.to_vec());
            }
        }
        if rest.first().is_some_and(|kind| *kind != HANDSHAKE) || rest.get(1).is_some_and(|major| *major != MAJOR) {
            return Message::Malformed;
        }
        let Some(length) = rest.get(3..5).and_then(|length| Reader(length).u16()).map(usize::from) else {
            return Message::Partial;
        };
        if length == 0 || length > LONGEST_RECORD {
            return Message::Malformed;
        }
        let record = rest.get(5..).unwrap_or_default();
        let Some((whole, next)) = record.split_at_checked(length) else { return Message::Partial };
        message.extend_from_slice(whole);
        rest = next;
    }
}

fn hello(body: &[u8]) -> Option<Hello> {
    let mut body = Reader(body);
    let (_version, _random) = (body.u16()?, body.take(32)?);
    let (_session, _ciphers, _compression) = (body.short()?, body.long()?, body.short()?);
    let mut hello = Hello { server_name: None, is_encrypted: false };
    if body.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Reader(body.long()?);
    if !body.0.is_empty() {
        return None;
    }
    let mut is_named = false;
    while !extensions.0.is_empty() {
        let (kind, content) = (extensions.u16()?, extensions.long()?);
        hello.is_encrypted |= ENCRYPTED.contains(&kind);
        if kind == SERVER_NAME {
            if is_named {
                return None;
            }
            is_named = true;
            hello.server_name = Some(server_name(content)?);
        }
    }
    Some(hello)
}

/// The one name in the list: servers would choose among several, and not all the same.
fn server_name(content: &[u8]) -> Option<String> {
    let mut content = Reader(content);
    let mut list = Reader(content.long()?);
    let (kind, name) = (list.u8()?, list.long()?);
    let is_alone = content.0.is_empty() && list.0.is_empty() && kind == HOST_NAME;
    let name = std::str::from_utf8(name).ok()?;
    is_alone.then(|| name.to_owned())
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// As long as the byte before it says.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// As long as the two bytes before it say.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// How long a handshake message is, and what there is of it.
    fn head(mut self) -> Option<(usize, &'a [u8])> {
        self.u8()?;
        let (high, low) = (self.u8()?, self.u16()?);
        Some((usize::from(high) << 16 | usize::from(low), self.0))
    }
}
