//! What the providers share of HTTP: one pool of connections, the key, and where a request goes.

mod answer;
mod envelope;
mod refusal;
mod too_long;

use std::{fmt, time::Duration};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use reqwest::{
    Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};

pub(crate) use answer::{Decode, read};
pub(crate) use envelope::Envelope;

use crate::{Error, Event};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Why a provider cannot be asked at all: an operator has to change something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SetupError {
    #[error("the model's base URL cannot be used: {0}")]
    BaseUrl(String),
    #[error("the model's key holds characters that no HTTP header can carry")]
    Key,
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

/// A provider's key. Nothing prints it.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// White space around the key is dropped: keys come from files that end in a newline.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self(key.as_ref().trim().to_owned())
    }

    /// The header value `<prefix><key>`, marked so that HTTP libraries do not print it either.
    fn header(&self, prefix: &str) -> Result<HeaderValue, SetupError> {
        let mut value = HeaderValue::try_from(format!("{prefix}{}", self.0)).map_err(|_| SetupError::Key)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// `text` with every copy of the key masked: providers like to quote a wrong key in their answer.
    fn masked_in(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "[key]") }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A pool of connections to model providers. Made once; clones share it.
#[derive(Debug, Clone)]
pub struct Http(reqwest::Client);

impl Http {
    /// Redirects are not followed and proxies are not asked: a key goes to the configured address and nowhere else.
    pub fn new() -> Result<Self, SetupError> {
        match client_builder().build() {
            Ok(client) => Ok(Self(client)),
            // A machine without CA certificates must still reach a model on its own network over plain HTTP.
            Err(error) => {
                let reason = answer::reasons(&error);
                tracing::warn!(%reason, "no TLS trust store: only models over plain http can be reached");
                let none = Vec::<reqwest::Certificate>::new();
                client_builder().tls_certs_only(none).build().map(Self).map_err(|_| SetupError::Client(reason))
            }
        }
    }
}

fn client_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("stead/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
}

/// How one provider is reached.
#[derive(Debug, Clone)]
pub struct Options {
    pub http: Http,
    pub base_url: String,
    pub api_key: Option<Key>,
    /// How long the provider may be silent, before its answer or in the middle of it. 120 seconds unless told.
    pub idle_timeout: Duration,
}

impl Options {
    pub fn new(http: Http, base_url: impl Into<String>) -> Self {
        Self { http, base_url: base_url.into(), api_key: None, idle_timeout: IDLE_TIMEOUT }
    }

    #[must_use]
    pub fn with_key(mut self, key: Option<Key>) -> Self {
        self.api_key = key;
        self
    }
}

/// The base URL, parsed: `http` or `https` with a host.
pub(crate) fn base_url(text: &str) -> Result<Url, SetupError> {
    let url = Url::parse(text.trim()).map_err(|error| SetupError::BaseUrl(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(SetupError::BaseUrl("it is not an http or https address".to_owned()));
    }
    Ok(url)
}

/// `path`, which starts with a slash, below what the base URL has already. Its query stays: some gateways want one.
pub(crate) fn below(mut base: Url, path: &str) -> Url {
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    base.set_path(&path);
    base
}

/// One address of a provider, with the headers of every request to it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    key: Option<Key>,
    idle_timeout: Duration,
}

impl Endpoint {
    /// The key travels in the header `name` as `<prefix><key>`.
    pub(crate) fn new(options: Options, url: Url, name: HeaderName, prefix: &str) -> Result<Self, SetupError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(key) = &options.api_key {
            headers.insert(name, key.header(prefix)?);
        }
        let Options { http, api_key, idle_timeout, .. } = options;
        Ok(Self { http: http.0, url, headers, key: api_key, idle_timeout })
    }

    pub(crate) fn add_header(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.insert(name, value);
    }

    /// Sends `body` and gives the answer to `decoder`. Nothing is sent before the stream is polled.
    pub(crate) fn ask<D: Decode>(
        &self,
        body: serde_json::Result<Vec<u8>>,
        decoder: D,
    ) -> BoxStream<'static, Result<Event, Error>> {
        match body {
            Ok(body) => {
                let request = self.http.post(self.url.clone()).headers(self.headers.clone()).body(body);
                answer::stream(request, self.key.clone(), self.idle_timeout, decoder)
            }
            Err(error) => {
                let refused: Result<Event, Error> = Err(Error::Invalid(error.to_string()));
                stream::iter([refused]).boxed()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let key = Key::new("sk-secret-123\n");
        assert_eq!(format!("{key:?} {:?}", key.header("Bearer ")), "Key(..) Ok(Sensitive)");
        assert_eq!(key.masked_in("wrong key sk-secret-123."), "wrong key [key].");
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused() {
        assert!(matches!(Key::new("a\nb").header(""), Err(SetupError::Key)));
    }

    #[test]
    fn a_base_url_is_http_and_paths_go_below_it() {
        for (base, whole) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/x"),
            ("http://host/a/", "http://host/a/v1/x"),
            ("https://host/a?version=2", "https://host/a/v1/x?version=2"),
        ] {
            assert_eq!(below(base_url(base).unwrap(), "/v1/x").as_str(), whole);
        }
        for wrong in ["", "localhost:8080", "ftp://host/", "file:///etc/passwd"] {
            assert!(base_url(wrong).is_err(), "{wrong}");
        }
    }
}
