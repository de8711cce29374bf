//! The Responses API of OpenAI, used without its server-side memory: the log is ours, so every request brings it all.

mod decode;
mod item;
mod request;

use futures::stream::BoxStream;
use reqwest::header::AUTHORIZATION;

use crate::{
    Client, Error, Event, Options, Request, SetupError,
    http::{self, Endpoint},
    openai_chat::base_url,
};

/// The mark of this provider on [`crate::Block::Opaque`].
pub const PROVIDER: &str = "openai-responses";

#[derive(Debug, Clone)]
pub struct OpenaiResponses {
    endpoint: Endpoint,
}

impl OpenaiResponses {
    /// The base URL is the part before `/responses`; without any path it means `/v1`.
    pub fn new(options: Options) -> Result<Self, SetupError> {
        let url = http::below(base_url(&options.base_url)?, "/responses");
        Ok(Self { endpoint: Endpoint::new(options, url, AUTHORIZATION, "Bearer ")? })
    }
}

impl Client for OpenaiResponses {
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Event, Error>> {
        let body = request::body(&request);
        self.endpoint.ask(body, decode::Decoder::new(request.model))
    }
}
