//! What a layer is compressed with, found by its first bytes: media types and file names are only hearsay.

use std::io::{self, BufRead, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use liblzma::{
    bufread::XzDecoder,
    stream::{CONCATENATED, Stream},
};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];

/// The longest of them.
const SEEN: u64 = 6;

/// What an xz header may make us allocate. Its strongest presets need 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;

/// The bytes inside, or the same ones if they are in no form that is known.
pub(crate) fn decode<'a>(mut packed: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    Read::by_ref(&mut packed).take(SEEN).read_to_end(&mut start)?;
    let form = [GZIP, ZSTD, XZ].into_iter().find(|form| start.starts_with(form));
    let packed = Cursor::new(start).chain(packed);
    Ok(match form {
        Some(GZIP) => Box::new(MultiGzDecoder::new(packed)),
        // Its own default bounds the window to 128 MiB.
        Some(ZSTD) => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
        Some(_) => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED).map_err(io::Error::from)?;
            Box::new(XzDecoder::new_stream(packed, stream))
        }
        None => Box::new(packed),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use super::*;

    fn decoded(packed: &[u8]) -> Vec<u8> {
        // One byte at a time, as a slow stream gives them.
        let mut bytes = Vec::new();
        decode(BufReader::with_capacity(1, packed)).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_form_gives_its_bytes_back_and_so_do_several_in_a_row() {
        let text = b"some bytes of a layer".as_slice();
        let twice = [text, text].concat();
        let zstd = zstd::stream::encode_all(text, 1).unwrap();
        let mut xz = Vec::new();
        liblzma::read::XzEncoder::new(text, 1).read_to_end(&mut xz).unwrap();
        for packed in [text.to_vec(), gzip(text), zstd, xz] {
            assert_eq!(decoded(&packed), text);
            assert_eq!(decoded(&[packed.clone(), packed].concat()), twice);
        }
        assert_eq!(decoded(b""), b"");
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        let packed = gzip(&[7; 100_000]);
        let mut bytes = Vec::new();
        let cut = &packed[..packed.len() - 9];
        assert!(decode(cut).unwrap().read_to_end(&mut bytes).is_err());
    }
}
