//! The Messages API, of Anthropic and of the servers that speak it.

mod block;
mod decode;
mod request;
mod usage;

use futures::stream::BoxStream;
use reqwest::header::{HeaderName, HeaderValue};

use crate::{
    Client, Error, Event, Options, Request, SetupError,
    http::{self, Endpoint},
};

pub use request::body;

/// The mark of this provider on [`crate::Block::Opaque`].
pub const PROVIDER: &str = "anthropic";

const VERSION: &str = "2023-06-01";

#[derive(Debug, Clone)]
pub struct Anthropic {
    endpoint: Endpoint,
}

impl Anthropic {
    /// The base URL is the part before `/v1/messages`; a `/v1` at its end is understood too.
    pub fn new(options: Options) -> Result<Self, SetupError> {
        let base = http::base_url(&options.base_url)?;
        let path = if base.path().trim_end_matches('/').ends_with("/v1") { "/messages" } else { "/v1/messages" };
        let url = http::below(base, path);
        let mut endpoint = Endpoint::new(options, url, HeaderName::from_static("x-api-key"), "")?;
        endpoint.add_header(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(VERSION));
        Ok(Self { endpoint })
    }
}

impl Client for Anthropic {
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Event, Error>> {
        let body = body(&request);
        self.endpoint.ask(body, decode::Decoder::new(request.model))
    }
}
