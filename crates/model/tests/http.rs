//! The providers over a real socket: what is sent, and what becomes of good, bad and silent servers.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use model::{
    Block, Client, Error, Event, Http, Key, Message, Options, Request, Role, Usage, anthropic::Anthropic,
    openai_chat::OpenaiChat, openai_responses::OpenaiResponses,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const KEY: &str = "sk-secret-0123456789";

const ANTHROPIC: &str = r#"event: message_start
data: {"type":"message_start","message":{"model":"m-1","usage":{"input_tokens":3,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}

event: message_stop
data: {"type":"message_stop"}

"#;

/// A server for one request. It answers with what it is given, then closes, or stays silent for ever.
struct Server {
    listener: TcpListener,
}

impl Server {
    async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn options(&self) -> Options {
        let url = format!("http://{}", self.listener.local_addr().unwrap());
        Options::new(Http::new().unwrap(), url).with_key(Some(Key::new(KEY)))
    }

    /// Serves the request and returns its text.
    async fn serve(&self, head: &str, body: &str) -> String {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        let reply = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(reply.as_bytes()).await.unwrap();
        request
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the request broke off: {text}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length.is_some_and(|length: usize| body.len() >= length) {
            return text;
        }
    }
}

fn question() -> Request {
    Request {
        model: "m".to_owned(),
        system: String::new(),
        messages: vec![Arc::new(Message { role: Role::User, content: vec![Block::Text("Hello".to_owned())] })],
        tools: Vec::new(),
        max_tokens: 10,
        effort: None,
    }
}

async fn collect(client: &dyn Client) -> (Vec<Event>, Option<Error>) {
    let mut stream = client.stream(question());
    let mut events = Vec::new();
    let mut error = None;
    while let Some(item) = stream.next().await {
        match item {
            Ok(event) => events.push(event),
            Err(failure) => error = Some(failure),
        }
    }
    (events, error)
}

#[tokio::test]
async fn an_answer_arrives_and_the_request_was_right() {
    let server = Server::start().await;
    let client = Anthropic::new(server.options()).unwrap();
    let (request, (events, error)) =
        tokio::join!(server.serve("200 OK\r\ncontent-type: text/event-stream", ANTHROPIC), collect(&client));
    assert!(error.is_none(), "{error:?}");
    let Some(Event::Finished(response)) = events.last() else { panic!("{events:?}") };
    assert!(matches!(&response.content[..], [Block::Text(text)] if text == "Hi"));
    assert_eq!(response.usage, Usage { input: 3, output: 2, ..Usage::default() });
    let lower = request.to_lowercase();
    assert!(lower.starts_with("post /v1/messages http/1.1\r\n"), "{request}");
    let key = format!("x-api-key: {KEY}");
    for header in [key.as_str(), "anthropic-version: 2023-06-01", "content-type: application/json"] {
        assert!(lower.contains(&format!("\r\n{header}\r\n")), "{header} in {request}");
    }
}

#[tokio::test]
async fn openai_clients_ask_below_the_first_version_with_a_bearer_key() {
    let chat = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let server = Server::start().await;
    let client = OpenaiChat::new(server.options()).unwrap();
    let (request, (events, _)) = tokio::join!(server.serve("200 OK", chat), collect(&client));
    assert!(request.to_lowercase().starts_with("post /v1/chat/completions "), "{request}");
    assert!(request.to_lowercase().contains(&format!("\r\nauthorization: bearer {KEY}\r\n")), "{request}");
    assert!(matches!(events.last(), Some(Event::Finished(_))), "{events:?}");

    let completed = "data: {\"type\":\"response.completed\",\"response\":{}}\n\n";
    let client = OpenaiResponses::new(server.options()).unwrap();
    let (request, (events, _)) = tokio::join!(server.serve("200 OK", completed), collect(&client));
    assert!(request.to_lowercase().starts_with("post /v1/responses "), "{request}");
    assert!(matches!(events.last(), Some(Event::Finished(_))), "{events:?}");
}

#[tokio::test]
async fn a_refusal_says_when_to_come_back_and_never_the_key() {
    let server = Server::start().await;
    let client = Anthropic::new(server.options()).unwrap();
    let body = format!(
        r#"{{"type":"error","error":{{"type":"rate_limit_error","message":"{KEY} is too fast {}"}}}}"#,
        "x".repeat(5000)
    );
    let (_, (events, error)) = tokio::join!(server.serve("429 Too Many\r\nretry-after: 9", &body), collect(&client));
    assert!(events.is_empty());
    let Some(Error::RateLimited { message, retry_after }) = &error else { panic!("{error:?}") };
    assert_eq!(*retry_after, Some(Duration::from_secs(9)));
    assert!(message.starts_with("[key] is too fast") && message.chars().count() <= 2001, "{message}");
    assert!(!format!("{client:?}").contains(KEY));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start().await;
    let client = Anthropic::new(server.options()).unwrap();
    let (_, (_, error)) =
        tokio::join!(server.serve("307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/", ""), collect(&client));
    assert!(matches!(error, Some(Error::Invalid(_))), "{error:?}");
}

#[tokio::test]
async fn a_cut_answer_gives_what_came_and_then_an_error() {
    let server = Server::start().await;
    let client = Anthropic::new(server.options()).unwrap();
    let half = ANTHROPIC.split("event: message_delta").next().unwrap();
    let (_, (events, error)) = tokio::join!(server.serve("200 OK", half), collect(&client));
    assert!(matches!(events.last(), Some(Event::TextDelta { text, .. }) if text == "Hi"), "{events:?}");
    assert!(matches!(error, Some(Error::Connection(_))), "{error:?}");
}

#[tokio::test]
async fn a_page_in_place_of_events_is_malformed() {
    let server = Server::start().await;
    let client = Anthropic::new(server.options()).unwrap();
    let (_, (_, error)) =
        tokio::join!(server.serve("200 OK\r\ncontent-type: text/html", "<p>Log in</p>"), collect(&client));
    assert!(matches!(error, Some(Error::Malformed(_))), "{error:?}");
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_said_to_be_so_whatever_the_status() {
    let body = r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#;
    for head in ["400 Bad Request", "200 OK\r\ncontent-type: application/json"] {
        let server = Server::start().await;
        let client = OpenaiChat::new(server.options()).unwrap();
        let (_, (_, error)) = tokio::join!(server.serve(head, body), collect(&client));
        assert!(matches!(&error, Some(error @ Error::TooLong(_)) if !error.is_transient()), "{head}: {error:?}");
    }
    let server = Server::start().await;
    let client = OpenaiChat::new(server.options()).unwrap();
    let answer = r#"{"object":"chat.completion","choices":[{"message":{"content":"My context window is large."}}]}"#;
    let (_, (_, error)) =
        tokio::join!(server.serve("200 OK\r\ncontent-type: application/json", answer), collect(&client));
    assert!(matches!(error, Some(Error::Malformed(_))), "{error:?}");
}

#[tokio::test]
async fn silence_ends_as_a_broken_connection() {
    let server = Server::start().await;
    let mut options = server.options();
    options.idle_timeout = Duration::from_millis(50);
    let client = Anthropic::new(options).unwrap();
    // The connection is made by the kernel, and nobody ever answers.
    let (_, error) = collect(&client).await;
    assert!(matches!(&error, Some(Error::Connection(why)) if why.contains("silent")), "{error:?}");
}

#[tokio::test]
async fn a_closed_port_is_a_broken_connection() {
    let server = Server::start().await;
    let options = server.options();
    drop(server);
    let (_, error) = collect(&Anthropic::new(options).unwrap()).await;
    assert!(matches!(error, Some(Error::Connection(_))), "{error:?}");
}
