//! Hoards: one sandbox takes all there is of something, and others ask for a little of it meanwhile.

use std::time::Duration;

use crate::{
    attack::{Attack, Control},
    control::Place,
    guest,
    house::LIMITS,
    report::Row,
    room::{LONG, PLACE, Room},
    stage::Stage,
    verdict::{Shown, Verdict, end_of},
};

/// A little of something is had at once, or not at all.
const SHORT: Duration = Duration::from_secs(8);
/// Where there is none, not even the program may come to be.
const MOMENT: Duration = Duration::from_secs(2);

/// Not to be run beside anything else: what it takes may be the whole machine's.
pub(crate) async fn hoard(stage: &Stage, attack: &Attack) -> Row {
    let room = stage.room(&format!("hoarder-{}", attack.name), LIMITS).await;
    let (verdict, shown) = match held(stage, &room, attack).await {
        Ok((verdict, shown)) => (verdict, shown),
        Err(why) => (Verdict::Broke(why), Shown::None),
    };
    let verdict = stage.judge(&room, verdict).await;
    room.close(&stage.house).await;
    Row::of(attack, verdict, shown)
}

async fn held(stage: &Stage, room: &Room, attack: &Attack) -> Result<(Verdict, Shown), String> {
    let outside = Place::make(stage, attack);
    stage.neighbour.put(attack).await?;
    room.put(attack).await?;
    let words = format!("{} use", attack.file());
    let before = [outside.python(&["use"]).await, stage.neighbour.python(&words, SHORT).await?];
    if let Some(said) = before.iter().find(|said| !is_usable(said)) {
        return Ok((Verdict::Absent(format!("there is none even before: {}", end_of(said))), Shown::None));
    }
    let amount = start(room, attack).await?;
    let host = outside.python(&["use"]).await;
    let neighbour = stage.neighbour.python(&words, SHORT).await?;
    let shown = match attack.control {
        Control::Inside => match room.python(&words, MOMENT).await? {
            said if is_usable(&said) => Shown::NotHere("there is some left inside".into()),
            said => Shown::Reached(end_of(&said)),
        },
        _ => Shown::None,
    };
    room.restart().await?;
    let others = [("the host", host), ("the sandbox next door", neighbour)];
    let verdict = match others.iter().find(|(_, said)| !is_usable(said)) {
        Some((who, said)) => Verdict::Broke(format!("with {amount}, none is left for {who}: {}", end_of(said))),
        None => Verdict::Held(format!("it has {amount}, and others have theirs")),
    };
    Ok((verdict, shown))
}

/// Starts to hold, and returns what it has. Neither the waiting nor the telling needs a process or room on a disk.
async fn start(room: &Room, attack: &Attack) -> Result<String, String> {
    let file = attack.file();
    let command = format!(
        "cd {PLACE}; rm -f pause; mkfifo pause; exec 9<>pause; printf '%4096s' > told\n\
         setsid python3 {PLACE}/{file} hold 1<>told 2>/dev/null </dev/null &\n\
         for i in {{1..300}}; do\n\
           read -r line < told; case $line in HOLDING*) break;; esac; read -t 0.05 -u 9\n\
         done; exec 9>&-; echo \"${{line:0:60}}\""
    );
    let said = match room.bash(&command, LONG).await {
        Err(why) if guest::all_ended(&why) => why,
        said => said?,
    };
    let last = said.trim_end().lines().next_back().unwrap_or_default();
    // One that was ended while it took holds nothing, which is as well.
    Ok(last.strip_prefix("HOLDING ").map_or_else(|| "nothing any more".into(), |amount| amount.trim().to_owned()))
}

fn is_usable(said: &str) -> bool {
    said.trim_end().ends_with("USABLE") && !said.contains("UNUSABLE")
}
