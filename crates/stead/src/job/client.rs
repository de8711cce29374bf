//! A client of the public API, as small as the job needs.

use std::path::Path;

use anyhow::{Context, bail};
use futures::{Stream, StreamExt};
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use wire::sse::{Decoder, Frame};

/// No event is larger.
const MAX_EVENT: usize = 64 << 20;

pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    pub(crate) fn new(url: &str, key: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), key: key.to_owned() })
    }

    fn headed(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header("x-api-key", &self.key).header("anthropic-version", "2026-10-21");
        request.header("anthropic-beta", "managed-agents-2026-04-01")
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = self.headed(request).send().await.with_context(|| format!("{} cannot be reached", self.url))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.text().await.unwrap_or_default();
        let message = serde_json::from_str::<Value>(&body)
            .ok()
            .and_then(|body| body["error"]["message"].as_str().map(str::to_owned));
        bail!("the server refused ({}): {}", status.as_u16(), message.unwrap_or(body))
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.send(self.http.get(format!("{}{path}", self.url))).await?.json().await?)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        Ok(self.send(self.http.post(format!("{}{path}", self.url)).json(body)).await?.json().await?)
    }

    pub(super) async fn upload(&self, name: &str, bytes: Vec<u8>) -> anyhow::Result<Value> {
        let form = Form::new().part("file", Part::bytes(bytes).file_name(name.to_owned()));
        Ok(self.send(self.http.post(format!("{}/v1/files", self.url)).multipart(form)).await?.json().await?)
    }

    /// Saves a file, and returns its size.
    pub(super) async fn download(&self, path: &str, to: &Path) -> anyhow::Result<u64> {
        let mut bytes = self.send(self.http.get(format!("{}{path}", self.url))).await?.bytes_stream();
        let mut file =
            tokio::fs::File::create(to).await.with_context(|| format!("{} cannot be written", to.display()))?;
        let mut size = 0;
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk?;
            size += chunk.len() as u64;
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        Ok(size)
    }

    pub(super) async fn stream(&self, path: &str) -> anyhow::Result<Events> {
        let bytes = self.send(self.http.get(format!("{}{path}", self.url))).await?.bytes_stream();
        Ok(Events { bytes: bytes.boxed(), decoder: Decoder::new(MAX_EVENT), ready: Vec::new() })
    }
}

/// A live stream's events, pings left out.
pub(super) struct Events {
    bytes: std::pin::Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    decoder: Decoder,
    /// Decoded, latest first.
    ready: Vec<Frame>,
}

impl Events {
    /// May be dropped and called again: nothing that has arrived is lost.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            while let Some(frame) = self.ready.pop() {
                if frame.event != "ping" {
                    return Ok(Some(serde_json::from_str(&frame.data)?));
                }
            }
            let Some(chunk) = self.bytes.next().await else { return Ok(None) };
            self.decoder.push(&chunk?, &mut self.ready)?;
            self.ready.reverse();
        }
    }
}
