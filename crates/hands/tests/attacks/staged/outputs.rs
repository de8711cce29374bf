//! What is listed and fetched of the outputs, by a host that must never be led elsewhere.

use std::{collections::BTreeSet, time::Duration};

use hands::{Lost, MAX_CHUNK};
use tokio::time::{Instant, timeout};

use super::{Outcome, Scene, refused, shown};
use crate::{attack::source, room::Room, stage::Stage, verdict::Shown};

/// A listing or a piece of a file is there at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a race is run.
const ROUNDS: usize = 300;

/// For both sides of a race to be seen.
const RACE: Duration = Duration::from_secs(20);

/// In a file inside that is not among the outputs.
const SECRET: &str = "what lies elsewhere";

pub(super) const SCENES: &[Scene] = &[
    ("links", "Leaves links to files elsewhere, to be listed and fetched.", |_, room| Box::pin(links(room))),
    ("paths", "Fetches by paths that lead elsewhere.", |stage, room| Box::pin(paths(stage, room))),
    ("exchanged_file", "Exchanges a file for a link while it is fetched.", |_, room| Box::pin(exchanged_file(room))),
    ("exchanged_directory", "Exchanges a directory for a link while a file in it is fetched.", |_, room| {
        Box::pin(exchanged_directory(room))
    }),
    ("exchanged_while_listed", "Exchanges a directory for a link while it is listed.", |_, room| {
        Box::pin(exchanged_while_listed(room))
    }),
    ("replaced_root", "Puts a link in the place of the outputs directory.", |_, room| Box::pin(replaced_root(room))),
    ("special_files", "Leaves pipes, sockets and terminals, to be waited for.", |_, room| Box::pin(special(room))),
    ("sizes_and_times", "Leaves files of sizes and times that no number holds.", |_, room| Box::pin(sizes(room))),
    ("crowd", "Leaves more files, and deeper ones, than can be listed.", |_, room| Box::pin(crowd(room))),
    ("names", "Leaves names that are read as something else.", |_, room| Box::pin(names(room))),
    ("moving_file", "Grows and empties a file while it is fetched.", |_, room| Box::pin(moving_file(room))),
];

async fn links(room: &Room) -> Outcome {
    let read = bash(
        room,
        &format!(
            "cd /mnt/session/outputs; echo '{SECRET}' > /workspace/secret; ln -s /workspace/secret file; \
             ln -s /workspace directory; ln -s /proc/self/environ environment; ln -s /proc/self/fd/4 journal; \
             ln -s /proc/self/root root; ln -s file chain; ln -s /nowhere broken; ln -s . loop; echo real > real; \
             cat file"
        ),
    )
    .await?;
    let listed = list(room).await?;
    if listed != ["real"] {
        return Err(format!("listed: {listed:?}"));
    }
    let through = ["root/workspace/secret", "directory/secret", "loop/real", "loop/file", "root/proc/self/environ"];
    for path in ["file", "directory", "environment", "journal", "root", "chain", "broken"].into_iter().chain(through) {
        if let Some(bytes) = fetch(room, path, 0, 100).await? {
            return Err(format!("{path}: {:?}", String::from_utf8_lossy(&bytes)));
        }
    }
    let evidence = if read.trim() == SECRET { Shown::Reached(read) } else { Shown::Failed(read) };
    Ok(("no link is listed, none is followed".into(), evidence))
}

async fn paths(stage: &Stage, room: &Room) -> Outcome {
    bash(room, "echo real > /mnt/session/outputs/real; mkdir /mnt/session/outputs/deep").await?;
    let host = stage.host.said["file"].as_str().unwrap_or_default();
    let climbing = format!("{}{}", "../".repeat(40), host.trim_start_matches('/'));
    let (long, deep) = ("a".repeat(5_000), "deep/".repeat(3_000));
    let tried = [
        host,
        &climbing,
        &long,
        &deep,
        "",
        ".",
        "..",
        "/",
        "//",
        "../uploads/input.txt",
        "deep/../../uploads/input.txt",
        "real/../../uploads/input.txt",
        "/mnt/session/uploads/input.txt",
        "//mnt/session/uploads/input.txt",
        "/mnt/session/outputs/real",
        "/etc/passwd",
        "/proc/self/environ",
        "/proc/self/fd/4",
        "real/",
        "real/.",
        "real\0",
        "\0",
        "real\0/../../uploads/input.txt",
        "deep",
        "..%2fuploads/input.txt",
        "..\\uploads\\input.txt",
        "\u{2025}/uploads/input.txt",
        "~/secret",
        "-",
    ];
    for path in tried {
        if let Some(bytes) = fetch(room, path, 0, 100).await? {
            return Err(format!("{path}: {:?}", String::from_utf8_lossy(&bytes)));
        }
    }
    match fetch(room, "real", 0, 100).await? {
        Some(bytes) if bytes == b"real\n" => shown(format!("all {} refused", tried.len()), "the file itself"),
        other => Err(format!("the file itself is not fetched any more: {other:?}")),
    }
}

/// Has the sandbox exchange two of its paths, over and over, until the room is closed.
async fn exchange(room: &Room, setting: &str, one: &str, other: &str) -> Result<(), String> {
    room.write("exchange.py", &source("staged/exchange.py")).await?;
    let command = format!(
        "{setting}; cd /workspace/attacks; setsid python3 exchange.py {one} {other} > exchange.txt 2>&1 < /dev/null &\n\
         for i in {{1..100}}; do grep -q READY /workspace/attacks/exchange.txt && break; sleep 0.05; done; \
         cat /workspace/attacks/exchange.txt"
    );
    let said = bash(room, &command).await?;
    if said.trim_end().ends_with("READY") { Ok(()) } else { Err(format!("nothing is exchanged: {said}")) }
}

async fn exchanged_file(room: &Room) -> Outcome {
    let setting = format!(
        "cd /mnt/session/outputs; echo '{SECRET}' > /workspace/secret; echo real > file; ln -s /workspace/secret link"
    );
    exchange(room, &setting, "/mnt/session/outputs/file", "/mnt/session/outputs/link").await?;
    race(room, "file").await
}

async fn exchanged_directory(room: &Room) -> Outcome {
    let setting = format!(
        "mkdir /workspace/other; echo '{SECRET}' > /workspace/other/file; cd /mnt/session/outputs; mkdir one; \
         echo real > one/file; ln -s /workspace/other two"
    );
    exchange(room, &setting, "/mnt/session/outputs/one", "/mnt/session/outputs/two").await?;
    race(room, "one/file").await
}

/// Fetches again and again. Both must be seen, the file and the refusal, for a race was run.
async fn race(room: &Room, path: &str) -> Outcome {
    let (mut real, mut none) = (0, 0);
    let until = Instant::now() + RACE;
    // On a busy machine whoever exchanges them may stand still for a while.
    while real + none < ROUNDS || ((real == 0 || none == 0) && Instant::now() < until) {
        match fetch(room, path, 0, 100).await? {
            None => none += 1,
            Some(bytes) if bytes == b"real\n" => real += 1,
            Some(bytes) => return Err(format!("{path}: {:?}", String::from_utf8_lossy(&bytes))),
        }
    }
    let counted = format!("{real} times the file, {none} times nothing");
    let evidence = if real > 0 && none > 0 { Shown::Reached(counted.clone()) } else { Shown::Failed(counted.clone()) };
    Ok((counted, evidence))
}

async fn exchanged_while_listed(room: &Room) -> Outcome {
    // Others are beside it, to be looked at between the directory's being found and its being listed.
    let setting = "mkdir /workspace/other; echo > /workspace/other/elsewhere; cd /mnt/session/outputs; mkdir one; \
                   echo real > one/file; ln -s /workspace/other two; for n in {1..300}; do : > $n; done";
    exchange(room, setting, "/mnt/session/outputs/one", "/mnt/session/outputs/two").await?;
    let mut seen = BTreeSet::new();
    for _ in 0..ROUNDS {
        seen.extend(list(room).await?);
    }
    match seen.iter().find(|path| path.ends_with("elsewhere")) {
        Some(path) => Err(format!("listed: {path}")),
        None => shown("nothing is listed of where the link leads", format!("{} names", seen.len())),
    }
}

async fn replaced_root(room: &Room) -> Outcome {
    for target in ["/etc", "/", "/proc/self", "/mnt/session/uploads"] {
        let put = format!("cd /mnt/session; rm -rf outputs; ln -s {target} outputs; ls outputs/ | head -n 1");
        let there = bash(room, &put).await?;
        let listed = list(room).await?;
        if let Some(path) = listed.first() {
            return Err(format!("with a link to {target} in its place, {} are listed: {path}", listed.len()));
        }
        for path in ["passwd", "etc/passwd", "environ", "input.txt"] {
            if let Some(bytes) = fetch(room, path, 0, 100).await? {
                return Err(format!("{target}/{path}: {:?}", String::from_utf8_lossy(&bytes)));
            }
        }
        if there.contains("no output") {
            return Err(format!("the link to {target} leads nowhere"));
        }
    }
    refused("nothing is listed, nothing is fetched")
}

async fn special(room: &Room) -> Outcome {
    let made = "cd /mnt/session/outputs; mkfifo pipe; echo real > real; ln -s /dev/pts/ptmx terminal; \
                python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")'; ls";
    let made = bash(room, made).await?;
    let listed = list(room).await?;
    if listed != ["real"] {
        return Err(format!("listed: {listed:?}"));
    }
    for path in ["pipe", "socket", "terminal"] {
        if let Some(bytes) = fetch(room, path, 0, 100).await? {
            return Err(format!("{path}: {} bytes", bytes.len()));
        }
    }
    shown("only files are listed, and nothing is waited for", made.replace('\n', " "))
}

async fn sizes(room: &Room) -> Outcome {
    let made = "cd /mnt/session/outputs; truncate -s 4E huge; touch -d 2400-01-01 late; touch -d 1901-01-01 early; ls";
    let made = bash(room, made).await?;
    let listed = list(room).await?;
    if listed.len() != 3 {
        return Err(format!("listed: {listed:?}"));
    }
    for (offset, length) in [(0, u64::MAX), (0, MAX_CHUNK + 1), (1 << 61, MAX_CHUNK)] {
        let bytes = fetch(room, "huge", offset, length).await?.unwrap_or_default();
        if bytes.len() as u64 > MAX_CHUNK {
            return Err(format!("{} bytes at once", bytes.len()));
        }
    }
    for offset in [1 << 62, 1 << 63, u64::MAX, u64::MAX - 1, u64::MAX - MAX_CHUNK] {
        let bytes = fetch(room, "huge", offset, MAX_CHUNK).await?.unwrap_or_default();
        if !bytes.is_empty() {
            return Err(format!("{} bytes from beyond its end", bytes.len()));
        }
    }
    shown("never more than a piece, never beyond the end", made.replace('\n', " "))
}

async fn crowd(room: &Room) -> Outcome {
    let program = "import os\nos.chdir('/mnt/session/outputs')\nfor n in range(5000): open('%d' % n, 'w').close()\n\
                   for n in range(300):\n  os.mkdir('d' * 200); os.chdir('d' * 200); open('deep', 'w').close()\n";
    room.write("crowd.py", program).await?;
    room.python("crowd.py", PATIENCE).await?;
    let answer = timeout(PATIENCE, room.hand.outputs()).await.map_err(|_| "no listing in time".to_owned())?;
    let (entries, is_cut) = answer.map_err(|lost| lost.to_string())?;
    if !is_cut || entries.len() > 5_000 {
        return Err(format!("{} are listed, and said to be all: {}", entries.len(), !is_cut));
    }
    bash(room, "rm -rf /mnt/session/outputs/*").await?;
    refused(format!("{} are listed, and that there are more is said", entries.len()))
}

async fn names(room: &Room) -> Outcome {
    let program = r#"import os
os.chdir("/mnt/session/outputs")
for name in ("new\nline", 'quoted"},{"path":"passwd","size":1,"modified":1', "\x1b]0;title\x07", "back\\slash",
             "...", " ", "a" * 255, "\u202egnp.exe", "-rf", "%2e%2e%2fetc", "C:", "~", "\x7f", "\u009b31m"):
    open(name, "w").write("x")
open(b"\xff\xfe", "w").write("x")
"#;
    room.write("names.py", program).await?;
    room.python("names.py", PATIENCE).await?;
    let listed = list(room).await?;
    if listed.len() != 14 {
        return Err(format!("{} names where there are 14: {listed:?}", listed.len()));
    }
    for path in &listed {
        match fetch(room, path, 0, 100).await? {
            Some(bytes) if bytes == b"x" => {}
            other => return Err(format!("{path:?} is listed, and fetched as {other:?}")),
        }
    }
    shown("every name is the name of a file", format!("{} names", listed.len()))
}

async fn moving_file(room: &Room) -> Outcome {
    room.write("moving.py", &source("staged/moving.py")).await?;
    let start = "cd /workspace/attacks; setsid python3 moving.py > /dev/null 2>&1 < /dev/null & sleep 0.3; echo begun";
    bash(room, start).await?;
    let (mut lengths, mut round) = (BTreeSet::new(), 0);
    let until = Instant::now() + RACE;
    while round < ROUNDS || (lengths.len() < 2 && Instant::now() < until) {
        round += 1;
        if let Some(bytes) = fetch(room, "moving", (round as u64 % 3) * 1_000, 10_000).await? {
            lengths.insert(bytes.len());
            if bytes.len() > 10_000 || bytes.iter().any(|byte| *byte != b'x') {
                return Err("bytes that were never in it".into());
            }
        }
    }
    let evidence = format!("{} different lengths", lengths.len());
    Ok((evidence.clone(), if lengths.len() > 1 { Shown::Reached(evidence) } else { Shown::Failed(evidence) }))
}

async fn bash(room: &Room, command: &str) -> Result<String, String> {
    room.bash(command, PATIENCE).await
}

async fn list(room: &Room) -> Result<Vec<String>, String> {
    let answer = timeout(PATIENCE, room.hand.outputs()).await.map_err(|_| "no listing in time".to_owned())?;
    let (entries, _) = answer.map_err(|lost| lost.to_string())?;
    Ok(entries.into_iter().map(|entry| entry.path).collect())
}

/// None if it was refused.
async fn fetch(room: &Room, path: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>, String> {
    let answer = timeout(PATIENCE, room.hand.fetch(path, offset, length)).await;
    match answer.map_err(|_| format!("{path:?} is waited for"))? {
        Ok((bytes, _)) => Ok(Some(bytes)),
        Err(Lost::Refused(_)) => Ok(None),
        Err(lost) => Err(format!("{path:?}: {lost}")),
    }
}
