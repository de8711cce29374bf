//! Clients, models and commands that mean no good.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{of, says, text};
use crate::place::Place;

const ENDLESS: &str = "turns: [{ say: 'on and on ', endless: true }]\n";

const WILD: &str = r#"
turns:
  - call: [{ tool: launch_missiles, input: { at: "dawn" } }, { tool: bash, malformed_input: "{not json" }]
  - call: [{ tool: bash, input: { command: 7 } }, { tool: read, input: { file: "/etc/passwd" } }]
  - say: "I give up."
"#;

const GREEDY: &str = r#"
turns:
  - call: [{ tool: bash, input: { command: ":(){ :|:& };: ; sleep 30", timeout_ms: 1500 } }]
  - call: [{ tool: bash, input: { command: "yes | head -c 300000000; echo >&2 end" } }]
  - call: [{ tool: bash, input: { command: "head -c 5000000000 /dev/zero > /workspace/big; rm -f /workspace/big" } }]
  - call: [{ tool: bash, input: { command: "setsid sh -c 'sleep 300' > /dev/null 2>&1 & echo started" } }]
  - call: [{ tool: bash, input: { command: "mount -t tmpfs none /mnt; ls /home; kill -9 1; echo alive" } }]
  - say: "{{last_result}}"
"#;

#[tokio::test]
async fn every_bad_request_gets_the_envelope_and_changes_nothing() {
    let place = Place::new(&[]);
    let server = place.serve().await;
    let client = &server.client;
    let session = client.session("script/echo").await;
    let events = format!("/v1/sessions/{session}/events");
    let before = client.events(&session).await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: [(&str, String); 10] = [
        ("not JSON", "{".into()),
        ("deep JSON", deep),
        ("an array", "[]".into()),
        ("null", "null".into()),
        ("events of another type", r#"{"events": {}}"#.into()),
        ("too many events", json!({"events": vec![says("x")["events"][0].clone(); 101]}).to_string()),
        ("a good one and a bad one", json!({"events": [says("x")["events"][0], {"type": "nonsense"}]}).to_string()),
        (
            "an id of ours",
            json!({"events": [{"type": "user.message", "id": "sevt_1", "content": [{"type": "text", "text": "x"}]}]})
                .to_string(),
        ),
        ("a huge number", r#"{"events": 1e999}"#.into()),
        (
            "lone surrogates",
            r#"{"events": [{"type": "user.message", "content": [{"type": "text", "text": "\ud800"}]}]}"#.into(),
        ),
    ];
    for (what, body) in bodies {
        let request = client.request(Method::POST, &events).header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{what}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["type"], "invalid_request_error", "{what}: {body}");
        assert!(body["request_id"].as_str().unwrap().starts_with("req_"), "{what}: {body}");
    }
    assert_eq!(client.events(&session).await, before);
    assert_eq!(client.status(&session).await, "idle");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_as_too_large() {
    let place = Place::new(&[]);
    let server = place.serve().await;
    let session = server.client.session("script/echo").await;
    let body = says(&"x".repeat(33 << 20)).to_string();
    let request = server.client.request(Method::POST, &format!("/v1/sessions/{session}/events"));
    // A server may close while the rest is still being sent: then there is no answer to read.
    if let Ok(response) = request.header("content-type", "application/json").body(body).send().await {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(response.json::<Value>().await.unwrap()["error"]["type"], "request_too_large");
    }
    assert_eq!(server.client.status(&session).await, "idle");
}

#[tokio::test]
async fn paths_and_cursors_that_were_made_up_are_refused() {
    let place = Place::new(&[]);
    let server = place.serve().await;
    let session = server.client.session("script/echo").await;
    for path in [
        "/v1/sessions/..%2f..%2fetc".to_owned(),
        "/v1/sessions/%00".into(),
        "/v1/agents/agent_01%27%3BDROP%20TABLE".into(),
        format!("/v1/sessions/{}", "x".repeat(5_000)),
        "/v1/files/file_01nothing/content".into(),
        "/v1/nothing".into(),
    ] {
        let response = server.client.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(response.json::<Value>().await.unwrap()["error"]["type"], "not_found_error");
    }
    for query in
        ["page=page_AAAA", "limit=0", "limit=-1", "limit=99999999999999999999", "order=up", "colour=red", "types[]=x"]
    {
        let path = format!("/v1/sessions/{session}/events?{query}");
        let response = server.client.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_can_be_interrupted_and_the_session_stays_usable() {
    let place = Place::new(&[("endless", ENDLESS)]);
    let server = place.serve().await;
    let session = server.client.session("script/endless").await;
    let events = format!("/v1/sessions/{session}/events");
    server.client.post(&events, says("Begin.")).await;
    while of(&server.client.events(&session).await, "span.model_request_start").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.client.post(&events, json!({"events": [{"type": "user.interrupt"}]})).await;
    let seen = server.client.idle(&session).await;
    assert_eq!(of(&seen, "span.model_request_end").len(), 1);
    assert_eq!(seen.last().unwrap()["stop_reason"]["type"], "end_turn");
}

#[tokio::test]
async fn calls_that_make_no_sense_are_told_so_and_the_turn_goes_on() {
    let place = Place::new(&[("wild", WILD)]);
    let server = place.serve().await;
    let session = server.client.session("script/wild").await;
    server.client.post(&format!("/v1/sessions/{session}/events"), says("Go wild.")).await;
    let events = server.client.idle(&session).await;
    let results: Vec<_> =
        of(&events, "agent.tool_result").into_iter().map(|event| (event["is_error"] == true, text(event))).collect();
    assert_eq!(results.len(), 4, "{results:?}");
    assert!(results.iter().all(|(failed, _)| *failed), "{results:?}");
    let told = |part: &str| results.iter().any(|(_, text)| text.contains(part));
    for part in ["There is no tool named launch_missiles", "not a JSON object", "command", "file_path"] {
        assert!(told(part), "{part} is not in {results:?}");
    }
    assert_eq!(text(of(&events, "agent.message").last().unwrap()), "I give up.");
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn commands_that_take_all_they_can_are_contained_and_the_next_call_works() {
    let place = Place::new(&[("greedy", GREEDY)]);
    let server = place.serve().await;
    let session = server.client.session("script/greedy").await;
    server.client.post(&format!("/v1/sessions/{session}/events"), says("Take all.")).await;
    let events = server.client.idle(&session).await;
    let results: Vec<_> = of(&events, "agent.tool_result").into_iter().map(text).collect();
    assert_eq!(results.len(), 5, "{events:#?}");
    assert!(results[0].contains("timed out"), "{}", results[0]);
    assert!(results[1].len() < 100_000 && results[1].contains("/mnt/session/tool_outputs/"), "{}", results[1].len());
    assert!(results[2].contains("No space left"), "{}", results[2]);
    assert!(results[3].contains("started"), "{}", results[3]);
    assert!(results[4].contains("alive"), "{}", results[4]);
    server.client.delete(&format!("/v1/sessions/{session}")).await;
}
