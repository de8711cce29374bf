//! What outlives a call, a sandbox or a limit, and what is said to whoever reads along.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use hands::Spec;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{Outcome, Scene, refused, shown};
use crate::{
    attack::source,
    house::{LIMITS, SMALL},
    room::{LONG, PLACE, Room, text},
    stage::Stage,
    verdict::{Shown, end_of},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Where the next sandbox of the same name might find something.
const LEFT: &str =
    "/workspace/kept /tmp/kept /root/kept /dev/shm/kept /mnt/session/outputs/kept /usr/local/kept /var/tmp/kept";

pub(super) const SCENES: &[Scene] = &[
    ("succession", "Leaves files, processes and memory to the next sandbox of the same name.", |stage, _| {
        Box::pin(succession(stage))
    }),
    ("input_names", "Gives input files names that lead elsewhere on the host.", |stage, _| {
        Box::pin(input_names(stage))
    }),
    ("lower_layers", "Changes and removes the host's programs and settings, which lie below its own.", |_, room| {
        Box::pin(lower_layers(room))
    }),
    ("escapes", "Prints sequences that a terminal obeys.", |_, room| Box::pin(escapes(room))),
    ("escapes_of_eight_bits", "Prints the same sequences in their other spelling.", |_, room| {
        Box::pin(escapes_of_eight_bits(room))
    }),
    ("device_watch", "Watches what others do with the devices that all share.", |stage, room| {
        Box::pin(device_watch(stage, room))
    }),
];

/// Those that wait for limits.
pub(super) const SLOW_SCENES: &[Scene] = &[
    ("runaways", "Leaves processes running that a cancelled call should take with it.", |_, room| {
        Box::pin(runaways(room))
    }),
    ("broken_shells", "Breaks the shell in every way that a command can.", |_, room| Box::pin(broken_shells(room))),
    ("kept_memory", "Fills the sandbox's memory with what is left when all its processes are ended.", |stage, _| {
        Box::pin(kept_memory(stage))
    }),
];

async fn succession(stage: &Stage) -> Outcome {
    let first = stage.room("session-first", LIMITS).await;
    let token = stage.house.token("succession");
    let plant = format!(
        "echo {token} | tee {LEFT}; export KEPT={token}; ln -sf /workspace/kept /etc/motd; ipcmk -M 4096; \
         (setsid sleep 600 &)"
    );
    let planted = first.bash(&plant, PATIENCE).await?;
    let second = Room::open(&stage.house, "session-first", LIMITS).await;
    let search = format!(
        "cat {LEFT} /etc/motd; echo $KEPT; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' ' '; ipcs -m; env; \
         ls -A /workspace /tmp"
    );
    let found = second.bash(&search, PATIENCE).await?;
    let late = first.bash("echo still here", PATIENCE).await;
    second.close(&stage.house).await;
    if found.contains(&stage.house.secret) || found.contains("sleep 600") {
        return Err(format!("found: {}", end_of(&found)));
    }
    if late.is_ok() {
        return Err("the first one still answers".into());
    }
    shown("nothing is found", end_of(&planted))
}

async fn input_names(stage: &Stage) -> Outcome {
    let names = [
        "../attacked",
        "/../attacked",
        "../../attacked",
        "/../../../attacked",
        "a/../../attacked",
        "/a/../../../attacked",
        "./../attacked",
        "a/./../../attacked",
        "..",
        ".",
        "",
        "/",
        "//",
        "a/..",
        "attacked\0/../../x",
        "a/",
    ];
    let mut taken = Vec::new();
    for name in names {
        let uploads = vec![(stage.house.input.clone(), name.to_owned())];
        let spec = Spec { name: "session-inputs".into(), uploads, limits: LIMITS, ..Spec::default() };
        let made =
            timeout(LONG, stage.house.sandbox.provision(&spec, 1)).await.map_err(|_| format!("{name:?} hangs"))?;
        if made.is_ok() {
            taken.push(name);
        }
        let stray = strays(stage.house.place.path());
        stage.house.sandbox.destroy("session-inputs", None).await.map_err(|error| error.to_string())?;
        if let Some(stray) = stray.first() {
            return Err(format!("{name:?} makes {}", stray.display()));
        }
    }
    match taken.as_slice() {
        [] => refused(format!("all {} are refused", names.len())),
        taken => Err(format!("taken: {taken:?}")),
    }
}

/// Files of that name anywhere but among the input files.
fn strays(place: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![place.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name() != "base" {
                waiting.push(path);
            } else if entry.file_name() == "attacked" && !path.iter().any(|part| part == "uploads") {
                found.push(path);
            }
        }
    }
    found
}

async fn lower_layers(room: &Room) -> Outcome {
    let command = "echo changed >> /usr/bin/env; chmod 777 /usr/bin/env; touch -d 2001-01-01 /usr/lib/os-release; \
                   mv /usr/bin/env /usr/bin/env.moved; rm -f /usr/bin/env /usr/lib/os-release; \
                   echo changed >> /etc/hosts; echo changed >> /etc/passwd; chmod 777 /usr/bin; touch /usr/bin/added; \
                   mkdir /usr/added; ln -sf /workspace /usr/lib/added; test ! -e /usr/bin/env && tail -n 1 /etc/hosts";
    let said = room.bash(command, PATIENCE).await?;
    // What became of the host's is seen by whoever compares it before and after.
    if said.trim_end().ends_with("changed") {
        shown("the sandbox has changed its own", end_of(&said))
    } else {
        Ok((format!("not even its own: {}", end_of(&said)), Shown::None))
    }
}

async fn runaways(room: &Room) -> Outcome {
    // Out of its group, its session, its parent's care and its signals' reach; one that makes ever new ones.
    let program = r#"import ctypes, os, signal, sys, time
ctypes.CDLL(None).prctl(36, 1)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
    signal.signal(number, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            os.execvp("sleep", ["sleep", "7171.71"])
        os._exit(0)
if os.fork() == 0:
    os.setsid()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            if os.fork():
                os._exit(0)
        except OSError:
            pass
        time.sleep(0.002)
open("/workspace/ready", "w").close()
time.sleep(7171.71)
"#;
    room.write("runaways.py", program).await?;
    let command = format!("(trap '' TERM HUP INT; setsid nohup sleep 7171.71 &) ; python3 {PLACE}/runaways.py");
    let long = room.call_as("runaways", "bash", json!({ "command": command }));
    let cancel = async {
        for _ in 0..200 {
            let seen = room.call("glob", json!({ "pattern": "/workspace/ready" })).await?;
            if text(&seen).contains("/workspace/ready") {
                // Long enough for those to be there that it has only just made.
                sleep(Duration::from_millis(200)).await;
                return room.hand.cancel("runaways").await.map_err(|lost| lost.to_string());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err("it does not even begin".to_owned())
    };
    let (ended, cancelled) = tokio::join!(timeout(PATIENCE, long), cancel);
    cancelled?;
    let ended = ended.map_err(|_| "the cancelled call does not end".to_owned())??;
    // The letter in brackets keeps the search from finding itself.
    let search = "grep -la '7171[.]71\\|runaway[s]' /proc/[0-9]*/cmdline 2> /dev/null; true";
    let left = room.bash(search, PATIENCE).await?;
    if left.contains("/proc/") {
        return Err(format!("left running: {}", end_of(&left)));
    }
    shown("none is left", end_of(&text(&ended)))
}

async fn broken_shells(room: &Room) -> Outcome {
    let commands = [
        "exit 3",
        "exec true",
        "exec 0<&-",
        "exec 1>&- 2>&-",
        "for n in {3..255}; do eval \"exec $n>&-\"; done",
        "kill -9 $$",
        "kill -STOP $$",
        "ulimit -n 0",
        "ulimit -f 0",
        "ulimit -v 1000",
        "trap 'sleep 100' EXIT; exit",
        "trap '' TERM INT HUP; trap 'exit 1' DEBUG",
        "set -n",
        "set -e; false",
        "set -u -o pipefail; PATH=; unset HOME IFS; IFS=x",
        "eval() { :; }; printf() { exit 9; }; command() { exit 9; }; echo() { exit 9; }; readonly -f printf command",
        "enable -n printf eval command echo",
        "alias printf=exit eval=exit; shopt -s expand_aliases",
        "PROMPT_COMMAND='exit 1'; BASH_ENV=/dev/zero; ENV=/dev/zero",
        "'",
        "\"",
        "$(",
        "cat <<END",
        "}; exit 7; {",
        "\\",
        "# \\",
        ")",
        "\n\n\nprintf '\\n%s %d\\n' 00000000000000000000000000000000 0 >&0",
        "printf '\\n%032d 0\\n' 0 >&10; printf '\\n%032d 0\\n' 0 >&11; printf '\\n%032d 0\\n' 0 >&255",
        "while read -r line <&10; do :; done",
        "readonly BASH_COMMAND LINENO _; declare -r '?=1'",
        "function exec { :; }; builtin exec 3>&-; coproc cat; disown -a; suspend -f",
    ];
    for command in commands {
        // Its own limit is the way out of those that wait.
        room.bash(command, Duration::from_millis(1_000)).await.map_err(|why| format!("{command:?}: {why}"))?;
        room.goes_on().await.map_err(|why| format!("{command:?}: {why}"))?;
    }
    refused(format!("the session goes on after each of {}", commands.len()))
}

async fn escapes(room: &Room) -> Outcome {
    let command = r"printf '\033]0;title\007\033[31m\033[2J\033[6n\033P+q544e\033\\\033]52;c;aGk=\007\033[?1049h\033c';
        printf '\033'; printf '[31m'; printf 'a\033'; sleep 0.1; printf ']52;c;aGk=\007b';
        printf '\033]8;;file:///etc/passwd\033\\link\033]8;;\033\\'; printf '\033\033\033[31m\033[\033]\033\033\\';
        printf '\033_x\033\\\033^y\033\\\033X z\033\\'; printf '\033[31;\0331;1mz\033%%G\033(0\n'; printf 'end\n\033'";
    let said = room.bash(command, PATIENCE).await?;
    if said.contains('\u{1b}') || !said.contains("end") {
        return Err(format!("{said:?}"));
    }
    let raw = room.bash(r"printf '\033[31m' | od -An -tx1", PATIENCE).await?;
    shown("no sequence is left", format!("the command printed {}", raw.trim()))
}

async fn escapes_of_eight_bits(room: &Room) -> Outcome {
    let command = r"printf '\233[31m \302\23331m \302\235 52;c;aGk=\302\234 \302\220+q544e\302\234 \302\205 end\n'";
    let said = room.bash(command, PATIENCE).await?;
    match said.chars().find(|letter| ('\u{80}'..='\u{9f}').contains(letter)) {
        Some(letter) => Err(format!("{letter:?} in {said:?}")),
        None => refused("no sequence is left"),
    }
}

async fn kept_memory(stage: &Stage) -> Outcome {
    let room = stage.room("session-kept", SMALL).await;
    let went = fill_memory(&room).await;
    let goes_on = room.goes_on().await;
    room.close(&stage.house).await;
    match (went, goes_on) {
        (Ok(said), Ok(())) => Ok((format!("the session goes on: {said}"), Shown::None)),
        (Err(why), _) | (Ok(_), Err(why)) => Err(why),
    }
}

/// With shared segments first, which have no owner, and then with files, as long as a shell can be had to write them.
async fn fill_memory(room: &Room) -> Result<String, String> {
    room.write("kept_segments.py", &source("staged/kept_segments.py")).await?;
    let mut said = room.python("kept_segments.py", Duration::from_secs(4)).await?;
    let fill = "x=$(printf '%65536s'); for i in {1..2000}; do printf '%s' \"$x\" >> /dev/shm/fill || break; done";
    for _ in 0..4 {
        said = room.bash(fill, Duration::from_secs(3)).await?;
    }
    Ok(end_of(&said))
}

async fn device_watch(stage: &Stage, room: &Room) -> Outcome {
    room.write("watch.py", &source("staged/watch.py")).await?;
    let start = format!(
        "cd {PLACE}; touch /workspace/own; setsid python3 watch.py /workspace/own > watch.txt 2>&1 < /dev/null &\n\
         for i in {{1..100}}; do grep -q READY {PLACE}/watch.txt && break; sleep 0.05; done; cat /workspace/own"
    );
    room.bash(&start, PATIENCE).await?;
    for device in ["/dev/full", "/dev/zero", "/dev/random"] {
        drop(File::open(device));
        stage.neighbour.bash(&format!(": < {device}"), PATIENCE).await?;
    }
    let end = format!(
        "sleep 0.3; touch /workspace/own.enough; for i in {{1..100}}; do grep -q DONE {PLACE}/watch.txt && break; \
         sleep 0.05; done; cat {PLACE}/watch.txt"
    );
    let said = room.bash(&end, PATIENCE).await?;
    if said.contains("SEEN /dev/") {
        return Err(format!("what others do is seen: {}", end_of(&said)));
    }
    let own = if said.contains("SEEN /workspace/own") { Shown::Reached(end_of(&said)) } else { Shown::Failed(said) };
    Ok(("what others do is not seen".into(), own))
}
