//! The sandbox of a session stays where it was made, also when another node works on the session.

use crate::account::{account, results};
use crate::client::Client;
use crate::pair::{Pair, begun};

/// Every turn makes a variable and a file longer, in the directory where the first one went.
const GROWS: &str = r#"
turns:
  - call:
      - { tool: bash, input: { command: "cd /tmp; X=${X}x; echo $X >> here; sleep 1; pwd; cat here" } }
  - say: "Noted."
then: restart
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
