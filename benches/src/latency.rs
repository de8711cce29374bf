//! How much the server adds to the time in which a model begins to answer.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::baseline;
use crate::options::Options;
use crate::stage::Stage;
use crate::table::{Times, ms, row};

const WARM_UP: usize = 20;

pub(crate) async fn run(options: &Options) -> Result<()> {
    let mut stage = Stage::set(options).await?;
    let mut talk = stage.talk().await?;
    let mut previews = Times::default();
    let mut whole = Times::default();
    for turn in 0..WARM_UP + options.turns {
        let mut preview = None;
        let sent = Instant::now();
        talk.turn("hi", |frame| {
            if preview.is_none() && frame.is_preview() {
                preview = Some(sent.elapsed());
            }
        })
        .await?;
        if turn >= WARM_UP {
            whole.push(sent.elapsed());
            if let Some(preview) = preview {
                previews.push(preview.saturating_sub(stage.stub.first_byte()));
            }
        }
    }
    let direct = baseline::model(stage.stub.address, |calls| calls >= options.turns).await?;
    let alone = |of: fn(&Times) -> Duration| format!("the stub called directly: {}", ms(of(&direct)));
    let turns = format!("message to first preview, 1 session, {} turns", previews.count());
    row(&format!("{turns}, median"), &ms(previews.median()), "2 ms", &alone(Times::median));
    row(&format!("{turns}, 99th percentile"), &ms(previews.p99()), "10 ms", &alone(Times::p99));
    row("message to idle, 1 session, median", &ms(whole.median()), "", &alone(Times::median));
    if previews.count() < options.turns {
        let missed = options.turns - previews.count();
        row("turns without a preview", &missed.to_string(), "0", "");
    }
    stage.strike().await
}
