//! A blob onto the disk, continued where it broke off.

use std::{io, path::Path};

use reqwest::{
    Response, StatusCode,
    header::{CONTENT_RANGE, HeaderMap, HeaderValue, RANGE},
};
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::File,
    io::{AsyncSeekExt, AsyncWriteExt, BufWriter},
};

use super::{
    client::{Client, Patience},
    error::Error,
};
use crate::{Digest, manifest::Descriptor};

const BUFFER: usize = 256 << 10;

/// What there is so far.
struct Part {
    file: BufWriter<File>,
    length: u64,
    hash: Sha256,
}

impl Part {
    async fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    async fn start_anew(&mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.get_ref().set_len(0).await?;
        self.file.rewind().await?;
        (self.length, self.hash) = (0, Sha256::new());
        Ok(())
    }
}

impl Client {
    /// Writes the blob to a new file, which then has the digest and size that it should. `told` is told how many bytes
    /// there are.
    pub(crate) async fn download(
        &self,
        blob: &Descriptor,
        path: &Path,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let file = File::create_new(path).await.map_err(Error::Disk)?;
        let mut part = Part { file: BufWriter::with_capacity(BUFFER, file), length: 0, hash: Sha256::new() };
        let mut patience = Patience::default();
        loop {
            let before = part.length;
            match self.go_on(blob, &mut part, told).await {
                Ok(()) => break,
                Err(error) if error.passes() => {
                    if part.length > before {
                        patience.restore();
                    }
                    patience.wait(error).await?;
                }
                Err(error) => return Err(error),
            }
        }
        // Read by another descriptor next: nothing may be left in the buffer.
        part.file.flush().await.map_err(Error::Disk)?;
        let actual = Digest::finish(part.hash);
        if actual == blob.digest {
            return Ok(());
        }
        Err(Error::Digest { registry: self.registry().to_owned(), expected: blob.digest.clone(), actual })
    }

    async fn go_on(&self, blob: &Descriptor, part: &mut Part, told: &(dyn Fn(u64) + Sync)) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        if part.length > 0 {
            let range = HeaderValue::try_from(format!("bytes={}-", part.length));
            headers.extend(range.ok().map(|range| (RANGE, range)));
        }
        let path = format!("blobs/{}", blob.digest);
        let mut response = match self.get(&path, &headers).await {
            // What a server says that has only the whole of it, or thinks that it was given all.
            Err(Error::Refused { status: 416, .. }) if part.length > 0 => {
                part.start_anew().await.map_err(Error::Disk)?;
                self.get(&path, &HeaderMap::new()).await?
            }
            response => response?,
        };
        if part.length > 0 && !continues(&response, part.length) {
            part.start_anew().await.map_err(Error::Disk)?;
            // Some other part of it is of no use.
            if response.status() == StatusCode::PARTIAL_CONTENT {
                response = self.get(&path, &HeaderMap::new()).await?;
            }
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if part.length + chunk.len() as u64 > blob.size {
                return Err(Error::TooLarge { what: blob.digest.to_string(), limit: blob.size });
            }
            part.add(&chunk).await.map_err(Error::Disk)?;
            told(part.length);
        }
        if part.length < blob.size {
            let reason = format!("it broke off after {} of {} bytes", part.length, blob.size);
            return Err(Error::Unreachable { registry: self.registry().to_owned(), reason });
        }
        Ok(())
    }
}

/// Whether the answer goes on where the part ends.
fn continues(response: &Response, length: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    response.status() == StatusCode::PARTIAL_CONTENT && range.starts_with(&format!("bytes {length}-"))
}
