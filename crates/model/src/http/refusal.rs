//! A refused request: status, headers and body become the error that the brain acts on.

use std::time::Duration;

use reqwest::header::HeaderMap;

use super::{envelope::Envelope, too_long};
use crate::Error;

pub(super) fn error(status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
    let envelope = Envelope::of_body(body);
    // OpenAI reports an empty account as 429, and waiting does not fill it.
    let status = if envelope.status() == Some(402) { 402 } else { status };
    let message = match envelope.message.trim() {
        "" | "null" | "{}" => format!("status {status} without an explanation"),
        message => message.to_owned(),
    };
    if too_long::is_said(status, &envelope) {
        return Error::TooLong(message);
    }
    by_status(status, message, retry_after(headers))
}

pub(super) fn by_status(status: u16, message: String, retry_after: Option<Duration>) -> Error {
    match status {
        401 | 403 => Error::Unauthorized(message),
        402 => Error::Billing(message),
        429 => Error::RateLimited { message, retry_after },
        503 | 529 => Error::Overloaded { message, retry_after },
        // 408, 409 and 425: the provider gave up waiting, or asks for the same request again.
        408 | 409 | 425 | 500.. => Error::Server { status, message, retry_after },
        300..=399 => {
            Error::Invalid(format!("status {status}: redirects are not followed; set the final address as base URL"))
        }
        _ => Error::Invalid(message),
    }
}

/// `retry-after-ms`, else `retry-after` in seconds. Its other form, a date, is left to the caller's own backoff: no
/// model provider sends it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds =
        number("retry-after-ms").map(|milliseconds| milliseconds / 1000.0).or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn refused(status: u16, body: &str) -> Error {
        error(status, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn every_status_has_its_error() {
        for status in [400, 404, 422, 418, 301] {
            assert!(matches!(refused(status, ""), Error::Invalid(_)), "{status}");
        }
        for status in [401, 403] {
            assert!(matches!(refused(status, ""), Error::Unauthorized(_)), "{status}");
        }
        for status in [503, 529] {
            assert!(matches!(refused(status, ""), Error::Overloaded { .. }), "{status}");
        }
        for status in [408, 409, 500, 502, 504, 599] {
            assert!(matches!(refused(status, ""), Error::Server { status: s, .. } if s == status), "{status}");
        }
        assert!(matches!(refused(413, ""), Error::TooLong(_)));
        assert!(matches!(refused(402, ""), Error::Billing(_)));
        assert!(matches!(refused(429, ""), Error::RateLimited { .. }));
        assert!(matches!(
            refused(429, r#"{"error":{"code":"insufficient_quota","message":"empty"}}"#),
            Error::Billing(_)
        ));
    }

    #[test]
    fn a_refusal_says_why() {
        assert_eq!(
            refused(404, r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#).to_string(),
            "the model provider refused the request: model: x"
        );
        assert!(refused(500, "").to_string().ends_with("status 500 without an explanation"));
    }

    #[test]
    fn the_wait_is_read_in_seconds_or_milliseconds() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("7"));
        assert_eq!(error(429, &headers, b"").retry_after(), Some(Duration::from_secs(7)));
        headers.insert("retry-after-ms", HeaderValue::from_static("1500"));
        assert_eq!(error(529, &headers, b"").retry_after(), Some(Duration::from_millis(1500)));
        headers.clear();
        headers.insert("retry-after", HeaderValue::from_static("-1"));
        assert_eq!(error(500, &headers, b"").retry_after(), None);
    }
}
