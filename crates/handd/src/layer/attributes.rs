//! Extended attributes: the mark with which an overlay hides what lies below a directory, and what programs have noted.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr},
    io::Errno,
};

use super::records::ATTRIBUTE;

/// Names and values.
pub(super) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// What the kernel gives at most for a list, and for a value.
const LONGEST: usize = 64 << 10;

/// Bytes of one file's attributes.
const MOST: usize = 64 << 10;

const PROGRAMS: &[u8] = b"user.";
/// An overlay's other marks are notes for itself, of use only where they were made.
const OVERLAY: &[u8] = b"user.overlay.";
const OPAQUE: &[u8] = b"user.overlay.opaque";
/// So an overlay keeps those of a program that have a name like one of its own.
const ESCAPED: &[u8] = b"user.overlay.overlay.";

pub(super) struct Reader {
    names: Vec<u8>,
    value: Vec<u8>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { names: vec![0; LONGEST], value: vec![0; LONGEST] }
    }

    /// Those that are kept.
    pub(super) fn read(&mut self, file: &OwnedFd) -> io::Result<Attributes> {
        let length = match flistxattr(file, self.names.as_mut_slice()) {
            Err(Errno::OPNOTSUPP) => 0,
            Err(Errno::RANGE | Errno::TOOBIG) => return Err(too_many()),
            length => length?,
        };
        let mut found = Attributes::new();
        let mut weight = 0;
        let names = self.names.get(..length).unwrap_or_default().split(|byte| *byte == 0);
        for name in names.filter(|name| name.starts_with(PROGRAMS)) {
            let length = match fgetxattr(file, name, self.value.as_mut_slice()) {
                Err(Errno::RANGE | Errno::TOOBIG) => return Err(too_many()),
                length => length?,
            };
            let value = self.value.get(..length).unwrap_or_default();
            if is_kept(name, value) {
                weight += name.len() + value.len();
                found.push((name.to_owned(), value.to_owned()));
            }
        }
        if weight > MOST { Err(too_many()) } else { Ok(found) }
    }
}

fn too_many() -> io::Error {
    io::Error::other(format!("its extended attributes are more than {MOST} bytes"))
}

pub(super) fn write(file: impl AsFd, attributes: &Attributes) -> io::Result<()> {
    for (name, value) in attributes {
        fsetxattr(&file, name.as_slice(), value, XattrFlags::empty())?;
    }
    Ok(())
}

pub(super) fn is_kept(name: &[u8], value: &[u8]) -> bool {
    if name == OPAQUE {
        return value == b"y";
    }
    name.starts_with(PROGRAMS) && (!name.starts_with(OVERLAY) || name.starts_with(ESCAPED))
}

/// The key of the record that an attribute is kept in. What would end a key is written as GNU tar writes it.
pub(super) fn key(name: &[u8]) -> Vec<u8> {
    let mut key = ATTRIBUTE.to_owned();
    for byte in name {
        match byte {
            b'%' => key.extend_from_slice(b"%25"),
            b'=' => key.extend_from_slice(b"%3D"),
            byte => key.push(*byte),
        }
    }
    key
}

/// The name of the attribute that is kept under this key, if one is.
pub(super) fn name(key: &[u8]) -> Option<Vec<u8>> {
    let mut rest = key.strip_prefix(ATTRIBUTE)?;
    let mut name = Vec::with_capacity(rest.len());
    while let Some((first, others)) = rest.split_first() {
        let (byte, after) = match rest {
            [b'%', b'2', b'5', after @ ..] => (b'%', after),
            [b'%', b'3', b'D', after @ ..] => (b'=', after),
            _ => (*first, others),
        };
        name.push(byte);
        rest = after;
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_notes_are_kept_and_an_overlays_are_not_but_for_one() {
        let kept: [(&[u8], &[u8]); 4] = [
            (b"user.note", b""),
            (b"user.overlay.opaque", b"y"),
            (b"user.overlay.overlay.opaque", b"x"),
            (b"user.overlays", b"y"),
        ];
        assert!(kept.iter().all(|(name, value)| is_kept(name, value)));
        let dropped: [(&[u8], &[u8]); 6] = [
            (b"user.overlay.opaque", b"x"),
            (b"user.overlay.redirect", b"/etc"),
            (b"user.overlay.origin", b""),
            (b"user.overlay.metacopy", b""),
            (b"security.capability", b""),
            (b"trusted.overlay.opaque", b"y"),
        ];
        assert!(!dropped.iter().any(|(name, value)| is_kept(name, value)));
    }

    #[test]
    fn a_name_may_hold_what_would_end_a_key() {
        for attribute in ["user.a=b", "user.100%", "user.%3D", "user.\n"] {
            let key = key(attribute.as_bytes());
            assert!(!key.contains(&b'='));
            assert_eq!(name(&key).unwrap(), attribute.as_bytes());
        }
        assert_eq!(name(b"path"), None);
    }
}
