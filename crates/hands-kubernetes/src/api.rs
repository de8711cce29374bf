//! The cluster's API, as far as it is needed: pods of one namespace, and commands in them.

use std::time::Duration;

use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    redirect::Policy,
    tls::{Certificate, Identity},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    access::Access,
    channels::{Channels, Ended},
    frame,
    pod::{CONTAINER, Pod},
};

const PATIENCE: Duration = Duration::from_secs(30);
const TO_CONNECT: Duration = Duration::from_secs(10);
const ALIVE: Duration = Duration::from_secs(30);

/// Bytes of an answer. A list of a thousand pods has some ten million.
const MOST: usize = 64 << 20;

/// Forms of the streams of an `exec`, the newest first. Nothing here depends on which it is.
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Says nothing of any pod.
    #[error("the cluster cannot be reached: {0}")]
    Away(String),
    #[error("the cluster answers with {status}: {message}")]
    Refused { status: StatusCode, message: String },
    #[error("the cluster's answer cannot be understood: {0}")]
    Confused(String),
    #[error("the cluster has not answered within {} seconds", .0.as_secs())]
    Silent(Duration),
}

impl Error {
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, .. })
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error.to_string())
    }
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Pod>,
}

pub(crate) struct Api {
    client: Client,
    access: Access,
    namespace: String,
}

impl Api {
    pub(crate) fn new(access: Access, namespace: String) -> Result<Self, Error> {
        let away = |error: reqwest::Error| Error::Away(explain(&error));
        // A connection that becomes a stream is one of HTTP/1.1. Nobody is between this server and the cluster.
        let mut client = Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(TO_CONNECT)
            .tcp_keepalive(ALIVE);
        if let Some(authorities) = &access.authorities {
            client = client.tls_certs_only(Certificate::from_pem_bundle(authorities).map_err(away)?);
        }
        if let Some(identity) = &access.identity {
            client = client.identity(Identity::from_pem(identity).map_err(away)?);
        }
        Ok(Self { client: client.build().map_err(away)?, access, namespace })
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn server(&self) -> &Url {
        &self.access.server
    }

    pub(crate) async fn create(&self, pod: &Value) -> Result<Pod, Error> {
        parse(&self.ask(self.request(Method::POST, self.url(&[])?).json(pod)).await?)
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Pod, Error> {
        parse(&self.ask(self.request(Method::GET, self.url(&[name])?)).await?)
    }

    pub(crate) async fn list(&self, labels: &str) -> Result<Vec<Pod>, Error> {
        let mut url = self.url(&[])?;
        url.query_pairs_mut().append_pair("labelSelector", labels);
        parse::<List>(&self.ask(self.request(Method::GET, url)).await?).map(|list| list.items)
    }

    /// This very pod, at once. One that is gone is no error.
    pub(crate) async fn delete(&self, name: &str, uid: &str) -> Result<(), Error> {
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": { "uid": uid },
        });
        match self.ask(self.request(Method::DELETE, self.url(&[name])?).json(&options)).await {
            Err(error) if error.is_missing() => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    /// Runs a command in a pod. Also gives how it ends, once it has.
    pub(crate) async fn exec(
        &self,
        name: &str,
        command: &[&str],
    ) -> Result<(Channels, oneshot::Receiver<Ended>), Error> {
        let mut url = self.url(&[name, "exec"])?;
        url.query_pairs_mut()
            .append_pair("container", CONTAINER)
            .extend_pairs([("stdin", "true"), ("stdout", "true"), ("stderr", "true"), ("tty", "false")])
            .extend_pairs(command.iter().map(|part| ("command", part)));
        let key = frame::key().map_err(|error| Error::Away(error.to_string()))?;
        let request = self
            .request(Method::GET, url)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .header(SEC_WEBSOCKET_PROTOCOL, PROTOCOLS.join(", "));
        let opened = async {
            let response = request.send().await.map_err(|error| Error::Away(explain(&error)))?;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Err(refusal(response).await);
            }
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            if header(SEC_WEBSOCKET_ACCEPT) != Some(frame::accepted(&key).as_str()) {
                return Err(Error::Confused("it does not speak of WebSockets".into()));
            }
            if !header(SEC_WEBSOCKET_PROTOCOL).is_some_and(|chosen| PROTOCOLS.contains(&chosen)) {
                return Err(Error::Confused("it speaks another form of streams".into()));
            }
            response.upgrade().await.map_err(|error| Error::Away(explain(&error)))
        };
        let socket = timeout(PATIENCE, opened).await.unwrap_or(Err(Error::Silent(PATIENCE)))?;
        Ok(Channels::over(socket))
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Vec<u8>, Error> {
        let asked = async {
            let response = request.send().await.map_err(|error| Error::Away(explain(&error)))?;
            if response.status().is_success() { read(response).await } else { Err(refusal(response).await) }
        };
        timeout(PATIENCE, asked).await.unwrap_or(Err(Error::Silent(PATIENCE)))
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url);
        match self.access.token() {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Of the namespace's pods, or of one.
    fn url(&self, below: &[&str]) -> Result<Url, Error> {
        let mut url = self.access.server.clone();
        // Each part is one: whatever is in it, it leads nowhere else.
        let confused = |()| Error::Confused("its address is no base for others".into());
        let mut parts = url.path_segments_mut().map_err(confused)?;
        parts.pop_if_empty().extend(["api", "v1", "namespaces", &self.namespace, "pods"]).extend(below);
        drop(parts);
        Ok(url)
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut said = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| Error::Away(explain(&error)))? {
        said.extend_from_slice(&piece);
        if said.len() > MOST {
            return Err(Error::Confused("it has no end".into()));
        }
    }
    Ok(said)
}

async fn refusal(response: Response) -> Error {
    let status = response.status();
    let said = read(response).await.unwrap_or_default();
    let message = match serde_json::from_slice(&said) {
        Ok(Complaint { message }) => message,
        Err(_) => String::from_utf8_lossy(said.get(..500).unwrap_or(&said)).into_owned(),
    };
    Error::Refused { status, message }
}

fn parse<T: DeserializeOwned>(said: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(said).map_err(|error| Error::Confused(error.to_string()))
}

/// With what lies below: by itself the library says little.
fn explain(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(below) = cause {
        words = format!("{words}: {below}");
        cause = below.source();
    }
    words
}
