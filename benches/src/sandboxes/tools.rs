//! Tools that look into much, beside the programs that people use for it.

use std::time::Duration;

use anyhow::{Result, ensure};
use hands::{Hand, Sandbox, Spec};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::find;
use super::room::{Room, call, command, spec};
use crate::table::{Times, ms, row};

const REPEATS: usize = 20;

/// A file of ten megabytes, and fifty thousand small ones of which every hundredth holds the word.
const MAKE: &str = "cd /workspace && seq -f 'line %.0f of a long file that somebody reads from' 1 220000 > long.txt && \
                    mkdir many && python3 - <<'END'\n\
                    import os\n\
                    for number in range(50000):\n\
                    \x20   place = f'/workspace/many/{number % 100}'\n\
                    \x20   os.makedirs(place, exist_ok=True)\n\
                    \x20   word = 'needle' if number % 100 == 7 else 'hay'\n\
                    \x20   with open(f'{place}/{number}.txt', 'w') as file: file.write(f'some text\\nwith {word}\\nin it\\n')\n\
                    END";

pub(super) async fn run(room: &Room) -> Result<()> {
    let rg = find("rg");
    let uploads = rg.iter().map(|rg| (rg.clone(), "/rg".to_owned())).collect();
    let hand = room.make(&Spec { uploads, ..spec("tools") }).await?;
    command(&*hand, MAKE).await?;

    let view = json!({ "file_path": "/workspace/long.txt", "view_range": [200_000, 200_050] });
    let viewed = tool(&*hand, "read", view).await?;
    let sed = shell(&*hand, "sed -n '200000,200050p;200050q' /workspace/long.txt").await?;
    compare("`read` of 51 lines deep in a file of 10 MB, median", viewed, "`sed -n` in the same sandbox", sed);

    let searched = tool(&*hand, "grep", json!({ "pattern": "needle", "path": "/workspace/many" })).await?;
    let (name, program) = match rg {
        Some(_) => {
            command(&*hand, "cp /mnt/session/uploads/rg /workspace/rg && chmod +x /workspace/rg").await?;
            ("`rg -l`", "/workspace/rg -l")
        }
        None => ("`grep -rl` (there is no `rg` here)", "grep -rl"),
    };
    let line = &format!("{program} needle /workspace/many | sort | head -n 100");
    ensure!(command(&*hand, line).await?.contains(".txt"), "{name} finds nothing");
    let theirs = shell(&*hand, line).await?;
    compare("`grep` over 50,000 files, median", searched, &format!("{name} in the same sandbox"), theirs);
    room.sandbox.destroy("tools", None).await?;
    Ok(())
}

fn compare(figure: &str, ours: Duration, other: &str, theirs: Duration) {
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    row(figure, &format!("{}, {ratio:.2} times the other", ms(ours)), "1.5 times", &format!("{other}: {}", ms(theirs)));
}

async fn tool(hand: &dyn Hand, name: &str, input: Value) -> Result<Duration> {
    let mut times = Times::default();
    for _ in 0..REPEATS {
        let started = Instant::now();
        call(hand, name, input.clone()).await?;
        times.push(started.elapsed());
    }
    Ok(times.median())
}

/// The program's own time as a call of bash, which costs both the same to ask for.
async fn shell(hand: &dyn Hand, line: &str) -> Result<Duration> {
    tool(hand, "bash", json!({ "command": line })).await
}
