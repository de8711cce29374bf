//! Sandboxes over systems that are not this machine's: a directory, a tarball, an image layout, a registry.

mod registry;
mod system;

use std::fs;

use serde_json::json;

use self::registry::Registry;
use self::system::System;
use crate::agent::{DOES, does, fails, session};
use crate::client::Client;
use crate::place::{Place, skipped};

/// A place whose sandboxes are made over this base.
fn over(base: &str) -> Place {
    Place::new(&[DOES]).with_config(&format!("[environments]\nbase = \"{base}\"\n"))
}

async fn cloud(client: &Client) -> String {
    session(client, json!({"type": "cloud"})).await
}

async fn delete(client: &Client, session: &str) {
    client.delete(&format!("/v1/sessions/{session}")).await;
}

fn images(place: &Place) -> usize {
    let found = fs::read_dir(place.data().join("environments/images")).unwrap().flatten();
    found.filter(|entry| entry.path().is_dir()).count()
}

/// What a sandbox over the small system says of itself.
const LOOK: &str =
    "cat /etc/system; ls /usr/bin/python3 /usr/bin/perl 2> /dev/null | wc -l; touch /etc/own && echo writable";

async fn is_over_the_system(place: &Place, name: &str) {
    let server = place.serve().await;
    let (one, other) = (cloud(&server.client).await, cloud(&server.client).await);
    for session in [&one, &other] {
        assert_eq!(does(&server.client, session, LOOK).await, format!("{name}\n0\nwritable"), "{}", place.log());
    }
    let gone = "rm /etc/system; ls /etc/system 2> /dev/null || echo gone";
    assert_eq!(does(&server.client, &one, gone).await, "gone");
    assert_eq!(does(&server.client, &other, "cat /etc/system").await, name, "each has its own");
    for session in [one, other] {
        delete(&server.client, &session).await;
    }
}

#[tokio::test]
async fn a_directory_is_used_as_it_is() {
    let system = System::new("a directory");
    let place = over(&format!("dir:{}", system.root().display()));
    is_over_the_system(&place, "a directory").await;
    assert!(!system.root().join("etc/own").exists(), "nothing is written to it");
    assert!(system.root().join("etc/system").exists());
}

#[tokio::test]
async fn a_tarball_is_unpacked_once_and_anew_when_it_is_another() {
    let (system, other) = (System::new("a tarball"), System::new("another"));
    let tarball = system.directory().join("system.tar.gz");
    fs::write(&tarball, system.tarball()).unwrap();
    let place = over(&format!("tar:{}", tarball.display()));
    is_over_the_system(&place, "a tarball").await;
    is_over_the_system(&place, "a tarball").await;
    assert_eq!(images(&place), 1);
    fs::write(&tarball, other.tarball()).unwrap();
    is_over_the_system(&place, "another").await;
}

#[tokio::test]
async fn images_that_nothing_stands_on_make_room_and_those_below_live_sandboxes_stay() {
    let systems = ["first", "second", "third"].map(System::new);
    let tarball = systems[0].directory().join("system.tar.gz");
    let base = format!("tar:{}", tarball.display());
    let place = Place::new(&[DOES]).with_config(&format!("[environments]\nlayers_gib = 0\nbase = \"{base}\"\n"));
    let over = async |client: &Client, system: usize| {
        fs::write(&tarball, systems[system].tarball()).unwrap();
        let session = cloud(client).await;
        assert_eq!(does(client, &session, "cat /etc/system").await, ["first", "second", "third"][system]);
        session
    };
    let server = place.serve().await;
    let live = over(&server.client, 0).await;
    let gone = over(&server.client, 1).await;
    delete(&server.client, &gone).await;
    assert_eq!(images(&place), 2, "what was in use a moment ago stays for a while");
    assert!(server.terminate().await, "{}", place.log());

    let server = place.serve().await;
    let last = over(&server.client, 2).await;
    assert_eq!(images(&place), 2, "one has made room: {}", place.log());
    assert_eq!(does(&server.client, &live, "cat /etc/system").await, "first", "but not the one that is in use");
    for session in [live, last] {
        delete(&server.client, &session).await;
    }
}

#[tokio::test]
async fn an_image_layout_is_unpacked_and_its_variables_are_set() {
    let system = System::new("a layout");
    let layout = system.directory().join("layout");
    system.image().layout(&layout, "v1");
    let place = over(&format!("oci:{}:v1", layout.display()));
    is_over_the_system(&place, "a layout").await;
    let server = place.serve().await;
    let session = cloud(&server.client).await;
    assert_eq!(does(&server.client, &session, "echo $FROM_THE_IMAGE; pwd; echo $HOME").await, "set\n/workspace\n/root");
    delete(&server.client, &session).await;
}

#[tokio::test]
async fn an_image_of_a_registry_is_fetched_once_and_used_also_when_the_registry_is_gone() {
    let Some(mut registry) = Registry::start() else { return };
    let system = System::new("a registry");
    registry.push(&system.image(), "stead/system", "v1").await;
    let host = registry.host();
    let config = format!("[environments]\nbase = \"registry://{host}/stead/system:v1\"\nplain_http = [\"{host}\"]\n");
    let place = Place::new(&[DOES]).with_config(&config);
    is_over_the_system(&place, "a registry").await;
    let other = System::new("a newer one");
    registry.push(&other.image(), "stead/system", "v1").await;
    is_over_the_system(&place, "a newer one").await;
    registry.stop();
    is_over_the_system(&place, "a newer one").await;
    assert!(place.log().contains("the base image that was last used is taken"), "{}", place.log());
}

#[tokio::test]
async fn a_base_that_cannot_be_had_is_named_to_the_session_and_found_once_it_is_there() {
    let system = System::new("late");
    let tarball = system.directory().join("system.tar");
    let place = over(&format!("tar:{}", tarball.display()));
    let server = place.serve().await;
    let session = cloud(&server.client).await;
    let told = fails(&server.client, &session, "echo hello").await;
    assert!(told.contains("base image") && told.contains("system.tar"), "{told}");
    fs::write(&tarball, system.tarball()).unwrap();
    assert_eq!(does(&server.client, &session, "cat /etc/system").await, "late");
    delete(&server.client, &session).await;
}

#[tokio::test]
async fn a_base_that_is_no_name_of_one_is_refused_at_the_start() {
    let told = over("dir:relative/path").refuses(&[]).await;
    assert!(told.contains("environments.base") && told.contains("a path must start with a slash"), "{told}");
}

#[tokio::test]
async fn a_manager_that_a_base_lacks_is_named_with_what_brings_it() {
    let system = System::new("small");
    let place = over(&format!("dir:{}", system.root().display()));
    let server = place.serve().await;
    for (packages, program, package) in [
        (json!({"pip": ["stead-says"]}), "python3", "python3-pip"),
        (json!({"npm": ["stead-says"]}), "npm", "npm"),
        (json!({"cargo": ["stead-says"]}), "cargo", "cargo"),
        (json!({"gem": ["stead-says"]}), "gem", "ruby-dev"),
        (json!({"go": ["example.test/says"]}), "go", "golang-go"),
        (json!({"apt": ["stead-says"]}), "apt-get", "apt"),
    ] {
        if packages["apt"].is_array() && !rustix::process::geteuid().is_root() {
            skipped("apt is for root");
            continue;
        }
        let session = session(&server.client, json!({"type": "cloud", "packages": packages})).await;
        let told = fails(&server.client, &session, "echo hello").await;
        let expected = format!("need `{program}`, and the base of the environment has none");
        assert!(told.contains(&expected) && told.contains(&format!("Debian package `{package}`")), "{told}");
        delete(&server.client, &session).await;
    }
}
