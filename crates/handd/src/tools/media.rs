//! Files that are looked at, not read: images and PDF documents.

use std::{
    io::{Read, Seek},
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use hand_protocol::{Content, Outcome};

use super::{Failed, files::Named};

/// Encoded sizes, as the model's provider counts them.
const LARGEST_IMAGE: u64 = 5 << 20;
const LARGEST_DOCUMENT: u64 = 20 << 20;

/// The longest magic number here.
const MAGIC: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image(&'static str),
    Document,
}

/// The file as content, if both its name and its first bytes say that it is an image or a PDF.
pub(super) fn read(file: &Named<'_>) -> Result<Option<Outcome>, Failed> {
    if !is_named_so(file.path) {
        return Ok(None);
    }
    let (mut opened, size) = file.open()?;
    let mut magic = Vec::new();
    (&opened).take(MAGIC as u64).read_to_end(&mut magic).map_err(|error| file.failed(&error))?;
    let Some(kind) = kind(&magic) else { return Ok(None) };
    let (limit, what) = match kind {
        Kind::Image(_) => (LARGEST_IMAGE, "an image"),
        Kind::Document => (LARGEST_DOCUMENT, "a document"),
    };
    // Whole groups of three bytes become four characters.
    let largest = limit / 4 * 3;
    if size > largest {
        return Err(file.fault(&format!("is {what} of {size} bytes, which is over the limit of {largest}")));
    }
    let mut bytes = Vec::new();
    let read = opened.rewind().and_then(|()| opened.take(largest + 1).read_to_end(&mut bytes));
    read.map_err(|error| file.failed(&error))?;
    if bytes.len() as u64 > largest {
        return Err(file.fault(&format!("is {what} that has grown over the limit of {largest} bytes")));
    }
    let data = BASE64_STANDARD.encode(bytes);
    let content = match kind {
        Kind::Image(media_type) => Content::Image { media_type: media_type.to_owned(), data },
        Kind::Document => Content::Document { media_type: "application/pdf".to_owned(), data },
    };
    Ok(Some(Outcome { content: vec![content], is_error: false }))
}

fn is_named_so(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["png", "jpg", "jpeg", "gif", "webp", "pdf"].iter().any(|known| known.eq_ignore_ascii_case(extension))
}

/// By the first bytes: a name can be wrong, and a provider refuses an image whose type is.
fn kind(magic: &[u8]) -> Option<Kind> {
    match magic {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Kind::Image("image/png")),
        [0xff, 0xd8, 0xff, ..] => Some(Kind::Image("image/jpeg")),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Kind::Image("image/gif")),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Kind::Image("image/webp")),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some(Kind::Document),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn content(name: &str, bytes: &[u8]) -> Result<Option<Content>, Failed> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        let found = read(&Named { tool: "read", shown: name, path: &path })?;
        Ok(found.and_then(|outcome| outcome.content.into_iter().next()))
    }

    #[test]
    fn an_image_keeps_its_bytes_and_gets_the_type_it_has() {
        let png = b"\x89PNG\r\n\x1a\n and the rest";
        let expected = Content::Image { media_type: "image/png".into(), data: BASE64_STANDARD.encode(png) };
        assert_eq!(content("a.PNG", png), Ok(Some(expected.clone())));
        assert_eq!(content("misnamed.jpg", png), Ok(Some(expected)));
    }

    #[test]
    fn a_pdf_is_a_document() {
        let pdf = b"%PDF-1.7\n";
        let expected = Content::Document { media_type: "application/pdf".into(), data: BASE64_STANDARD.encode(pdf) };
        assert_eq!(content("a.pdf", pdf), Ok(Some(expected)));
    }

    #[test]
    fn name_and_bytes_must_agree() {
        assert_eq!(content("a.png", b"just text"), Ok(None));
        assert_eq!(content("a.txt", b"%PDF-1.7\n"), Ok(None));
        assert_eq!(content("a.png", b""), Ok(None));
    }

    #[test]
    fn an_image_over_the_limit_is_refused_by_its_size() {
        let mut jpeg = b"\xff\xd8\xff".to_vec();
        jpeg.resize(LARGEST_IMAGE as usize / 4 * 3, 0);
        assert!(content("a.jpg", &jpeg).is_ok());
        jpeg.push(0);
        let Failed(message) = content("a.jpg", &jpeg).unwrap_err();
        assert!(message.contains("over the limit of 3932160"), "{message}");
    }
}
