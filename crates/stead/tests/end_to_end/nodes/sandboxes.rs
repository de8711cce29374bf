//! The sandbox of a session stays where it was made, also when another node works on the session.

use crate::account::{account, results};
use crate::client::{Client, eventually, of, text};
use crate::pair::{Pair, begun};

/// Every turn makes a variable and a file longer, in the directory where the first one went.
const GROWS: &str = r#"
turns:
  - call:
      - { tool: bash, input: { command: "cd /tmp; X=${X}x; echo $X >> here; sleep 1; pwd; cat here" } }
  - say: "Noted."
then: restart
"#;

/// Its second call tells whether it is in the sandbox of the first.
const WAITS: &str = r#"
turns:
  - call:
      - { tool: bash, input: { command: "touch /tmp/here; sleep 60" } }
  - call:
      - { tool: bash, input: { command: "ls /tmp/here 2> /dev/null || echo another sandbox" } }
  - say: "Noted."
"#;

/// Turns that are asked for on one node until that one has worked on the session. Either may take it up.
const TURNS: usize = 8;

#[tokio::test]
async fn a_shell_is_the_same_from_another_node_while_its_own_lives_and_after_that_was_killed() {
    let Some(pair) = Pair::new(&[("grows", GROWS)], "lease_ms = 60000\n") else { return };
    let mut servers = pair.serve().await;
    let session = begun(&servers[0].client, "grows").await;
    servers[0].client.idle(&session).await;
    let home = pair.home(&session).await;
    let other = servers[1 - home].client.clone();
    let mut turns = 1;
    loop {
        other.say(&session, "Once more.").await;
        let brain = pair.brain(&session).await;
        other.idle(&session).await;
        turns += 1;
        grown(&other, &session, turns).await;
        if brain != home {
            break;
        }
        assert!(turns < TURNS, "the other node never takes the session up");
    }
    servers.remove(home).kill();
    other.say(&session, "And now?").await;
    other.idle(&session).await;
    grown(&other, &session, turns + 1).await;
    assert!(!pair.places[1 - home].has_hand(&session), "nobody made another sandbox");
    pair.close(servers).await;
}

#[tokio::test]
async fn a_call_goes_on_when_the_node_of_its_sandbox_is_killed_but_not_the_one_that_works_on_the_session() {
    let Some(pair) = Pair::new(&[("grows", GROWS)], "lease_ms = 60000\n") else { return };
    let mut servers = pair.serve().await;
    let session = begun(&servers[0].client, "grows").await;
    servers[0].client.idle(&session).await;
    let home = pair.home(&session).await;
    let other = servers[1 - home].client.clone();
    let mut turns = 1;
    loop {
        other.say(&session, "Once more.").await;
        other.events_of(&session, "agent.tool_use", turns + 1).await;
        turns += 1;
        if pair.brain(&session).await != home {
            break;
        }
        other.idle(&session).await;
        assert!(turns < TURNS, "the other node never takes the session up");
    }
    servers.remove(home).kill();
    other.idle(&session).await;
    grown(&other, &session, turns).await;
    pair.close(servers).await;
}

#[tokio::test]
async fn a_call_whose_machine_is_lost_is_not_run_again_elsewhere_and_its_sandbox_goes_when_that_comes_back() {
    let Some(pair) = Pair::new(&[("waits", WAITS)], "lease_ms = 2000\ngrace_ms = 1000\n") else { return };
    let mut servers = pair.serve().await;
    let session = begun(&servers[0].client, "waits").await;
    let home = pair.home(&session).await;
    let journal = pair.places[home].data().join("hands").join(&session).join("journal");
    let has_begun = async || std::fs::metadata(&journal).is_ok_and(|journal| journal.len() > 0).then_some(());
    eventually("the call has begun", has_begun).await;
    let away = pair.places[home].path().join("away");
    servers.remove(home).kill();
    std::fs::rename(pair.places[home].data(), &away).unwrap();
    let other = servers[0].client.clone();
    other.idle(&session).await;
    let events = account(&other, &session).await;
    let told: Vec<_> =
        of(&events, "agent.tool_result").into_iter().map(|result| text(result).trim().to_owned()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("its outcome is unknown"), "{told:?}");
    assert_eq!(told[1], "another sandbox");

    std::fs::rename(&away, pair.places[home].data()).unwrap();
    servers.push(pair.places[home].serve().await);
    eventually("the sandbox that was given up is removed", async || {
        (!pair.places[home].has_hand(&session)).then_some(())
    })
    .await;
    pair.close(servers).await;
}

/// Each turn's call ran once, and all of them in one shell.
async fn grown(client: &Client, session: &str, turns: usize) {
    let expected: Vec<_> = (1..=turns)
        .map(|turn| {
            let lines: Vec<_> = (1..=turn).map(|length| "x".repeat(length)).collect();
            format!("/tmp\n{}", lines.join("\n"))
        })
        .collect();
    assert_eq!(results(&account(client, session).await), expected);
}
