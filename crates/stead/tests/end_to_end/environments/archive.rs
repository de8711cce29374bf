//! Archives of a few small files.

use flate2::write::GzEncoder;
use flate2::{Compression, Crc};

/// Names, and what is in them.
pub(super) type Files<'a> = &'a [(&'a str, &'a str)];

/// As npm has it.
pub(super) fn tarball(files: Files<'_>) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// As pip and Go have it, with nothing compressed.
pub(super) fn zip(files: Files<'_>) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for (name, text) in files {
        let offset = archive.len() as u32;
        let mut sum = Crc::new();
        sum.update(text.as_bytes());
        // A version, no flags, no compression, and a day in the year 2000.
        let mut common = Vec::new();
        for number in [20_u16, 0, 0, 0, (20 << 9) | (1 << 5) | 1] {
            common.extend(number.to_le_bytes());
        }
        for number in [sum.sum(), text.len() as u32, text.len() as u32] {
            common.extend(number.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.bytes());
        archive.extend(text.bytes());
        directory.extend(b"PK\x01\x02");
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&common);
        // No comment, the first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.bytes());
    }
    let (offset, count) = (archive.len() as u32, files.len() as u16);
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06");
    for number in [0_u16, 0, count, count] {
        archive.extend(number.to_le_bytes());
    }
    for number in [directory.len() as u32, offset] {
        archive.extend(number.to_le_bytes());
    }
    archive.extend(0_u16.to_le_bytes());
    archive
}
