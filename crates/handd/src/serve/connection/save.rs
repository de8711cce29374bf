//! Puts the sandbox away: its processes are ended, and what it has written is sent.
//!
//! From then on nothing begins in it until the connection ends. Whoever has received all ends the sandbox; whoever has
//! not goes away, and it lives on. A higher epoch, for which there is work to do, does not wait for that.

use std::{
    io::{self, ErrorKind, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::Duration,
};

use hand_protocol::Reply;

use super::{STUCK, Writer, denial, refused};
use crate::{
    clock,
    left::needed,
    pieces::Pieces,
    processes,
    serve::{Service, ledger::Rest},
    sync::lock,
};

/// Between two looks at whether there is work. Not every kernel wakes who waits to write to a connection that is cut.
const LOOK: Duration = Duration::from_millis(100);

/// Ends all that runs. After this, and until what is returned is dropped, nothing begins.
pub(super) fn begin<'a>(service: &'a Service, writer: &Writer, epoch: u64) -> Result<Rest<'a>, Reply> {
    if service.written.is_none() {
        return Err(refused("what this sandbox has written cannot be sent from in here"));
    }
    let line = lock(&writer.0).try_clone().map_err(|error| refused(&error.to_string()))?;
    let rest = service.ledger.rest(epoch, line).map_err(denial)?;
    if processes::clear() { Ok(rest) } else { Err(refused("its processes do not end")) }
}

/// Sends what the sandbox has written.
pub(super) fn send(service: &Service, writer: &Writer, rest: &Rest<'_>) {
    let stream = lock(&writer.0);
    let _ = stream.set_write_timeout(Some(LOOK));
    let mut pieces = Pieces::new(Patient { stream: &stream, rest });
    let saved = match &service.written {
        Some(written) => written.save(service.disk, &mut pieces),
        None => Ok(()),
    };
    let saved = saved.and_then(|()| if rest.seal() { Ok(()) } else { Err(needed()) });
    let reason = saved.err().map(|error| error.to_string()).unwrap_or_default();
    if pieces.end(&reason).is_err() {
        // What follows would not be understood.
        let _ = stream.shutdown(Shutdown::Both);
    }
    let _ = stream.set_write_timeout(Some(STUCK));
}

/// The connection, as long as nobody cuts it off.
struct Patient<'a> {
    stream: &'a UnixStream,
    rest: &'a Rest<'a>,
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let since = clock::now();
        loop {
            match self.stream.write(bytes) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.rest.is_cut() {
                        return Err(needed());
                    }
                    if clock::now().saturating_duration_since(since) >= STUCK {
                        return Err(error);
                    }
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
