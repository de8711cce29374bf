//! Packages of environments: installed once, by the managers that this machine has, from an index that the test is.

mod archive;
mod failures;
mod index;
mod interruptions;
mod private;
mod room;
mod shelves;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use self::index::{HOSTS, Index};
use self::shelves::{settings, wheel_path};
use crate::agent::{DOES, does, environment, session, session_in};
use crate::client::Client;
use crate::place::{Place, skipped};

/// Where programs are that every sandbox over this machine's own system has.
const PROGRAMS: [&str; 5] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/usr/local/go/bin"];

/// Whether sandboxes have all of these. A test that needs what they lack is skipped, and named.
fn have(programs: &[&str]) -> bool {
    let is_there = |program: &&&str| PROGRAMS.iter().any(|place| Path::new(place).join(program).is_file());
    match programs.iter().find(|program| !is_there(program)) {
        Some(program) => skipped(&format!("{program} is not below /usr here")),
        None => return true,
    }
    false
}

fn have_pip() -> bool {
    have(&["python3", "pip3"])
}

fn place() -> Place {
    Place::new(&[DOES]).with_config(HOSTS)
}

/// The configuration of an environment with these packages.
fn with(packages: Value) -> Value {
    json!({"type": "cloud", "packages": packages})
}

/// The layers that are there, by their keys.
fn layers(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.data().join("environments/layers")).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !name.contains('.')).collect()
}

/// What builds have said, and where.
fn logs(place: &Place) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(place.data().join("environments/logs")).into_iter().flatten().flatten();
    entries.map(|entry| (entry.path(), fs::read_to_string(entry.path()).unwrap())).collect()
}

async fn delete(client: &Client, session: &str) {
    client.delete(&format!("/v1/sessions/{session}")).await;
}

#[tokio::test]
async fn packages_are_installed_once_for_all_sessions_and_the_servers_that_follow() {
    if !have_pip() {
        return;
    }
    let (place, index) = (place(), Index::start().await);
    shelves::pip(&index);
    let (variables, wheel) = (settings(&index), wheel_path("3.0"));
    let server = place.serve_with(&variables).await;
    let packages = with(json!({"pip": ["stead-says"]}));
    let shared = environment(&server.client, packages.clone()).await;
    let first = session_in(&server.client, &shared).await;
    assert_eq!(does(&server.client, &first, "stead-says").await, "said by pip, version 3.0");
    let [(log, said)] = &logs(&place)[..] else { panic!("{:?}", logs(&place)) };
    assert!(said.contains("Successfully installed stead-says-3.0"), "{said}");
    assert!(place.log().contains(&log.display().to_string()), "the operator is told where to look: {}", place.log());

    // It is nobody's own: what one changes of it, others do not see.
    assert_eq!(
        does(&server.client, &first, "rm $(command -v stead-says); hash -r; stead-says || echo gone")
            .await
            .lines()
            .last(),
        Some("gone")
    );
    let others = [session_in(&server.client, &shared).await, session(&server.client, packages.clone()).await];
    for other in &others {
        assert_eq!(does(&server.client, other, "stead-says").await, "said by pip, version 3.0");
    }
    assert!(server.terminate().await, "{}", place.log());
    assert_eq!(index.heard(&wheel), 1);
    let heard = index.heard_at_all();

    let server = place.serve_with(&variables).await;
    let next = session_in(&server.client, &shared).await;
    assert_eq!(does(&server.client, &next, "stead-says").await, "said by pip, version 3.0");
    assert_eq!(index.heard_at_all(), heard, "nothing was asked for again");
    assert_eq!(layers(&place).len(), 1);
    for session in others.iter().chain([&first, &next]) {
        delete(&server.client, session).await;
    }
}

#[tokio::test]
async fn packages_of_node_are_installed_with_their_commands() {
    if !have(&["npm", "node"]) {
        return;
    }
    let (place, index) = (place(), Index::start().await);
    shelves::npm(&index, "stead-says", None);
    let server = place.serve_with(&settings(&index)).await;
    let session = session(&server.client, with(json!({"npm": ["stead-says@1.0.0"]}))).await;
    assert_eq!(does(&server.client, &session, "stead-says-npm").await, "said by npm");
    let required = "cd /tmp; node -e 'require(\"stead-says/says.js\")'";
    assert_eq!(does(&server.client, &session, required).await, "said by npm");
    delete(&server.client, &session).await;
}

#[tokio::test]
async fn programs_of_go_are_built_and_installed() {
    if !have(&["go"]) {
        return;
    }
    let (place, index) = (place(), Index::start().await);
    shelves::go(&index);
    let server = place.serve_with(&settings(&index)).await;
    let session = session(&server.client, with(json!({"go": ["example.test/says"]}))).await;
    assert_eq!(does(&server.client, &session, "says 2>&1").await, "said by go");
    delete(&server.client, &session).await;
}

/// From where this machine gets its own, for nothing else has what Debian signs.
#[tokio::test]
async fn packages_of_debian_are_installed_by_root_and_nobody_else() {
    let place = place();
    let is_root = rustix::process::geteuid().is_root();
    if !have(&["apt-get"]) || (is_root && !debian_answers(&place).await) {
        return;
    }
    let server = place.serve().await;
    let session = session(&server.client, with(json!({"apt": ["hello"]}))).await;
    let told = does(&server.client, &session, "hello; dpkg -s hello | grep ^Status").await;
    if is_root {
        assert_eq!(told, "Hello, world!\nStatus: install ok installed");
    } else {
        assert!(told.contains("apt") && told.contains("root"), "{told}");
    }
    delete(&server.client, &session).await;
}

/// Whether this machine itself gets packages of Debian's.
async fn debian_answers(place: &Place) -> bool {
    let private = place.path().join("apt");
    fs::create_dir_all(private.join("archives/partial")).unwrap();
    let script = format!(
        "set -e; cd {0}; options='-o Dir::State::Lists={0}/lists -o Dir::Cache={0} -o APT::Sandbox::User=root'
         mkdir -p lists/partial; timeout 100 apt-get $options update; apt-get $options download hello; ls hello_*",
        private.display()
    );
    let output = tokio::process::Command::new("sh").args(["-c", &script]).output().await.unwrap();
    if !output.status.success() {
        skipped(&format!("this machine gets no packages itself: {}", String::from_utf8_lossy(&output.stderr)));
    }
    output.status.success()
}
