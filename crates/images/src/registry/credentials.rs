//! Credentials for registries, in the form that Docker and others keep them in.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::header::HeaderValue;
use serde::Deserialize;

/// By registry. Nothing prints them.
#[derive(Clone, Default)]
pub struct Credentials(HashMap<String, Secret>);

#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} holds no credentials in Docker's form: {reason}")]
    Form { path: PathBuf, reason: String },
}

/// The value of an `authorization` header, marked so that it is not printed.
#[derive(Clone)]
pub(super) enum Secret {
    /// For the registry, or for whoever gives out its tokens.
    Basic(HeaderValue),
    Token(HeaderValue),
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: HashMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    registrytoken: Option<String>,
}

impl Credentials {
    /// Reads a `config.json`. What it says of helper programs is not heeded: none is run.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let text = fs::read(path).map_err(|source| CredentialsError::File { path: path.to_owned(), source })?;
        parse(&text).map_err(|reason| CredentialsError::Form { path: path.to_owned(), reason })
    }

    /// For `host` or `host:port`.
    pub(super) fn of(&self, host: &str) -> Option<Secret> {
        self.0.get(host).cloned()
    }
}

/// Parse errors tell where, never what.
fn parse(text: &[u8]) -> Result<Credentials, String> {
    let place = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
    let file: File = serde_json::from_slice(text).map_err(place)?;
    let mut credentials = HashMap::new();
    for (name, entry) in file.auths {
        let host = host(&name);
        match secret(entry) {
            Ok(Some(secret)) => {
                credentials.insert(host.to_owned(), secret);
            }
            // Left to a helper, or an identity token for a protocol of its own.
            Ok(None) => tracing::warn!(registry = host, "its credentials are not in the file, or of no known kind"),
            Err(reason) => return Err(format!("{host}: {reason}")),
        }
    }
    Ok(Credentials(credentials))
}

/// Keys may be addresses with a scheme and a path.
fn host(name: &str) -> &str {
    let name = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
    name.split_once('/').map_or(name, |(host, _)| host)
}

fn secret(entry: Entry) -> Result<Option<Secret>, &'static str> {
    if let Some(token) = entry.registrytoken.filter(|token| !token.is_empty()) {
        return Ok(Some(Secret::Token(header("Bearer", &token)?)));
    }
    let encoded = match (entry.auth.filter(|auth| !auth.is_empty()), entry.username, entry.password) {
        (Some(auth), ..) => {
            let decoded = STANDARD.decode(auth.trim()).map_err(|_| "its `auth` is not base64")?;
            if !decoded.contains(&b':') {
                return Err("its `auth` has no user and password");
            }
            // Docker pads with zero bytes.
            let end = decoded.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            STANDARD.encode(decoded.get(..end).unwrap_or_default())
        }
        (None, Some(user), Some(password)) if !user.is_empty() => STANDARD.encode(format!("{user}:{password}")),
        _ => return Ok(None),
    };
    Ok(Some(Secret::Basic(header("Basic", &encoded)?)))
}

pub(super) fn header(scheme: &str, value: &str) -> Result<HeaderValue, &'static str> {
    let header = HeaderValue::try_from(format!("{scheme} {value}"));
    let mut header = header.map_err(|_| "it holds characters that no HTTP header can carry")?;
    header.set_sensitive(true);
    Ok(header)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials(of {} registries)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(credentials: &Credentials, host: &str) -> Option<String> {
        credentials.of(host).map(|secret| match secret {
            Secret::Basic(value) | Secret::Token(value) => value.to_str().unwrap().to_owned(),
        })
    }

    #[test]
    fn every_form_of_an_entry_is_read() {
        let credentials = parse(
            br#"{
                "credsStore": "desktop",
                "auths": {
                    "one.example:5000": { "auth": "dXNlcjpwYXNzAAA=" },
                    "https://two.example/v1/": { "username": "user", "password": "pass" },
                    "three.example": { "registrytoken": "abc", "auth": "" },
                    "four.example": {}
                }
            }"#,
        )
        .unwrap();
        assert_eq!(value(&credentials, "one.example:5000").as_deref(), Some("Basic dXNlcjpwYXNz"));
        assert_eq!(value(&credentials, "two.example").as_deref(), Some("Basic dXNlcjpwYXNz"));
        assert_eq!(value(&credentials, "three.example").as_deref(), Some("Bearer abc"));
        assert_eq!(value(&credentials, "four.example"), None);
        assert_eq!(value(&credentials, "one.example"), None);
        assert!(!format!("{credentials:?}").contains("dXNl"));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_secret() {
        for text in [r#"{"auths":{"a":{"auth":"s3cr3t!"}}}"#, r#"{"auths":{"a":{"auth":["s3cr3t"]}}}"#, "s3cr3t"] {
            let refused = parse(text.as_bytes()).unwrap_err();
            assert!(!refused.contains("s3cr3t"), "{refused}");
        }
    }
}
