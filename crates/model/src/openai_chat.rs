//! Chat completions, as OpenAI defined them and as vLLM, llama.cpp, Ollama and many gateways speak them.

mod chunk;
mod decode;
mod ids;
mod request;

use futures::stream::BoxStream;
use reqwest::{Url, header::AUTHORIZATION};

use crate::{
    Client, Effort, Error, Event, Options, Request, SetupError,
    http::{self, Endpoint},
};

/// The mark of this provider on [`crate::Block::Opaque`]. Such blocks hold reasoning and are never sent back.
pub const PROVIDER: &str = "openai-chat";

#[derive(Debug, Clone)]
pub struct OpenaiChat {
    endpoint: Endpoint,
    max_completion_tokens: bool,
}

impl OpenaiChat {
    /// The base URL is the part before `/chat/completions`; without any path it means `/v1`.
    ///
    /// The answer's limit travels as `max_tokens`, and to OpenAI's own hosts as `max_completion_tokens`.
    pub fn new(options: Options) -> Result<Self, SetupError> {
        let base = base_url(&options.base_url)?;
        let max_completion_tokens = base.host_str().is_some_and(|host| host.ends_with("api.openai.com"));
        let endpoint = Endpoint::new(options, http::below(base, "/chat/completions"), AUTHORIZATION, "Bearer ")?;
        Ok(Self { endpoint, max_completion_tokens })
    }

    /// For servers that want the one name or the other in spite of their address.
    #[must_use]
    pub fn with_max_completion_tokens(mut self, yes: bool) -> Self {
        self.max_completion_tokens = yes;
        self
    }
}

impl Client for OpenaiChat {
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Event, Error>> {
        let body = request::body(&request, self.max_completion_tokens);
        let decoder = decode::Decoder::new(request.model, ids::Ids::of(&request.messages));
        self.endpoint.ask(body, decoder)
    }
}

/// The base URL as people give it: with the version in its path, or a bare host that means the first version.
pub(crate) fn base_url(text: &str) -> Result<Url, SetupError> {
    let base = http::base_url(text)?;
    Ok(if base.path() == "/" { http::below(base, "/v1") } else { base })
}

/// OpenAI's word for an effort. It has none above `xhigh`.
pub(crate) fn effort(effort: Effort) -> &'static str {
    match effort {
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Xhigh | Effort::Max => "xhigh",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_host_means_the_first_version() {
        for (given, used) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/v1"),
            ("https://host/openai/v2/", "https://host/openai/v2/"),
        ] {
            assert_eq!(base_url(given).unwrap().as_str(), used);
        }
    }
}
