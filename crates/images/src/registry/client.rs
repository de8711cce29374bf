//! One image's repository in one registry.

use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{
    Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use serde::Deserialize;

use super::{
    challenge::{self, Challenge},
    credentials::{Secret, header},
    error::{Error, reason},
};
use crate::{
    Digest, Reference,
    manifest::{self, ACCEPTED, Descriptor, Documents, MAX_DOCUMENT, Resolved},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two parts of an answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

const MAX_REDIRECTS: usize = 5;

const MAX_TOKEN: usize = 64 << 10;

/// Of a refusal, what is read and passed on.
const MAX_MESSAGE: usize = 2000;

/// How often in a row nothing comes before it is given up.
const TRIES: u32 = 6;

/// Doubled with every try.
const FIRST_WAIT: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_millis(500) };

/// The longest that a registry may make us wait.
const MAX_WAIT: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    /// The host, for people.
    registry: String,
    name: String,
    /// The way there is not secured, and neither need be the way to its tokens.
    plain: bool,
    secret: Option<Secret>,
    /// What the registry accepted last.
    authorization: Mutex<Option<HeaderValue>>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Client {
    pub(super) fn new(
        base: Url,
        name: String,
        plain: bool,
        secret: Option<Secret>,
        certificates: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let registry = base.authority().to_owned();
        let authorization = match &secret {
            Some(Secret::Token(token)) => Some(token.clone()),
            _ => None,
        };
        let http = http(plain, certificates)?;
        Ok(Self { http, base, registry, name, plain, secret, authorization: Mutex::new(authorization) })
    }

    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    /// Follows the reference to the layers for this machine.
    pub(crate) async fn resolve(&self, reference: &Reference) -> Result<Resolved, crate::Error> {
        let first = match &reference.digest {
            Some(digest) => self.checked(&format!("manifests/{digest}"), digest).await?,
            None => {
                let tag = reference.tag.as_deref().unwrap_or("latest");
                self.document(&format!("manifests/{tag}")).await?
            }
        };
        manifest::resolve(self, first, None).await
    }

    async fn checked(&self, path: &str, digest: &Digest) -> Result<Vec<u8>, Error> {
        let bytes = self.document(path).await?;
        let actual = Digest::of(&bytes);
        if actual == *digest {
            return Ok(bytes);
        }
        Err(Error::Digest { registry: self.registry.clone(), expected: digest.clone(), actual })
    }

    /// A manifest or a configuration, tried as long as that may help.
    async fn document(&self, path: &str) -> Result<Vec<u8>, Error> {
        let mut patience = Patience::default();
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(ACCEPTED))]);
        loop {
            let read = async {
                let response = self.get(path, &headers).await?;
                self.body(response, MAX_DOCUMENT, path).await
            };
            match read.await {
                Err(error) if error.passes() => patience.wait(error).await?,
                done => return done,
            }
        }
    }

    /// The answer to one request below this image's name, if it is a good one. Authorization is got as it is asked for.
    pub(super) async fn get(&self, path: &str, headers: &HeaderMap) -> Result<Response, Error> {
        let url = self.base.join(&format!("v2/{}/{path}", self.name));
        let url = url.map_err(|error| Error::Setup(format!("{path}: {error}")))?;
        let response = self.send(url.clone(), headers).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.good(response, path).await;
        }
        // Where it was redirected to may ask for credentials, too. It gets none of ours.
        if response.url().origin() != self.base.origin() {
            return Err(self.denied("it redirects to a server that wants credentials"));
        }
        let authorization = self.authorize(response.headers()).await?;
        *self.authorization.lock() = Some(authorization);
        let response = self.send(url, headers).await?;
        self.good(response, path).await
    }

    async fn send(&self, url: Url, headers: &HeaderMap) -> Result<Response, Error> {
        let authorization = self.authorization.lock().clone();
        let mut request = self.http.get(url).headers(headers.clone());
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.send().await.map_err(|error| self.broken(error))
    }

    async fn authorize(&self, headers: &HeaderMap) -> Result<HeaderValue, Error> {
        match (challenge::read(headers), &self.secret) {
            (Some(Challenge::Token { realm, service }), secret) => {
                let basic = match secret {
                    Some(Secret::Basic(value)) => Some(value),
                    _ => None,
                };
                self.token(&realm, service.as_deref(), basic).await
            }
            (Some(Challenge::Basic), Some(Secret::Basic(value))) => Ok(value.clone()),
            (Some(Challenge::Basic), _) => Err(self.denied("it wants a user and a password, and none are configured")),
            (None, _) => Err(self.denied("it wants credentials of a kind that is not known")),
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        basic: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Error> {
        let mut url = Url::parse(realm).map_err(|_| self.denied("it names no address that gives out tokens"))?;
        if url.scheme() != "https" && !(self.plain && url.scheme() == "http") {
            return Err(self.denied("it gives out tokens without securing them"));
        }
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", &format!("repository:{}:pull", self.name));
        let mut request = self.http.get(url);
        if let Some(basic) = basic {
            request = request.header(AUTHORIZATION, basic.clone());
        }
        let response = request.send().await.map_err(|error| self.broken(error))?;
        let response = match response.status() {
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(self.denied("no token is given out for it"));
            }
            _ => self.good(response, "token").await?,
        };
        let body = self.body(response, MAX_TOKEN, "token").await?;
        let token: Option<Token> = serde_json::from_slice(&body).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        let token = token.ok_or_else(|| self.denied("what it gives out is no token"))?;
        header("Bearer", &token).map_err(|_| self.denied("its token cannot be sent"))
    }

    async fn good(&self, response: Response, what: &str) -> Result<Response, Error> {
        let status = response.status();
        let registry = self.registry.clone();
        match status {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(Error::NotFound { registry, what: format!("{}/{what}", self.name) }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied(&self.message(response).await)),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(self.busy(&response)),
            status if status.is_server_error() => Err(self.busy(&response)),
            status => Err(Error::Refused { registry, status: status.as_u16(), message: self.message(response).await }),
        }
    }

    async fn body(&self, mut response: Response, limit: usize, what: &str) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + chunk.len() > limit {
                return Err(Error::TooLarge { what: what.to_owned(), limit: limit as u64 });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// What a refusal says, as far as it can be shown.
    async fn message(&self, mut response: Response) -> String {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await
            && body.len() < MAX_MESSAGE
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(MAX_MESSAGE);
        String::from_utf8_lossy(&body).chars().filter(|letter| !letter.is_control()).collect()
    }

    fn busy(&self, response: &Response) -> Error {
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = seconds.map(Duration::from_secs);
        Error::Busy { registry: self.registry.clone(), status: response.status().as_u16(), retry_after }
    }

    pub(super) fn denied(&self, reason: &str) -> Error {
        Error::Denied { registry: self.registry.clone(), reason: reason.to_owned() }
    }

    pub(super) fn broken(&self, error: reqwest::Error) -> Error {
        if error.is_redirect() || error.is_builder() {
            return self.denied(&reason(error));
        }
        Error::Unreachable { registry: self.registry.clone(), reason: reason(error) }
    }
}

impl Documents for Client {
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, crate::Error> {
        Ok(self.checked(&format!("manifests/{}", descriptor.digest), &descriptor.digest).await?)
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, crate::Error> {
        Ok(self.checked(&format!("blobs/{}", descriptor.digest), &descriptor.digest).await?)
    }
}

/// How long a registry is waited for.
#[derive(Debug, Default)]
pub(super) struct Patience {
    tries: u32,
}

impl Patience {
    /// Something came.
    pub(super) fn restore(&mut self) {
        self.tries = 0;
    }

    /// Gives the error back once it is no use to wait any more.
    pub(super) async fn wait(&mut self, error: Error) -> Result<(), Error> {
        self.tries += 1;
        if self.tries >= TRIES {
            return Err(error);
        }
        let wait = FIRST_WAIT * 2_u32.pow(self.tries - 1);
        tokio::time::sleep(error.retry_after().unwrap_or(wait).min(MAX_WAIT)).await;
        Ok(())
    }
}

/// No proxy is asked, and a redirect leads from a secured way to a secured one only. A machine without certificates
/// must still reach a registry on its own loopback interface.
fn http(plain: bool, certificates: Option<&[u8]>) -> Result<reqwest::Client, Error> {
    let setup = |error: reqwest::Error| Error::Setup(reason(error));
    let extra = match certificates {
        Some(pem) => reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?,
        None => Vec::new(),
    };
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("stead/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::custom(redirects))
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(IDLE_TIMEOUT)
    };
    match builder().tls_certs_merge(extra.clone()).build() {
        Err(_) if plain => builder().tls_certs_only(extra).build().map_err(setup),
        built => built.map_err(setup),
    }
}

fn redirects(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let secured = attempt.previous().last().is_some_and(|from| from.scheme() == "https");
    if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("it redirects too often")
    } else if secured && attempt.url().scheme() != "https" {
        attempt.error("it redirects to where nothing is secured")
    } else {
        attempt.follow()
    }
}
