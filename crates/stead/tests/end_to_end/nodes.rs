//! Several servers on one PostgreSQL, each with its own data directory: it makes no difference which of them a client
//! asks.

mod again;
mod sandboxes;
mod takeovers;

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use testkit::nats;
use tokio::time::{Instant, timeout};

use crate::account::{account, id, results, said};
use crate::client::{PATIENCE, eventually, of, text};
use crate::pair::{Pair, begun};
use crate::place::skipped;
use crate::stream::Frame;

const TALKS: &str = r#"
then:
  say: "This is said slowly enough that whoever watches can see one word after another come by."
  delay_ms: 30
"#;

const SLEEPS: &str = r#"
turns:
  - call:
      - { tool: bash, input: { command: "echo up" } }
  - call:
      - { tool: bash, input: { command: "sleep 100; echo slept" } }
  - call:
      - tool: bash
        input:
          command: |-
            for try in $(seq 100); do grep -qx sleep /proc/[0-9]*/comm || break; sleep 0.05; done
            grep -qx sleep /proc/[0-9]*/comm && echo "it sleeps" || echo "it is over"
  - say: "{{last_result}}"
"#;

const COUNTS: &str = r#"
turns:
  - call:
      - { tool: bash, input: { command: "echo $((6 * 7))" } }
  - say: "{{last_result}}"
"#;

/// A preview may be lost, for the nodes learn of each other's watchers by and by; but not always.
const MESSAGES: usize = 20;

#[tokio::test]
async fn a_stream_of_either_node_has_previews_and_every_event_in_order() {
    let Some(pair) = Pair::new(&[("talks", TALKS)], "") else { return };
    watch_on_both(pair).await;
}

#[tokio::test]
async fn a_stream_of_either_node_has_previews_and_every_event_in_order_over_nats() {
    let Some(nats) = nats::Server::start().unwrap() else { return skipped("NATS is not installed here") };
    let Some(pair) = Pair::new(&[("talks", TALKS)], "") else { return };
    watch_on_both(pair.with_nats(&nats.url())).await;
}

/// Whichever node works on the session, one of the two streams is on the other.
async fn watch_on_both(pair: Pair) {
    let servers = pair.serve().await;
    let session = servers[0].client.session("script/talks").await;
    let mut streams = Vec::new();
    for server in &servers {
        streams.push(server.client.stream(&session, "?event_deltas[]=agent.message").await);
    }
    let mut told: [Vec<Frame>; 2] = Default::default();
    let mut were_previewed = [false; 2];
    for number in 0..MESSAGES {
        servers[0].client.say(&session, &format!("Message {number}.")).await;
        for (place, stream) in streams.iter_mut().enumerate() {
            let frames = stream.until("session.status_idle").await;
            were_previewed[place] |= is_previewed(&frames);
            told[place].extend(frames);
        }
        if were_previewed == [true; 2] {
            break;
        }
    }
    assert_eq!(were_previewed, [true; 2], "no message had all its previews");
    let events = account(&servers[0].client, &session).await;
    let listed: Vec<_> = events.iter().map(id).collect();
    for frames in &told {
        let positions: Vec<_> = frames.iter().filter_map(|frame| frame.position).collect();
        assert!(positions.is_sorted_by(|one, next| one < next), "{positions:?}");
        // An input comes twice: when it has arrived, and where it is taken up.
        let done = frames.iter().filter(|frame| frame.position.is_some() && !frame.data["processed_at"].is_null());
        let done: Vec<_> = done.map(|frame| id(&frame.data)).collect();
        assert_eq!(done, listed);
    }
}

/// Whether the message was seen to come, from its first word to its last. What was seen of it has no gap in any case.
fn is_previewed(frames: &[Frame]) -> bool {
    let mut previews: HashMap<String, String> = HashMap::new();
    for frame in frames {
        match frame.event.as_str() {
            "event_start" => {
                previews.insert(id(&frame.data["event"]).to_owned(), String::new());
            }
            "event_delta" => {
                let preview = previews.get_mut(frame.data["event_id"].as_str().unwrap());
                let text = frame.data["delta"]["content"]["text"].as_str().unwrap();
                preview.expect("a preview has a start").push_str(text);
            }
            "agent.message" => {
                let said = text(&frame.data);
                return previews.remove(id(&frame.data)).is_some_and(|preview| {
                    assert!(said.starts_with(&preview), "{preview:?} is not how it begins: {said:?}");
                    preview == said
                });
            }
            _ => {}
        }
    }
    false
}

#[tokio::test]
async fn an_interrupt_on_one_node_ends_what_the_other_runs() {
    let Some(pair) = Pair::new(&[("sleeps", SLEEPS)], "") else { return };
    let servers = pair.serve().await;
    let session = begun(&servers[0].client, "sleeps").await;
    servers[0].client.events_of(&session, "agent.tool_use", 2).await;
    let other = &servers[1 - pair.brain(&session).await].client;
    let sent = Instant::now();
    other.post(&format!("/v1/sessions/{session}/events"), json!({"events": [{"type": "user.interrupt"}]})).await;
    let events = other.idle(&session).await;
    assert!(sent.elapsed() < Duration::from_secs(10), "it took {:?}", sent.elapsed());
    assert_eq!(events.last().unwrap()["stop_reason"]["type"], "end_turn");
    let result = of(&events, "agent.tool_result")[1];
    assert_eq!(result["is_error"], true, "{result}");
    assert!(text(result).contains("interrupted"), "{result}");
    // Not only its result is there: the command itself has ended.
    other.say(&session, "Does it still sleep?").await;
    other.idle(&session).await;
    assert_eq!(said(&account(other, &session).await), "it is over");
    pair.close(servers).await;
}

#[tokio::test]
async fn both_nodes_share_the_work() {
    let Some(pair) = Pair::new(&[("counts", COUNTS)], "") else { return };
    let servers = pair.serve().await;
    let sessions = join_all((0..20).map(|number| begun(&servers[number % 2].client, "counts"))).await;
    let homes = join_all(sessions.iter().map(|session| pair.home(session))).await;
    assert!(homes.contains(&0) && homes.contains(&1), "one node has all the sandboxes: {homes:?}");
    for (number, session) in sessions.iter().enumerate() {
        // The other one than it was begun on.
        let client = &servers[(number + 1) % 2].client;
        client.idle(session).await;
        assert_eq!(results(&account(client, session).await), ["42"]);
    }
    pair.close(servers).await;
}

#[tokio::test]
async fn a_session_deleted_on_one_node_ends_its_stream_on_the_other_and_its_sandbox_there() {
    let Some(pair) = Pair::new(&[("counts", COUNTS)], "") else { return };
    let servers = pair.serve().await;
    let session = begun(&servers[0].client, "counts").await;
    servers[0].client.idle(&session).await;
    let home = pair.home(&session).await;
    let mut stream = servers[home].client.stream(&session, "").await;
    servers[1 - home].client.delete(&format!("/v1/sessions/{session}")).await;
    stream.until("session.deleted").await;
    let next = timeout(PATIENCE, stream.next()).await;
    assert!(matches!(next, Ok(None)), "it does not end there: {next:?}");
    eventually("the sandbox is gone", async || (!pair.places[home].has_hand(&session)).then_some(())).await;
    for server in &servers {
        let events = server.client.try_get(&format!("/v1/sessions/{session}/events")).await;
        assert_eq!(events, None, "it is gone on both nodes");
    }
    pair.close(servers).await;
}
