//! What the gateway itself says over HTTP.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;

use crate::refusal::Refusal;

/// Theirs, or ours.
pub(super) type Answer = Either<Incoming, Full<Bytes>>;

const REFUSED: &str = "x-stead-refused";
const TEXT: &str = "text/plain; charset=utf-8";

pub(super) fn refuse(refusal: &Refusal) -> Response<Answer> {
    let mut response = Response::new(Either::Right(Full::new(text(refusal).into())));
    *response.status_mut() = refusal.code.status();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    response.headers_mut().insert(REFUSED, HeaderValue::from_static(refusal.code.as_str()));
    response
}

/// The same where no server runs on the connection: the last that is said on it.
pub(crate) fn refuse_raw(refusal: &Refusal) -> Vec<u8> {
    let (status, code, text) = (refusal.code.status(), refusal.code.as_str(), text(refusal));
    let length = text.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {TEXT}\r\n{REFUSED}: {code}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{text}"
    )
    .into_bytes()
}

fn text(refusal: &Refusal) -> String {
    format!("{}\n", refusal.sentence())
}
