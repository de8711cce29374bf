//! Real crashes: servers are killed at random while clients go on talking, watching and sending again. Nothing that was
//! acknowledged or seen is lost, nothing is invented, and no command runs twice.

mod dice;
mod front;

use std::collections::HashMap;

use futures::future::join_all;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::dice::Dice;
use self::front::{Front, Sent};
use crate::account::{account, id, kind};
use crate::client::{of, text};
use crate::letter::{Letter, Way};
use crate::pair::Pair;
use crate::place::Place;
use crate::server::Server;

/// Sessions at once.
const SESSIONS: usize = 6;

/// Kills before everything is looked at. More kills are more rounds, with new sessions.
const ROUND: usize = 20;

/// Every command leaves its own token: the user's words, which are never the same, and a letter. Before they repeat
/// there is always a new message.
const SCRIPT: &str = r#"
turns:
  - say: "I begin with {{last_text}} and take my time."
    delay_ms: 8
    call:
      - tool: bash
        input:
          command: |-
            told='{{last_text}}'
            token="${told//$'\n'/+}-a"
            echo "$token" >> /workspace/trace
            echo "ran $token"
  - say: "I go on."
    delay_ms: 8
    call:
      - tool: bash
        input:
          command: |-
            told='{{last_text}}'
            token="${told//$'\n'/+}-b"
            echo "$token" >> /workspace/trace
            sleep 0.1
            echo "ran $token"
      - tool: bash
        input:
          command: |-
            told='{{last_text}}'
            token="${told//$'\n'/+}-c"
            echo "$token" >> /workspace/trace
            echo "ran $token"
  - call:
      - tool: bash
        input: { command: "cat /workspace/trace" }
  - say: "Done."
    delay_ms: 8
then: restart
"#;

/// What reads the traces back, as in the script.
const READS: &str = "cat /workspace/trace";

/// A request that dies with its server counts as an attempt, and here that says nothing of the model.
const PATIENT: &str = "[turn]\nattempts = 1000\n";

#[tokio::test]
async fn a_server_that_is_killed_again_and_again_loses_nothing_and_does_nothing_twice() {
    let place = Place::new(&[("traces", SCRIPT)]).with_config(PATIENT);
    kill_at_random(&[place]).await;
}

#[tokio::test]
async fn two_nodes_of_which_one_is_killed_again_and_again_lose_nothing_and_do_nothing_twice() {
    let Some(pair) = Pair::new(&[("traces", SCRIPT)], PATIENT) else { return };
    kill_at_random(&pair.places).await;
}

async fn kill_at_random(places: &[Place]) {
    let kills = std::env::var("STEAD_TEST_KILLS").map_or(ROUND, |kills| kills.parse().unwrap());
    let mut dice = Dice::new();
    for round in (0..kills).step_by(ROUND) {
        survive(places, ROUND.min(kills - round), &mut dice).await;
        places.iter().for_each(Place::end_sandboxes);
    }
}

async fn survive(places: &[Place], kills: usize, dice: &mut Dice) {
    let mut servers = Vec::new();
    for place in places {
        servers.push(place.serve().await);
    }
    let front = Front::default();
    front.show(&servers);
    // What all sandboxes of a place share is made before the first kill: it takes longer than a server lives then.
    for server in &servers {
        let session = server.client.session("script/traces").await;
        server.client.say(&session, "warm up").await;
        server.client.idle(&session).await;
    }
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(front.client(dice).session("script/traces").await);
    }
    let (calm, over) = (CancellationToken::new(), CancellationToken::new());
    let talks: Vec<_> = sessions.iter().map(|session| front.talk(session, dice.another(), &calm)).collect();
    let watches: Vec<_> = sessions.iter().map(|session| front.watch(session, dice.another(), &over)).collect();
    let killing = async {
        let servers = kill(places, servers, kills, dice, &front).await;
        calm.cancel();
        servers
    };
    let talking = async {
        let mut sent = join_all(talks).await;
        // One turn that nothing disturbs, which reads the traces of all the others back.
        for (session, sent) in sessions.iter().zip(&mut sent) {
            let mut letter = Letter::new(session, "finish".into(), Way::Key);
            let id = letter.deliver(|| front.first()).await;
            sent.push(Sent { text: letter.text, id });
        }
        for session in &sessions {
            front.first().idle(session).await;
        }
        over.cancel();
        sent
    };
    let (servers, sent, seen) = futures::join!(killing, talking, join_all(watches));
    for ((session, sent), seen) in sessions.iter().zip(&sent).zip(&seen) {
        let events = account(&servers[0].client, session).await;
        for server in &servers {
            assert_eq!(server.client.events(session).await, events, "all nodes tell the same");
        }
        kept(&events, seen);
        answered(&events, sent);
        ran_once(&events, places.len() == 1);
    }
    for (server, place) in servers.into_iter().zip(places) {
        assert!(server.terminate().await, "{}", place.log());
    }
    places[0].db(&["check"]).await;
}

/// Kills servers one after another; what is left in the end are those that have come back.
async fn kill(places: &[Place], mut servers: Vec<Server>, kills: usize, dice: &mut Dice, front: &Front) -> Vec<Server> {
    for _ in 0..kills {
        tokio::time::sleep(dice.millis(150, 700)).await;
        let unlucky = dice.below(places.len());
        servers.remove(unlucky).kill();
        if places.len() > 1 {
            // Sometimes the others take over first, sometimes it is back before that.
            tokio::time::sleep(dice.millis(0, 500)).await;
        }
        servers.insert(unlucky, places[unlucky].serve().await);
        front.show(&servers);
    }
    servers
}

/// What was seen on a stream is in the log, as it was seen.
fn kept(events: &[Value], seen: &[Value]) {
    let kept: HashMap<_, _> = events.iter().map(|event| (id(event), event)).collect();
    for event in seen {
        let found = kept.get(id(event)).unwrap_or_else(|| panic!("it was seen, and is lost: {event}"));
        assert_eq!(unprocessed(found), unprocessed(event), "it was seen otherwise");
    }
}

/// Without the time of its processing, which an input gets later.
fn unprocessed(event: &Value) -> Value {
    let mut event = event.clone();
    event.as_object_mut().unwrap().remove("processed_at");
    event
}

/// Every message that was taken is there once, under the id that was told, and an answer follows it; no other is there.
fn answered(events: &[Value], sent: &[Sent]) {
    let mut found: Vec<_> =
        of(events, "user.message").iter().map(|event| (text(event), id(event).to_owned())).collect();
    let mut expected: Vec<_> = sent.iter().map(|sent| (sent.text.clone(), sent.id.clone())).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "the messages are those that were sent");
    let last_message = events.iter().rposition(|event| kind(event) == "user.message");
    let last_answer = events.iter().rposition(|event| kind(event) == "agent.message");
    assert!(last_message < last_answer, "the last message is not answered: {events:#?}");
    let errors = of(events, "session.error");
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Every command ran once if its result says that it ran, and at most once in any case.
fn ran_once(events: &[Value], is_alone: bool) {
    let uses = of(events, "agent.tool_use");
    let by_call = |result: &Value| result["tool_use_id"].as_str().unwrap().to_owned();
    let results = of(events, "agent.tool_result").into_iter();
    let results: HashMap<String, &Value> = results.map(|result| (by_call(result), result)).collect();
    let result = |call: &Value| results[id(call)];
    let read = uses.iter().rfind(|call| call["input"]["command"] == READS).unwrap();
    let traces = text(result(read));
    let mut trace: HashMap<&str, usize> = HashMap::new();
    for token in traces.lines() {
        *trace.entry(token).or_default() += 1;
    }
    let commands: Vec<_> = uses.iter().filter(|call| call["input"]["command"] != READS).collect();
    let mut ran = 0;
    for call in &commands {
        let token = token(call["input"]["command"].as_str().unwrap());
        let times = trace.remove(token.as_str()).unwrap_or_default();
        let told = result(call);
        if told["is_error"] == false {
            assert_eq!(text(told).trim(), format!("ran {token}"));
            assert_eq!(times, 1, "{call} ran {times} times: {traces}");
            ran += 1;
        } else {
            // With its sandbox on a node that is dead just then, a call may end in doubt.
            assert!(!is_alone, "nothing keeps a call from its sandbox here: {told}");
            assert!(times <= 1, "{call} ran {times} times: {traces}");
        }
    }
    assert!(trace.is_empty(), "nobody asked for {trace:?}");
    assert!(ran * 2 > commands.len(), "only {ran} of {} commands ran to their ends", commands.len());
}

/// What a command of the script leaves.
fn token(command: &str) -> String {
    let (told, rest) = command.strip_prefix("told='").unwrap().split_once("'\n").unwrap();
    let (_, rest) = rest.split_once("/+}").unwrap();
    let (letter, _) = rest.split_once('"').unwrap();
    format!("{}{letter}", told.replace('\n', "+"))
}
