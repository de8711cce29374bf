//! What a tool call costs: the first one of a session, which makes its sandbox, and the ones after it.

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use crate::answer::CALL_A_TOOL;
use crate::baseline;
use crate::options::Options;
use crate::stage::{Stage, Talk};
use crate::table::{Times, ms, row};

pub(crate) async fn run(options: &Options) -> Result<()> {
    let mut stage = Stage::set(options).await?;
    // The first sandbox of a server's life also prepares what all of them share.
    let mut talk = stage.talk().await?;
    let mut of_server = Times::default();
    call(&mut talk, &mut of_server).await?;
    forget(&mut stage, talk).await?;

    let mut fresh = Times::default();
    for _ in 0..options.fresh_calls {
        let mut talk = stage.talk().await?;
        call(&mut talk, &mut fresh).await?;
        forget(&mut stage, talk).await?;
    }

    let mut talk = stage.talk().await?;
    call(&mut talk, &mut Times::default()).await?;
    let mut warm = Times::default();
    for _ in 0..options.warm_calls {
        call(&mut talk, &mut warm).await?;
    }
    forget(&mut stage, talk).await?;

    let bare = baseline::bash(options.warm_calls)?;
    let baseline = format!("bare `bash -c 'echo hi'`: {}", ms(bare.median()));
    row("first tool call of a server's life, use to result", &ms(of_server.median()), "", &baseline);
    let figure = format!("first tool call of a session, {} sessions, median", fresh.count());
    row(&figure, &ms(fresh.median()), "20 ms", &baseline);
    let figure = format!("warm tool call, {} calls, median", warm.count());
    row(&figure, &ms(warm.median()), "bare + 2 ms", &baseline);
    let over = (warm.median().as_secs_f64() - bare.median().as_secs_f64()) * 1e3;
    row("warm tool call over the bare one, median", &format!("{over:+.2} ms"), "2 ms", &baseline);
    stage.strike().await
}

/// One turn with one call of bash: the time from its use to its result, as a client sees them.
async fn call(talk: &mut Talk, times: &mut Times) -> Result<()> {
    let (mut used_at, mut took, mut error) = (None, None, None);
    talk.turn(CALL_A_TOOL, |frame| match frame.name {
        "agent.tool_use" => used_at = Some(Instant::now()),
        "agent.tool_result" => {
            took = used_at.map(|at: Instant| at.elapsed());
            if frame.data.contains("\"is_error\":true") {
                error = Some(frame.data.to_owned());
            }
        }
        _ => {}
    })
    .await?;
    ensure!(error.is_none(), "the tool call failed: {}", error.unwrap_or_default());
    times.push(took.context("the turn held no tool call")?);
    Ok(())
}

/// Deletes the session, so that the sandboxes of one measurement do not weigh on the next.
async fn forget(stage: &mut Stage, talk: Talk) -> Result<()> {
    stage.client.delete(&format!("/v1/sessions/{}", talk.session)).await
}
