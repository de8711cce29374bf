//! The resolver that a sandbox sees. It asks nobody: a query is a way out, for whoever runs the server that is asked.
//!
//! A name that may be reached gets an address that stands for it. `PTR`, `SRV`, `TXT`, `MX` and all other kinds have
//! no answer: what they say could not be checked, and nothing here needs them. So `HTTPS` records have none either,
//! and with them no keys to encrypt the name of a server with.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::Host;
use crate::audit::Protocol;
use crate::connection::Connection;
use crate::host::Name;
use crate::refusal::{Code, Refusal};
use crate::sandbox::{NO_CONNECTION, Sandbox};
use crate::shared::Shared;

/// Seconds. The address stands for the name for longer than that.
const TIME_TO_LIVE: u32 = 60;

/// Bytes that a datagram may have, as far as this side is concerned.
pub(crate) const LONGEST_DATAGRAM: usize = 4_096;
const ADVERTISED: u16 = 1_232;

/// The answer to a query, if it deserves one.
pub(crate) fn answer(shared: &Shared, sandbox: &Sandbox, bytes: &[u8]) -> Option<Vec<u8>> {
    let Ok(query) = Message::from_vec(bytes) else { return malformed(bytes) };
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata.recursion_desired = query.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(ADVERTISED);
        response.edns = Some(edns);
    }
    response.metadata.response_code = match query.queries.as_slice() {
        _ if query.metadata.op_code != OpCode::Query => ResponseCode::NotImp,
        [question] if question.query_class == DNSClass::IN => {
            response.add_query(question.clone());
            match look_up(shared, sandbox, question)? {
                Found::Address(address) => {
                    let record = Record::from_rdata(question.name.clone(), TIME_TO_LIVE, RData::from(address));
                    response.add_answer(record);
                    ResponseCode::NoError
                }
                Found::Nothing => ResponseCode::NoError,
                Found::NoName => ResponseCode::NXDomain,
            }
        }
        _ => ResponseCode::FormErr,
    };
    response.to_vec().ok()
}

enum Found {
    Address(IpAddr),
    /// Of that kind.
    Nothing,
    /// Nor of any other. A refusal is told in this way, for libraries ask again and again after any other.
    NoName,
}

/// None if it is asked too often.
fn look_up(shared: &Shared, sandbox: &Sandbox, question: &Query) -> Option<Found> {
    if !matches!(question.query_type, RecordType::A | RecordType::AAAA) {
        return Some(Found::Nothing);
    }
    let text = question.name.to_ascii();
    let asked = text.parse::<Name>();
    if let Ok(name) = &asked
        && is_local(name)
    {
        return Some(Found::Address(match question.query_type {
            RecordType::A => Ipv4Addr::LOCALHOST.into(),
            _ => Ipv6Addr::LOCALHOST.into(),
        }));
    }
    let permitted = match asked {
        Ok(name) if sandbox.terms().policy.permits(&Host::Name(name.clone())) => Ok(name),
        Ok(name) => Err(Refusal::new(Code::HostNotAllowed).host(name.as_str())),
        Err(_) => Err(Refusal::new(Code::HostInvalid).host(&text)),
    };
    match permitted {
        Ok(name) if question.query_type == RecordType::A => {
            Some(Found::Address(sandbox.names.lock().address_of(&name).into()))
        }
        // There are no such addresses here: programs then use the other version.
        Ok(_) => Some(Found::Nothing),
        Err(refusal) => {
            if !sandbox.pace.try_keep() {
                return None;
            }
            sandbox.deny(shared, NO_CONNECTION, Protocol::Dns, &refusal);
            Some(Found::NoName)
        }
    }
}

/// The sandbox itself, wherever it is asked (RFC 6761).
fn is_local(name: &Name) -> bool {
    name.as_str() == "localhost" || name.as_str().ends_with(".localhost")
}

/// What is no message, but may have been meant as a query.
fn malformed(bytes: &[u8]) -> Option<Vec<u8>> {
    let [high, low, flags, ..] = bytes else { return None };
    let is_response = flags & 0x80 != 0;
    if is_response {
        return None;
    }
    let id = u16::from_be_bytes([*high, *low]);
    Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok()
}

/// Queries over a stream, each after its length, until there are no more.
pub(crate) async fn serve(connection: &Connection, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let patience = connection.shared.timeouts.head;
    loop {
        let asked = async {
            let mut query = vec![0; stream.read_u16().await?.into()];
            stream.read_exact(&mut query).await?;
            io::Result::Ok(query)
        };
        let Ok(Ok(query)) = timeout(patience, asked).await else { return };
        let Some(answer) = answer(&connection.shared, &connection.sandbox, &query) else { return };
        let Ok(length) = u16::try_from(answer.len()) else { return };
        let bytes = [length.to_be_bytes().as_slice(), &answer].concat();
        match timeout(patience, stream.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests;
