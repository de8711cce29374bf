//! One connection: requests in, answers out, in whatever order they come to be.

mod save;

use std::{
    io::BufReader,
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex},
    time::Duration,
};

use hand_protocol::{Answer, Error, Execute, Outcome, Reply, Request, VERSION, Verb, read_frame, write_frame};

use super::{
    Service,
    adopters::Adopter,
    ledger::{Begun, Denied, Listener},
    outputs,
};
use crate::{processes, sync::lock};

/// How long a peer that reads nothing may hold a writer up.
const STUCK: Duration = Duration::from_secs(30);

/// The side that answers, shared with the calls that are under way.
struct Writer(Mutex<UnixStream>);

/// Serves a connection to its end. Calls that it has begun go on after that.
pub(super) fn serve(stream: UnixStream, service: &Arc<Service>) {
    let _ = stream.set_write_timeout(Some(STUCK));
    let Ok(reading) = stream.try_clone() else { return };
    let mut requests = BufReader::new(reading);
    let writer = Arc::new(Writer(Mutex::new(stream)));
    let mut adopter = None;
    // While it is kept nothing begins.
    let mut rest = None;
    // A frame that cannot be read ends the connection: where the next one starts is not known.
    while let Ok(Request { seq, epoch, verb }) = read_frame(&mut requests) {
        let reply = match verb {
            Verb::Hello { version } => hello(service, epoch, version, &mut adopter),
            Verb::Sockets => match service.sockets.send(seq, &mut lock(&writer.0)) {
                Ok(()) => continue,
                Err(_) => break,
            },
            _ if adopter.is_none() => refused("the first request must be a hello"),
            Verb::Execute(execute) => match begin(service, &writer, seq, epoch, execute) {
                Some(reply) => reply,
                None => continue,
            },
            Verb::Save => match save::begin(service, &writer, epoch) {
                Ok(begun) => {
                    writer.answer(seq, Reply::Ok);
                    save::send(service, &writer, rest.insert(begun));
                    continue;
                }
                Err(reply) => reply,
            },
            Verb::Shutdown => match service.ledger.admit(epoch) {
                Ok(()) => {
                    processes::end_all(None);
                    writer.answer(seq, Reply::Ok);
                    service.end()
                }
                Err(denied) => denial(denied),
            },
            verb => answer(service, epoch, verb),
        };
        writer.answer(seq, reply);
    }
    writer.close();
}

fn hello<'a>(service: &'a Arc<Service>, epoch: u64, version: u32, adopter: &mut Option<Adopter<'a>>) -> Reply {
    if version != VERSION {
        return refused(&format!("this daemon speaks version {VERSION} of the protocol, not {version}"));
    }
    if let Err(denied) = service.ledger.admit(epoch) {
        return denial(denied);
    }
    adopter.get_or_insert_with(|| service.adopters.join());
    Reply::Welcome { version: VERSION, incarnation: service.incarnation.clone() }
}

/// Begins a call, unless it is known already. None where the answer follows once the call has ended.
fn begin(service: &Arc<Service>, writer: &Arc<Writer>, seq: u64, epoch: u64, execute: Execute) -> Option<Reply> {
    let later = Arc::clone(writer);
    let listener: Listener = Box::new(move |outcome: Arc<Outcome>| {
        later.answer(seq, Reply::Done { outcome: Arc::unwrap_or_clone(outcome) });
    });
    match service.ledger.begin(epoch, &execute.call, listener) {
        Ok(Begun::Run(cancel)) => {
            service.dispatch(execute, cancel);
            None
        }
        Ok(Begun::Joined) => None,
        Ok(Begun::Finished(outcome)) => Some(Reply::Done { outcome: Arc::unwrap_or_clone(outcome) }),
        Err(denied) => Some(denial(denied)),
    }
}

/// The verbs that are answered at once.
fn answer(service: &Service, epoch: u64, verb: Verb) -> Reply {
    let result = match verb {
        Verb::Look { calls } => service.ledger.look(epoch, &calls).map(|found| Reply::Journal { found }),
        Verb::Cancel { call } => service.ledger.cancel(epoch, &call).map(|()| {
            service.shell.ring();
            Reply::Ok
        }),
        Verb::Outputs => service.ledger.admit(epoch).map(|()| {
            let (entries, truncated) = outputs::list(&service.places.outputs);
            Reply::Entries { entries, truncated }
        }),
        Verb::Fetch { path, offset, length } => service.ledger.admit(epoch).and_then(|()| {
            outputs::fetch(&service.places.outputs, &path, offset, length)
                .map(|(data, eof)| Reply::Chunk { data, eof })
                .map_err(|error| Denied::Refused(format!("{path}: {error}")))
        }),
        Verb::Hello { .. } | Verb::Execute(_) | Verb::Sockets | Verb::Save | Verb::Shutdown => {
            Err(Denied::Refused("not answered here".to_owned()))
        }
    };
    result.unwrap_or_else(denial)
}

impl Writer {
    fn answer(&self, seq: u64, reply: Reply) {
        let mut stream = lock(&self.0);
        let written = match write_frame(&mut *stream, &Answer { seq, reply }) {
            // Nothing of it has been written.
            Err(Error::TooLarge(size)) => {
                let reply = refused(&format!("the answer has {size} bytes, which is more than a frame holds"));
                write_frame(&mut *stream, &Answer { seq, reply })
            }
            written => written,
        };
        if written.is_err() {
            // Perhaps half a frame is out. What follows would not be understood.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn close(&self) {
        // Listeners hold this writer until their calls end; the peer should see the end now.
        let _ = lock(&self.0).shutdown(Shutdown::Both);
    }
}

fn denial(denied: Denied) -> Reply {
    match denied {
        Denied::Fenced(epoch) => Reply::Fenced { epoch },
        Denied::Refused(message) => Reply::Refused { message },
    }
}

fn refused(message: &str) -> Reply {
    Reply::Refused { message: message.to_owned() }
}
