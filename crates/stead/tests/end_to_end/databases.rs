//! Databases that a server must not use: it says why, soon, and ends.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::place::{Database, Place, refused, shared, skipped};

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

fn at(url: &str) -> Place {
    Place::on(Database::Postgres(url.to_owned()), &[])
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let told = at("postgres://stead:hunter2@127.0.0.1:1/stead").refuses(&[]).await;
    assert!(told.contains("127.0.0.1:1") && told.contains("STEAD_DATABASE_URL"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn a_database_of_another_kind_is_refused_with_the_kind_that_is_wanted() {
    let told = at("mysql://stead:hunter2@127.0.0.1:1/stead").refuses(&[]).await;
    assert!(told.contains("postgres://") && !told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let Some(cluster) = shared() else { return };
    let told = at(&cluster.url("no_such_database")).refuses(&[]).await;
    assert!(told.contains("no_such_database") && told.contains("STEAD_DATABASE_URL"), "{told}");
}

#[tokio::test]
async fn a_bus_without_other_nodes_is_refused() {
    let told = Place::new(&[]).refuses(&[("STEAD_NATS_URL", "nats://127.0.0.1:1".into())]).await;
    assert!(told.contains("STEAD_NATS_URL") && told.contains("STEAD_DATABASE_URL"), "{told}");
}

#[tokio::test]
async fn an_internal_address_that_nobody_can_reach_is_refused() {
    let Some(cluster) = shared() else { return };
    let place = Place::on(Database::on(cluster).1, &[]).with_config("internal_listen = \"0.0.0.0:0\"\n");
    let told = place.refuses(&[]).await;
    assert!(told.contains("node.internal_listen: 0.0.0.0:0 is every address"), "{told}");
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_refused_until_it_does() {
    let Some(cluster) = shared() else { return };
    let (name, database) = Database::on(cluster);
    let place = Place::on(database, &[]);
    let set = |setting: &str| cluster.sql("postgres", &format!("ALTER DATABASE {name} {setting}")).unwrap();
    set("SET default_transaction_read_only = on");
    let told = place.refuses(&[]).await;
    assert!(told.contains("read-only"), "{told}");
    set("RESET default_transaction_read_only");
    place.serve().await.client.session("script/echo").await;
    set("SET default_transaction_read_only = on");
    let told = place.refuses(&[]).await;
    assert!(told.contains("read-only"), "{told}");
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused() {
    let Some(cluster) = shared() else { return };
    let (name, database) = Database::on(cluster);
    let place = Place::on(database, &[]);
    assert!(place.serve().await.terminate().await);
    cluster.sql(&name, "UPDATE stead_schema SET version = 1001").unwrap();
    let told = place.refuses(&[]).await;
    assert!(told.contains("newer") && told.contains("1001"), "{told}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_as_it_is() {
    let place = Place::new(&[]);
    std::fs::create_dir(place.data()).unwrap();
    let file = place.data().join("stead.db");
    let garbage = "This is a letter to somebody, and no database. ".repeat(1_000);
    std::fs::write(&file, &garbage).unwrap();
    let told = place.refuses(&[]).await;
    assert!(told.contains("damaged") && told.contains(&file.display().to_string()), "{told}");
    assert!(std::fs::read(&file).unwrap() == garbage.as_bytes(), "it was written over");
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused_and_left_as_it_is() {
    let place = Place::new(&[]);
    std::fs::create_dir(place.data()).unwrap();
    let file = place.data().join("stead.db");
    std::fs::write(&file, empty_database(1_001)).unwrap();
    let told = place.refuses(&[]).await;
    assert!(told.contains("newer") && told.contains("1001"), "{told}");
    let version = std::fs::read(&file).unwrap()[60..64].to_vec();
    assert_eq!(version, 1_001_u32.to_be_bytes());
}

/// An SQLite database with nothing in it, and this version of its schema; see SQLite's description of the file format.
fn empty_database(version: u32) -> Vec<u8> {
    let mut page = vec![0; 4_096];
    let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"SQLite format 3\0");
    put(16, &4_096_u16.to_be_bytes());
    put(18, &[1, 1, 0, 64, 32, 32]);
    for (at, value) in [(24, 1), (28, 1), (44, 4), (56, 1), (60, version), (92, 1), (96, 3_045_000)] {
        put(at, &u32::to_be_bytes(value));
    }
    // The page of an empty table.
    put(100, &[13]);
    put(105, &4_096_u16.to_be_bytes());
    page
}

#[tokio::test]
async fn a_file_that_may_not_be_written_is_named() {
    let place = Place::new(&[]);
    assert!(place.serve().await.terminate().await);
    let file = place.data().join("stead.db");
    std::fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
    let mut command = place.command(&["serve"]);
    if geteuid().is_root() {
        // Root may write everything.
        if !can_run_as_nobody(&place) {
            return skipped("an ordinary user cannot execute the program");
        }
        let owner = format!("{NOBODY}:{NOBODY}");
        assert!(Command::new("chown").args(["-R", &owner]).arg(place.path()).status().unwrap().success());
        chown(&file, Some(0), Some(0)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let told = refused(command).await;
    assert!(told.contains("read-only") && told.contains(&file.display().to_string()), "{told}");
}

/// Nobody may not see a build directory below another user's own.
fn can_run_as_nobody(place: &Place) -> bool {
    let mut command = place.command(&["--version"]);
    command.uid(NOBODY).gid(NOBODY).current_dir("/").stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
