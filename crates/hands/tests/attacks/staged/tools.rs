//! Tools that the daemon carries out itself, with what it has and no program inside has: its files, its descriptors.
//!
//! A program only has to lay a link where the agent will look.

use std::fs;

use serde_json::{Value, json};

use super::{Outcome, Scene, refused, shown};
use crate::{
    room::{LONG, Room, text},
    stage::Stage,
    verdict::{Shown, end_of},
};

/// Numbers of the daemon's descriptors.
const DESCRIPTORS: std::ops::Range<u8> = 0..16;

/// What the kernel tells of a process to itself.
const PRIVATE: [&str; 10] =
    ["environ", "maps", "smaps", "auxv", "mem", "stack", "syscall", "io", "pagemap", "numa_maps"];

/// What the kernel lets a process change of itself.
const SETTINGS: [&str; 7] =
    ["oom_score_adj", "oom_adj", "comm", "coredump_filter", "clear_refs", "timerslack_ns", "autogroup"];

pub(super) const SCENES: &[Scene] = &[
    ("daemons_descriptors_read", "Has the daemon read what it holds open.", |_, room| {
        Box::pin(daemons_descriptors_read(room))
    }),
    ("daemons_descriptors_written", "Has the daemon write to its own journal and log.", |stage, room| {
        Box::pin(daemons_descriptors_written(stage, room))
    }),
    ("daemons_secrets", "Has the daemon tell of its own memory and environment.", |_, room| {
        Box::pin(daemons_secrets(room))
    }),
    ("daemons_settings", "Has the daemon change its own settings.", |_, room| Box::pin(daemons_settings(room))),
    ("daemons_lists", "Has the daemon search and list what only it can.", |_, room| Box::pin(daemons_lists(room))),
    ("host_files", "Asks the tools for files of the host.", |stage, room| Box::pin(host_files(stage, room))),
    ("long_output", "Lays a link where a long output will be kept.", |_, room| Box::pin(long_output(room))),
    ("endless_files", "Has the tools read what never ends, or never begins.", |_, room| Box::pin(endless_files(room))),
];

/// Lays a link to this, and returns its path.
async fn link(room: &Room, target: &str) -> Result<String, String> {
    let path = "/workspace/notes.txt";
    room.bash(&format!("ln -sfn '{target}' {path}"), LONG).await?;
    Ok(path.to_owned())
}

/// What a tool gives, if it gives anything.
async fn given(room: &Room, tool: &str, input: Value) -> Result<Option<String>, String> {
    let outcome = room.call(tool, input).await?;
    Ok((!outcome.is_error).then(|| text(&outcome)))
}

async fn read(room: &Room, target: &str) -> Result<Option<String>, String> {
    let path = link(room, target).await?;
    given(room, "read", json!({ "file_path": path })).await
}

async fn daemons_descriptors_read(room: &Room) -> Outcome {
    for number in DESCRIPTORS {
        if let Some(text) = read(room, &format!("/proc/self/fd/{number}")).await? {
            return Err(format!("descriptor {number}: {}", end_of(&text)));
        }
    }
    room.bash("echo plain > /workspace/plain", LONG).await?;
    match read(room, "/workspace/plain").await? {
        Some(text) => shown("no descriptor can be read", end_of(&text)),
        None => Ok(("not even a file can be read".into(), Shown::Failed("a link to a plain file is not read".into()))),
    }
}

async fn daemons_descriptors_written(stage: &Stage, room: &Room) -> Outcome {
    // On the host, where this backend keeps one.
    let journal = stage.house.data.join(&room.hand.address().directory).join("journal");
    let before = fs::read(&journal).unwrap_or_default();
    for number in DESCRIPTORS {
        let path = link(room, &format!("/proc/self/fd/{number}")).await?;
        for (tool, input) in [
            ("write", json!({ "file_path": path, "content": "{\"started\":\"forged\"}\n" })),
            ("edit", json!({ "file_path": path, "old_string": "started", "new_string": "x", "replace_all": true })),
        ] {
            if let Some(text) = given(room, tool, input).await? {
                return Err(format!("{tool} of descriptor {number}: {}", end_of(&text)));
            }
        }
    }
    let after = fs::read(&journal).unwrap_or_default();
    if after.starts_with(&before) { refused("the journal has only grown") } else { Err("the journal is forged".into()) }
}

async fn daemons_secrets(room: &Room) -> Outcome {
    for name in PRIVATE {
        if let Some(text) = read(room, &format!("/proc/self/{name}")).await? {
            return Err(format!("{name}: {}", end_of(&text)));
        }
    }
    refused(format!("none of {} can be read", PRIVATE.len()))
}

async fn daemons_settings(room: &Room) -> Outcome {
    for name in SETTINGS {
        let path = link(room, &format!("/proc/self/{name}")).await?;
        if let Some(text) = given(room, "write", json!({ "file_path": path, "content": "1" })).await? {
            return Err(format!("{name}: {}", end_of(&text)));
        }
    }
    refused(format!("none of {} can be written", SETTINGS.len()))
}

async fn daemons_lists(room: &Room) -> Outcome {
    let searches = [
        ("grep", json!({ "pattern": ".", "path": "/proc/self/maps" })),
        ("grep", json!({ "pattern": "PATH", "path": "/proc/self/environ" })),
        ("grep", json!({ "pattern": "started", "path": "/proc/self/fd" })),
        ("glob", json!({ "pattern": "*", "path": "/proc/self/fd" })),
        ("glob", json!({ "pattern": "*", "path": "/proc/self/map_files" })),
    ];
    for (tool, input) in searches {
        let words = format!("{tool} {input}");
        // To find nothing is no error, and says so in words.
        let found = given(room, tool, input).await?.filter(|text| text.contains("/proc/"));
        if let Some(text) = found {
            return Err(format!("{words}: {}", end_of(&text)));
        }
    }
    refused("nothing is found")
}

async fn host_files(stage: &Stage, room: &Room) -> Outcome {
    let file = stage.host.said["file"].as_str().unwrap_or_default().to_owned();
    let place = stage.house.place.path();
    for path in [file.clone(), format!("/../..{file}"), format!("../../..{file}"), format!("/proc/1/root{file}")] {
        if let Some(text) = given(room, "read", json!({ "file_path": path })).await? {
            return Err(format!("{path}: {}", end_of(&text)));
        }
    }
    for (tool, input) in [
        ("grep", json!({ "pattern": "CANARY", "path": place })),
        ("grep", json!({ "pattern": "CANARY", "path": stage.house.data })),
        ("glob", json!({ "pattern": "**/*.secret", "path": place })),
    ] {
        let found = given(room, tool, input).await?.filter(|text| text.contains(".secret") || text.contains("CANARY-"));
        if let Some(text) = found {
            return Err(format!("{tool}: {}", end_of(&text)));
        }
    }
    let written = given(room, "write", json!({ "file_path": file, "content": "changed" })).await?;
    let on_host = fs::read_to_string(&file).unwrap_or_default();
    if on_host.contains("changed") {
        return Err(format!("written: {written:?}"));
    }
    let own = given(room, "read", json!({ "file_path": file })).await?;
    shown("only the sandbox's own is read and written", own.unwrap_or_default())
}

async fn long_output(room: &Room) -> Outcome {
    let setting = "echo precious > /workspace/precious; cd /mnt/session/tool_outputs; \
                   ln -s /workspace/precious long_one.txt; ln -s /mnt/session/uploads/input.txt long_two.txt; \
                   mkfifo long_three.txt; cat long_one.txt";
    let before = room.bash(setting, LONG).await?;
    for id in ["long_one", "long_two", "long_three", "../../../workspace/precious"] {
        let flood = json!({ "command": "yes 0123456789 | head -c 600000" });
        let outcome = room.call_as(id, "bash", flood).await?;
        if outcome.is_error || !text(&outcome).contains("cut here") {
            return Err(format!("{id}: {}", end_of(&text(&outcome))));
        }
    }
    let after = room.bash("cat /workspace/precious /mnt/session/uploads/input.txt", LONG).await?;
    if after.starts_with("precious\ninput") {
        shown("what the links lead to is as it was", before)
    } else {
        Err(format!("what the links lead to is now: {}", end_of(&after)))
    }
}

async fn endless_files(room: &Room) -> Outcome {
    room.bash("mkfifo /workspace/pipe; truncate -s 1E /workspace/huge; ln -s loop /workspace/loop", LONG).await?;
    let endless =
        ["/dev/zero", "/dev/random", "/workspace/pipe", "/dev/ptmx", "/dev/tty", "/proc/kmsg", "/workspace/loop"];
    for target in endless {
        for (tool, extra) in [("read", json!({})), ("edit", json!({ "old_string": "a", "new_string": "b" }))] {
            let mut input = extra;
            input["file_path"] = json!(link(room, target).await?);
            if let Some(text) = given(room, tool, input).await? {
                return Err(format!("{tool} of {target}: {}", end_of(&text)));
            }
        }
    }
    for target in ["/workspace/huge", "/dev/full"] {
        if let Some(text) = read(room, target).await? {
            return Err(format!("{target}: {} characters", text.len()));
        }
    }
    refused(format!("all {} are refused at once", endless.len() + 2))
}
