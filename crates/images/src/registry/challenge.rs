//! What a registry wants before it answers.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token that `realm` gives out.
    Token {
        realm: String,
        service: Option<String>,
    },
    Basic,
}

/// The first that can be met. A token is asked for rather than a password sent each time.
pub(super) fn read(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let mut basic = None;
    for value in values {
        for challenge in http_auth::parse_challenges(value).unwrap_or_default() {
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let of = |wanted: &str| {
                    let found = challenge.params.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if let Some(realm) = of("realm") {
                    return Some(Challenge::Token { realm, service: of("service") });
                }
            }
        }
    }
    basic
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn challenge(values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values.iter().copied() {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        read(&headers)
    }

    #[test]
    fn a_token_is_asked_for_where_one_is_given_out() {
        let realm = r#"Bearer realm="https://auth.example/token",service="images",scope="repository:a:pull""#;
        let token = Challenge::Token { realm: "https://auth.example/token".into(), service: Some("images".into()) };
        assert_eq!(challenge(&[realm]).as_ref(), Some(&token));
        assert_eq!(challenge(&[r#"Basic realm="images""#, realm]), Some(token));
        assert_eq!(challenge(&[r#"Basic realm="images""#]), Some(Challenge::Basic));
        for other in ["Bearer", r#"Digest realm="a""#, r#"Bearer service="x""#, "\"", ""] {
            assert_eq!(challenge(&[other]), None, "{other}");
        }
        assert_eq!(challenge(&[]), None);
    }
}
