//! Programs in a sandbox that want what lies behind the gateway: the ones that attack sandboxes without a way out, and
//! that find a real gateway here. Each is run as well where it must succeed, for the operator has opened the way.

mod floods;
mod servers;

use std::fs;

use serde_json::{Value, json};

use self::servers::{Allowed, Canary};
use crate::agent::does;
use crate::client::Client;
use crate::network::session;
use crate::place::{Place, skipped};
use crate::server::Server;

/// Shared with the attacks on sandboxes, which are judged alike.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../hands/tests/attacks/programs");

/// The one host that a limited environment allows, and the operator has put on this machine.
const ALLOWED: &str = "allowed.test";

/// What ask for an address or a name: refused though every host may be asked for.
const FOR_ADDRESSES: [&str; 14] = [
    "authority",
    "direct_addresses",
    "direct_neighbourhood",
    "letters",
    "line_breaks",
    "long_numbers",
    "metadata",
    "names",
    "numbers",
    "ports_inside",
    "rebinding",
    "resolver",
    "schemes",
    "smuggling",
];

/// What ask for one host in the name of another: refused where only one is allowed.
const FOR_HOSTS: [&str; 2] = ["server_names", "tunnels"];

/// Those that must succeed where the loopback is open.
const WHERE_IT_IS_OPEN: [&str; 6] = ["authority", "letters", "long_numbers", "numbers", "smuggling", "tunnels"];

struct Scene {
    place: Place,
    server: Server,
    canary: Canary,
    allowed: Allowed,
}

impl Scene {
    /// With more in `[network]`. None where the allowed host cannot have the ports that clients take for granted.
    async fn set(network: &str) -> Option<Self> {
        let Some(allowed) = Allowed::start(ALLOWED).await else {
            skipped("ports below 1024 cannot be had here");
            return None;
        };
        let hosts = format!("[network]\n{network}\n[network.hosts]\n\"{ALLOWED}\" = \"{}\"\n", allowed.address);
        let place = Place::new(&[crate::agent::DOES]).with_config(&hosts);
        let server = place.serve().await;
        Some(Self { place, server, canary: Canary::start().await, allowed })
    }

    fn client(&self) -> &Client {
        &self.server.client
    }

    /// A session with all that the programs share.
    async fn session(&self, networking: Value) -> String {
        let session = session(self.client(), networking).await;
        let file = self.place.path().join("host.txt");
        fs::write(&file, self.canary.token()).unwrap();
        let given = json!({
            "control": false,
            "host": {
                "tcp": self.canary.port(),
                "tcp6": self.canary.port6(),
                "file": file,
                "unix": self.place.path().join("host.sock"),
            },
            "allowed": ALLOWED,
            "rebinding": "rebinding.test",
            "gateway": 3_128,
            "addresses": self.canary.own().map(|own| own.to_string()).into_iter().collect::<Vec<_>>(),
        });
        for name in ["attack.py", "web.py"] {
            self.write(&session, name, &source(name)).await;
        }
        self.write(&session, "given.json", &given.to_string()).await;
        let page = does(self.client(), &session, &format!("curl -sS -m 20 http://{ALLOWED}/")).await;
        assert_eq!(page, servers::WORDS, "not even the allowed host is reached");
        session
    }

    async fn write(&self, session: &str, name: &str, text: &str) {
        let command =
            format!("mkdir -p attacks && cat > attacks/{name} <<'END_OF_PROGRAM'\n{text}\nEND_OF_PROGRAM\necho $?");
        assert_eq!(does(self.client(), session, &command).await, "0", "{name}");
    }

    /// What the program says of itself, with what was heard where it must not be.
    async fn attack(&self, session: &str, name: &str) -> (String, usize) {
        let file = format!("{name}.py");
        self.write(session, &file, &source(&format!("network/{file}"))).await;
        let said = does(self.client(), session, &format!("cd attacks && timeout 100 python3 {file} 2>&1; cd ..")).await;
        (said, self.canary.heard() + self.allowed.fooled())
    }

    async fn holds(&self, session: &str, name: &str) {
        let (said, heard) = self.attack(session, name).await;
        let verdict = said.lines().last().unwrap_or_default();
        assert!(verdict.starts_with("HELD ") && !said.contains(&self.canary.token()), "{name}: {said}");
        assert_eq!(heard, 0, "{name}: somebody came: {said}");
    }

    async fn reaches(&self, session: &str, name: &str) {
        let (said, heard) = self.attack(session, name).await;
        let verdict = said.lines().last().unwrap_or_default();
        assert!(verdict.starts_with("BROKE ") && verdict.contains("CANARY-"), "{name} proves nothing: {said}");
        assert!(heard > 0, "{name}: {said}");
    }

    async fn end(self, session: &str) {
        self.client().delete(&format!("/v1/sessions/{session}")).await;
    }
}

fn source(path: &str) -> String {
    let path = format!("{PROGRAMS}/{path}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn unrestricted() -> Value {
    json!({"type": "unrestricted"})
}

fn limited() -> Value {
    json!({"type": "limited", "allowed_hosts": [ALLOWED]})
}

#[tokio::test]
async fn no_program_finds_an_address_that_is_refused() {
    let Some(scene) = Scene::set("").await else { return };
    let session = scene.session(unrestricted()).await;
    for name in FOR_ADDRESSES {
        scene.holds(&session, name).await;
    }
    scene.end(&session).await;
}

#[tokio::test]
async fn no_program_gets_past_the_list_of_hosts() {
    let Some(scene) = Scene::set("").await else { return };
    let session = scene.session(limited()).await;
    for name in FOR_ADDRESSES.iter().chain(&FOR_HOSTS) {
        scene.holds(&session, name).await;
    }
    scene.end(&session).await;
}

#[tokio::test]
async fn the_same_programs_succeed_where_nothing_is_in_their_way() {
    let Some(scene) = Scene::set("allow_private = [\"127.0.0.0/8\", \"::1/128\"]").await else { return };
    let session = scene.session(unrestricted()).await;
    for name in WHERE_IT_IS_OPEN {
        scene.reaches(&session, name).await;
    }
    // Whom a greeting is for is nobody's business where every host is allowed.
    scene.reaches(&session, "server_names").await;
    scene.end(&session).await;
}
