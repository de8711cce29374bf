//! What is left of a sandbox that nobody needs any more: an archive of what was written in it.

use std::{io, os::unix::net::UnixStream, thread, time::Duration};

use super::{Service, ledger::Rest, written::Written};
use crate::{complain, left::needed, processes};

/// Between two attempts, while a call runs that may yet write something.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends the sandbox, whose files are in their place then. Returns if somebody needs it after all, or if a call runs.
pub(super) fn leave(service: &Service) {
    let Some(written) = service.written.as_ref().filter(|written| written.can_be_left()) else { service.end() };
    let begun = UnixStream::pair().ok().and_then(|(line, theirs)| Some((line, service.ledger.leave(theirs)?)));
    let Some((line, rest)) = begun else {
        thread::sleep(PAUSE);
        return;
    };
    match write(service, written, (&line, &rest)) {
        // Nothing can begin before the end, for nobody is let go.
        Ok(()) => service.end(),
        Err(error) => {
            if rest.is_cut() || service.adopters.is_anybody() {
                return;
            }
            complain(&format!("what was written is lost: {error}"));
            service.end()
        }
    }
}

fn write(service: &Service, written: &Written, (line, rest): (&UnixStream, &Rest<'_>)) -> io::Result<()> {
    if !processes::clear() {
        return Err(io::Error::other("its processes do not end"));
    }
    line.set_nonblocking(true)?;
    written.leave(service.disk, line, || {
        if service.adopters.is_anybody() || !rest.seal() { Err(needed()) } else { Ok(()) }
    })
}
