//! A key at a provider that speaks as the transit engine of HashiCorp Vault does.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use serde_json::{Value, json};
use url::Url;
use zeroize::{Zeroize, Zeroizing};

use super::{Error, TransitSource};

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer.
const LONGEST: usize = 64 << 10;

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");

pub(super) struct Transit {
    client: Client,
    base: Url,
    mount: String,
    key: String,
    token_file: PathBuf,
    namespace: Option<String>,
}

impl Transit {
    pub(super) fn new(source: &TransitSource) -> Result<Self, Error> {
        let unusable = |why: String| Error::Unusable(why);
        let base = Url::parse(&source.url).map_err(|error| unusable(format!("{}: {error}", source.url)))?;
        for (name, word) in [("key", &source.key), ("mount", &source.mount)] {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
            if word.is_empty() || word.contains("..") || !word.bytes().all(is_plain) {
                return Err(unusable(format!("the provider's {name} {word:?} is no name")));
            }
        }
        let mut client = Client::builder().timeout(PATIENCE).redirect(Policy::none()).no_proxy();
        if let Some(path) = &source.ca {
            let read = fs::read(path).map_err(|error| unusable(format!("{}: {error}", path.display())))?;
            let certificates = Certificate::from_pem_bundle(&read);
            let certificates = certificates.map_err(|error| unusable(format!("{}: {error}", path.display())))?;
            client = certificates.into_iter().fold(client, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = client.build().map_err(|error| unusable(error.to_string()))?;
        let (mount, key) = (source.mount.trim_matches('/').to_owned(), source.key.clone());
        let (token_file, namespace) = (source.token_file.clone(), source.namespace.clone());
        Ok(Self { client, base, mount, key, token_file, namespace })
    }

    pub(super) fn name(&self) -> String {
        format!("transit:{}/{}", self.mount, self.key)
    }

    pub(super) async fn encrypt(&self, aad: &[u8], data_key: &[u8]) -> Result<String, Error> {
        let body = json!({"plaintext": BASE64.encode(data_key), "associated_data": BASE64.encode(aad)});
        let answer = self.ask(&format!("encrypt/{}", self.key), body).await?;
        let text = answer["data"]["ciphertext"].as_str().map(str::to_owned);
        text.ok_or_else(|| Error::Provider("its answer has no ciphertext".into()))
    }

    pub(super) async fn decrypt(&self, aad: &[u8], wrapped: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let body = json!({"ciphertext": wrapped, "associated_data": BASE64.encode(aad)});
        let mut answer = self.ask(&format!("decrypt/{}", self.key), body).await?;
        let text = match answer["data"]["plaintext"].take() {
            Value::String(text) => Zeroizing::new(text),
            _ => return Err(Error::Provider("its answer has no plaintext".into())),
        };
        Ok(Zeroizing::new(BASE64.decode(text.as_bytes()).map_err(|_| Error::Damaged)?))
    }

    pub(super) async fn rotate(&self) -> Result<(), Error> {
        self.ask(&format!("keys/{}/rotate", self.key), json!({})).await.map(|_| ())
    }

    /// The token is read each time: whoever keeps it up to date writes a new one before the old one ends.
    fn headers(&self) -> Result<HeaderMap, Error> {
        let unusable = |why: String| Error::Unusable(format!("{}: {why}", self.token_file.display()));
        let token = Zeroizing::new(fs::read_to_string(&self.token_file).map_err(|error| unusable(error.to_string()))?);
        let mut token = HeaderValue::from_str(token.trim()).map_err(|_| unusable("it holds no token".into()))?;
        token.set_sensitive(true);
        let mut headers = HeaderMap::from_iter([(TOKEN, token)]);
        if let Some(namespace) = &self.namespace {
            let namespace = HeaderValue::from_str(namespace);
            headers.insert(NAMESPACE, namespace.map_err(|_| Error::Unusable("the namespace is no name".into()))?);
        }
        Ok(headers)
    }

    async fn ask(&self, path: &str, body: Value) -> Result<Value, Error> {
        let url = self.base.join(&format!("v1/{}/{path}", self.mount));
        let url = url.map_err(|error| Error::Unusable(error.to_string()))?;
        let failed = |error: reqwest::Error| Error::Provider(error.without_url().to_string());
        let mut bytes = Zeroizing::new(body.to_string().into_bytes());
        // What is sent is copied by the client in any case; this copy is gone at least.
        let request = self.client.post(url).headers(self.headers()?).body(bytes.to_vec());
        bytes.zeroize();
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut answer = Zeroizing::new(Vec::new());
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if answer.len() + piece.len() > LONGEST {
                return Err(Error::Provider("its answer is too long".into()));
            }
            answer.extend_from_slice(&piece);
        }
        let value = serde_json::from_slice::<Value>(&answer);
        if status.is_success() {
            // Of a rotation there is nothing to say.
            return if answer.is_empty() {
                Ok(Value::Null)
            } else {
                value.map_err(|_| Error::Provider("its answer is not JSON".into()))
            };
        }
        let errors = value.ok().and_then(|value| value["errors"].as_array().cloned()).unwrap_or_default();
        let errors: Vec<_> = errors.iter().filter_map(Value::as_str).collect();
        // What it says of a ciphertext that it does not take; a server that is sealed or out of order says 5xx.
        if status.as_u16() == 400 && path.starts_with("decrypt/") {
            tracing::warn!(?errors, "the key provider does not open a data key");
            return Err(Error::Damaged);
        }
        Err(Error::Provider(format!("it answers {status}: {}", errors.join("; "))))
    }
}
