//! A whole installation moves from one database to another, and is the same there.

use std::path::{Path, PathBuf};

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::account::{account, results};
use crate::client::Client;
use crate::place::{Database, Place, both};

/// Leaves a file that is larger than one line of an export may be.
const LEAVES: &str = r#"
turns:
  - say: "I leave two files: größer als eine Zeile."
    call:
      - tool: bash
        input:
          command: |-
            mkdir -p /mnt/session/outputs && cd /mnt/session/outputs
            cp /mnt/session/uploads/data.csv copy.csv
            head -c 600000 /dev/urandom > large.bin
            wc -c < large.bin
  - say: "{{last_result}}"
"#;

const SCRIPTS: &[(&str, &str)] = &[("leaves", LEAVES)];

#[tokio::test]
async fn everything_moves_to_postgresql_and_back_and_is_the_same() {
    let Some(database) = Database::postgres() else { return };
    let old = Place::new(SCRIPTS);
    let server = old.serve().await;
    let sessions = live(&server.client).await;
    let before = tell(&server.client, &sessions).await;
    assert!(server.terminate().await);
    let first = export(&old, "first").await;

    let new = Place::on(database, SCRIPTS);
    import(&new, &first).await;
    new.db(&["check"]).await;
    let second = export(&new, "second").await;
    assert!(same(&first, &second), "PostgreSQL tells the same");
    let server = new.serve().await;
    assert_eq!(tell(&server.client, &sessions).await, before);
    // It is no copy that can only be looked at.
    server.client.say(&sessions[1], "Are you well?").await;
    server.client.idle(&sessions[1]).await;
    account(&server.client, &sessions[1]).await;
    drop(server);

    let back = Place::new(SCRIPTS);
    import(&back, &second).await;
    back.db(&["check"]).await;
    let third = export(&back, "third").await;
    assert!(same(&first, &third), "SQLite tells the same again");
    let server = back.serve().await;
    assert_eq!(tell(&server.client, &sessions).await, before);
}

#[tokio::test]
async fn an_import_into_a_database_that_is_not_empty_is_refused_and_changes_nothing() {
    let mut databases = vec![Database::Sqlite];
    databases.extend(Database::postgres());
    let old = Place::new(&[]);
    let file = exported(&old).await;
    for database in databases {
        let place = Place::on(database, &[]);
        import(&place, &file).await;
        let before = export(&place, "before").await;
        let told = refuses(&place, &file).await;
        assert!(told.contains("an import needs an empty one"), "{told}");
        assert!(same(&before, &export(&place, "after").await));
    }
}

#[tokio::test]
async fn a_file_that_was_cut_short_or_changed_is_refused_and_changes_nothing() {
    let old = Place::new(&[]);
    let file = exported(&old).await;
    let whole = std::fs::read(&file.0).unwrap();
    let middle = whole.len() / 2;
    let mut changed = whole.clone();
    changed[middle] ^= 1;
    let lines: Vec<_> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let endless = lines[..lines.len() - 1].concat();
    let cases = [
        ("half of it", whole[..middle].to_vec()),
        ("without its end", endless),
        ("one bit is another", changed),
        ("nothing", Vec::new()),
        ("another file", b"{\"hello\": 1}\n".to_vec()),
    ];
    let mut databases = vec![Database::Sqlite];
    databases.extend(Database::postgres());
    for database in databases {
        let place = Place::on(database, &[]);
        for (case, bytes) in &cases {
            let broken = place.path().join("broken.export");
            std::fs::write(&broken, bytes).unwrap();
            let told = refuses(&place, &File(broken)).await;
            assert!(told.contains("not a whole export"), "{case}: {told}");
        }
        // Nothing of it is there, or this would be refused.
        import(&place, &file).await;
        assert!(same(&file, &export(&place, "after").await));
    }
}

/// An export.
struct File(PathBuf);

fn same(one: &File, other: &File) -> bool {
    std::fs::read(&one.0).unwrap() == std::fs::read(&other.0).unwrap()
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Kept beside the place's database, for as long as the place is.
async fn export(place: &Place, name: &str) -> File {
    let file = place.path().join(format!("{name}.export"));
    place.db(&["export", shown(&file)]).await;
    File(file)
}

async fn import(place: &Place, file: &File) {
    place.db(&["import", shown(&file.0)]).await;
}

/// What an import says that must not succeed.
async fn refuses(place: &Place, file: &File) -> String {
    let output = place.run(&["db", "import", shown(&file.0)]).await;
    assert!(!output.status.success(), "{}", both(&output));
    both(&output)
}

/// The export of a place with one small session in it.
async fn exported(place: &Place) -> File {
    let server = place.serve().await;
    let session = server.client.session("script/echo").await;
    server.client.say(&session, "Remember this.").await;
    server.client.idle(&session).await;
    assert!(server.terminate().await);
    export(place, "small").await
}

/// Lets three sessions do what sessions do.
async fn live(client: &Client) -> Vec<String> {
    let form = Form::new().part("file", Part::bytes(b"a,b\n1,2\n".to_vec()).file_name("data.csv"));
    let uploaded = client.request(Method::POST, "/v1/files").multipart(form).send().await.unwrap();
    let uploaded: Value = uploaded.json().await.unwrap();
    let resource = json!({"type": "file", "file_id": uploaded["id"], "mount_path": "/data.csv"});
    let leaves = client.session_with("script/leaves", json!([resource])).await;
    let echo = client.session("script/echo").await;
    let quiet = client.session("script/hello").await;
    client.say(&leaves, "Leave something.").await;
    for words in ["Guten Tag, schöne Welt! 🌍", "A second turn."] {
        client.say(&echo, words).await;
        client.idle(&echo).await;
    }
    client.idle(&leaves).await;
    assert_eq!(results(&account(client, &leaves).await), ["600000"]);
    vec![leaves, echo, quiet]
}

/// Everything that clients can read of these sessions.
async fn tell(client: &Client, sessions: &[String]) -> Vec<Value> {
    let mut told = vec![client.get("/v1/agents").await, client.get("/v1/environments").await];
    for session in sessions {
        let mut itself = client.get(&format!("/v1/sessions/{session}")).await;
        // How long it has been there grows.
        itself.as_object_mut().unwrap().remove("stats");
        told.push(itself);
        told.extend(client.events(session).await);
    }
    let files = client.get("/v1/files?limit=100").await;
    for file in files["data"].as_array().unwrap() {
        let path = format!("/v1/files/{}/content", file["id"].as_str().unwrap());
        let response = client.request(Method::GET, &path).send().await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.bytes().await.unwrap();
        // What was uploaded is not given back, and each refusal has an id of its own.
        let digest = (status == 200).then(|| format!("{:?}", Sha256::digest(&bytes)));
        told.push(json!({"file": file, "status": status, "digest": digest}));
    }
    told
}
