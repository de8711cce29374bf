//! A sandbox that takes all it can of the gateway, and another beside it.

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::agent::does;
use crate::client::{Client, PATIENCE, eventually};
use crate::network::web::{WORDS, Web};
use crate::network::{place, session};

/// Seconds within which a request is answered that waits for nobody: less than the gateway waits for a head.
const AT_ONCE: u32 = 8;

/// Leaves connections that never say what they want, and goes on saying it letter by letter. Says how many it has.
const SLOW: &str = r#"python3 - <<'END'
import os, socket, time
BEGINNINGS = (b"GET http://x/ HTTP/1.1\r\nX: ", b"CONNECT x:443 HTTP/1.1\r\n", b"P", b"\5\xff", b"")
kept = []
for number in range(600):
    stream = socket.create_connection(("127.0.0.1", 3128), 5)
    stream.sendall(BEGINNINGS[number % 5])
    kept.append(stream)
print(len(kept), flush=True)
if os.fork():
    os._exit(0)
os.setsid()
for number in range(3):
    os.close(number)
while True:
    time.sleep(0.2)
    for stream in kept:
        try:
            stream.sendall(b"y")
        except OSError:
            pass
END"#;

/// The same with connections that lead somewhere, of which two descriptors each are the gateway's.
const TUNNELS: &str = r#"python3 - <<'END'
import os, socket, time
if os.fork():
    os._exit(0)
os.setsid()
for number in range(3):
    os.close(number)
kept = []
for _ in range(240):
    try:
        stream = socket.create_connection(("127.0.0.1", 3128), 2)
        stream.sendall(b"CONNECT name.internal:PORT HTTP/1.1\r\n\r\n")
        kept.append(stream)
    except OSError:
        pass
time.sleep(12)
END
echo begun"#;

async fn limited(client: &Client) -> String {
    session(client, json!({"type": "limited", "allowed_hosts": ["name.internal"]})).await
}

#[tokio::test]
async fn slow_clients_of_one_sandbox_make_nobody_else_wait() {
    let (place, web) = (place(), Web::start().await);
    let server = place.serve().await;
    let (slow, other) = (limited(&server.client).await, limited(&server.client).await);
    let asks = format!("curl -sS -m {AT_ONCE} -x http://127.0.0.1:3128 {} 2>&1; true", web.url("name.internal"));
    for session in [&slow, &other] {
        assert_eq!(does(&server.client, session, &asks).await, WORDS);
    }
    assert_eq!(does(&server.client, &slow, SLOW).await, "600");
    let told = does(&server.client, &slow, &asks).await;
    assert!(told.contains("Too many connections are open at once in this sandbox"), "{told}");
    assert_eq!(does(&server.client, &other, &asks).await, WORDS, "another sandbox has to wait");
    // However they keep it up, their time is limited.
    eventually("the sandbox itself is served again", async || {
        (does(&server.client, &slow, &asks).await == WORDS).then_some(())
    })
    .await;
    for session in [slow, other] {
        server.client.delete(&format!("/v1/sessions/{session}")).await;
    }
}

/// As if the machine allowed it few descriptors, or there were very many sandboxes.
#[tokio::test]
async fn one_who_takes_all_connections_leaves_some_for_others() {
    let (place, web) = (place(), Web::start().await);
    let server = place.serve().await;
    let (greedy, other) = (limited(&server.client).await, limited(&server.client).await);
    let asks = format!("curl -sS -m {AT_ONCE} {} 2>&1; true", web.url("name.internal"));
    for session in [&greedy, &other] {
        assert_eq!(does(&server.client, session, &asks).await, WORDS);
    }
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tunnels = TUNNELS.replace("PORT", &silent.local_addr().unwrap().port().to_string());
    let (count, mut came) = watch::channel(0);
    let mut hosts = JoinSet::new();
    hosts.spawn(async move {
        let mut kept = Vec::new();
        while let Ok(connection) = silent.accept().await {
            kept.push(connection);
            count.send_replace(kept.len());
        }
    });
    let pid = place.gateway().unwrap();
    allow(pid, 300);
    assert_eq!(does(&server.client, &greedy, &tunnels).await, "begun");
    // About half of what 300 descriptors are good for.
    let has_enough = timeout(PATIENCE, came.wait_for(|came| *came >= 30)).await;
    assert!(has_enough.is_ok_and(|came| came.is_ok()), "it does not even get what it may have");
    for _ in 0..20 {
        assert_eq!(does(&server.client, &other, &asks).await, WORDS, "another sandbox has no way out");
    }
    assert!(*came.borrow() < 60, "it has {} connections", *came.borrow());
    hosts.abort_all();
    eventually("it has its way out again", async || {
        (does(&server.client, &greedy, &asks).await == WORDS).then_some(())
    })
    .await;
    for session in [greedy, other] {
        server.client.delete(&format!("/v1/sessions/{session}")).await;
    }
}

/// How many descriptors the process may have open.
fn allow(pid: Pid, most: u64) {
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();
}
