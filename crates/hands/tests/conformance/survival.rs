//! A server that is killed takes no sandbox with it: what no suite inside one process can show.

use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use hands::{Address, Content, Execute, Hand, Kept, Limits, Spec};
use serde_json::json;

use crate::local::{ALL, Backend, Found};

/// For the process that is killed: which backend it serves, and where.
const BACKEND: &str = "STEAD_TEST_KILLED_BACKEND";
const PLACE: &str = "STEAD_TEST_KILLED_PLACE";

/// What its address stands behind on a line of its output.
const HERE: &str = "THE SANDBOX IS AT ";

const LONG: &str = "sleep 2; echo done; echo run >> /workspace/runs";

fn call(id: &str, command: &str) -> Execute {
    let input = json!({ "command": command }).as_object().unwrap().clone();
    Execute { call: id.into(), tool: "bash".into(), input }
}

async fn bash(hand: &dyn Hand, id: &str, command: &str) -> String {
    let outcome = hand.execute(call(id, command)).await.unwrap();
    match outcome.content.as_slice() {
        [Content::Text { text }] => text.trim_end().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sandbox_and_its_calls_outlive_a_server_that_is_killed() {
    for found in ALL.into_iter().filter_map(Backend::found) {
        let place = tempfile::tempdir().unwrap();
        let (mut server, address) = serve(&found, place.path());
        server.kill().unwrap();
        server.wait().unwrap();
        let sandbox = found.open(&place.path().join("data"), None).await;
        let name = found.backend.name();
        let hand = sandbox.adopt(&address, 2).await.unwrap_or_else(|lost| panic!("{name}: {lost}"));
        assert_eq!(bash(&*hand, "long", LONG).await, "done", "{name}");
        assert_eq!(bash(&*hand, "after", "echo $NAME; cat /workspace/runs").await, "value\nrun", "{name}");
        for Kept { name, .. } in sandbox.kept().await {
            sandbox.destroy(&name, None).await.unwrap();
        }
    }
}

/// Starts a server that has a sandbox, where a call runs.
fn serve(found: &Found, place: &Path) -> (Child, Address) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "survival::the_server_that_is_killed", "--ignored", "--nocapture"]);
    command.env(BACKEND, found.backend.name()).env(PLACE, place).stdout(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let told = lines.map(|line| line.unwrap()).find_map(|line| {
        let (_, address) = line.split_once(HERE)?;
        Some(address.to_owned())
    });
    let address = serde_json::from_str(&told.expect("the server makes a sandbox")).unwrap();
    (server, address)
}

#[tokio::test]
#[ignore = "started by the other, which kills it"]
async fn the_server_that_is_killed() {
    let (Ok(backend), Some(place)) = (env::var(BACKEND), env::var_os(PLACE)) else {
        eprintln!("skipped: only the other test starts this one");
        return;
    };
    let backend = ALL.into_iter().find(|known| known.name() == backend).unwrap();
    let sandbox = backend.found().unwrap().open(&PathBuf::from(place).join("data"), None).await;
    let limits = Limits { memory: 512 << 20, disk: 64 << 20, orphan_seconds: 30, ..Limits::default() };
    let hand = sandbox.provision(&Spec { name: "one".into(), limits, ..Spec::default() }, 1).await.unwrap();
    bash(&*hand, "before", "NAME=value").await;
    let begun = std::time::Duration::from_millis(200);
    assert!(tokio::time::timeout(begun, hand.execute(call("long", LONG))).await.is_err());
    println!("{HERE}{}", serde_json::to_string(hand.address()).unwrap());
    std::future::pending().await
}
