//! Header fields that concern one hop and not the next.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// RFC 9110, 7.6.1, and what proxies were sent before it.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const WEBSOCKET: &str = "websocket";

/// Removes them, with those that the sender names in `Connection`. What says where a message goes and where it ends
/// cannot be taken out that way.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers, CONNECTION).filter_map(|name| name.parse().ok()).collect();
    for name in named.into_iter().filter(|name| *name != HOST && *name != CONTENT_LENGTH) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Whether they switch to the one other protocol that is let through.
pub(super) fn are_of_websocket(headers: &HeaderMap) -> bool {
    let is_upgrade = tokens(headers, CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
    let mut protocols = tokens(headers, UPGRADE);
    let is_websocket = protocols.next().is_some_and(|protocol| protocol.eq_ignore_ascii_case(WEBSOCKET));
    is_upgrade && is_websocket && protocols.next().is_none()
}

pub(super) fn make_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_concerns_one_hop_is_removed_and_the_rest_stays() {
        let mut fields = headers(&[
            ("connection", "keep-alive, X-Mine"),
            ("connection", "host, content-length, x-other"),
            ("x-mine", "1"),
            ("x-other", "1"),
            ("x-theirs", "1"),
            ("host", "example.com"),
            ("content-length", "5"),
            ("proxy-authorization", "secret"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
        ]);
        strip(&mut fields);
        let mut left: Vec<_> = fields.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "x-theirs"]);
    }

    #[test]
    fn websocket_is_the_one_upgrade() {
        assert!(are_of_websocket(&headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")])));
        assert!(!are_of_websocket(&headers(&[("connection", "upgrade"), ("upgrade", "h2c")])));
        assert!(!are_of_websocket(&headers(&[("connection", "upgrade"), ("upgrade", "websocket, h2c")])));
        assert!(!are_of_websocket(&headers(&[("upgrade", "websocket")])));
        assert!(!are_of_websocket(&headers(&[])));
    }
}
