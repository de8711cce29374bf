//! Whether a refusal says that a conversation does not fit into the model's context window. Each family has its own
//! words for it, and few have a name.

use super::envelope::Envelope;

/// Names that stand in an error's `type` or `code`.
const NAMES: [&str; 3] = ["context_length_exceeded", "exceed_context_size_error", "request_too_large"];

/// Parts of messages, in lower case.
const PHRASES: [&str; 7] = [
    "prompt is too long",
    "input is too long",
    "context limit",
    "context length",
    "context window",
    "context size",
    "maximum prompt length",
];

/// `status` is the one that the provider sent, or the one that its words stand for.
pub(super) fn is_said(status: u16, envelope: &Envelope) -> bool {
    match status {
        413 => true,
        400 | 422 | 500 => {
            let named = NAMES.iter().any(|name| envelope.kind == *name || envelope.code == *name);
            named || is_worded(&envelope.message.to_lowercase())
        }
        // The others mean what they say, whatever they add: a limit of tokens per minute is none of the window.
        _ => false,
    }
}

fn is_worded(message: &str) -> bool {
    PHRASES.iter().any(|phrase| message.contains(phrase)) || exceeds_tokens(message)
}

/// As in "the input token count (9) exceeds the maximum number of tokens allowed (8)". A limit of the answer alone is
/// another matter: a shorter conversation does not help.
fn exceeds_tokens(message: &str) -> bool {
    let of_the_input = message.contains("input") || message.contains("prompt");
    let beyond = message.split_once("exceed").map_or("", |(_, beyond)| beyond);
    of_the_input && beyond.contains("maximum") && beyond.contains("token")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> bool {
        is_said(status, &Envelope::of_body(body.as_bytes()))
    }

    #[test]
    fn every_familys_wording_is_understood() {
        for (status, body) in [
            // The Messages API.
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210001 tokens > 200000 maximum"}}"#,
            ),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000, decrease input length or `max_tokens` and try again"}}"#,
            ),
            (413, r#"{"error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#),
            (413, "<html>413 Request Entity Too Large</html>"),
            // OpenAI, in both of its APIs.
            (
                400,
                r#"{"error":{"type":"invalid_request_error","code":"context_length_exceeded","message":"Please shorten it."}}"#,
            ),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 4097 tokens. However, you requested 4972 tokens."}}"#,
            ),
            (400, r#"{"error":{"message":"Your input exceeds the context window of this model."}}"#),
            // vLLM.
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 131072 tokens.","type":"BadRequestError","code":400}"#,
            ),
            (
                400,
                r#"{"error":{"message":"You passed 5000 input tokens, but the model's context length is only 4096 tokens.","code":400}}"#,
            ),
            // llama.cpp, with and without its own name for it.
            (
                400,
                r#"{"error":{"code":400,"message":"request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error"}}"#,
            ),
            (
                500,
                r#"{"error":{"code":500,"message":"the request exceeds the available context size","type":"server_error"}}"#,
            ),
            // Others.
            (
                400,
                r#"{"error":{"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}}"#,
            ),
            (
                400,
                r#"{"error":"This model's maximum prompt length is 131072 but the request contains 200000 tokens."}"#,
            ),
            (422, r#"{"message":"Input is too long for requested model."}"#),
        ] {
            assert!(said(status, body), "{status} {body}");
        }
    }

    #[test]
    fn another_refusal_is_not_taken_for_it() {
        for (status, body) in [
            (
                400,
                r#"{"error":{"type":"invalid_request_error","message":"messages: text content blocks must be non-empty"}}"#,
            ),
            (
                400,
                r#"{"error":{"message":"max_tokens: 300000 > 128000, which is the maximum allowed number of output tokens"}}"#,
            ),
            (400, r#"{"error":{"message":"image exceeds 5 MB maximum: 6291456 bytes > 5242880 bytes"}}"#),
            (400, ""),
            (401, r#"{"error":{"message":"Your key has no access to the long context window"}}"#),
            (
                429,
                r#"{"error":{"code":"rate_limit_exceeded","message":"Input tokens exceed the maximum tokens per minute"}}"#,
            ),
            (429, r#"{"error":{"message":"Too much for your context window quota"}}"#),
            (500, r#"{"error":{"type":"api_error","message":"Internal server error"}}"#),
            (529, r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#),
        ] {
            assert!(!said(status, body), "{status} {body}");
        }
    }
}
