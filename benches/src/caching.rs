//! How much of a session's input a provider reads from its prompt cache, which is most of what a long session costs.

mod provider;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use self::provider::Provider;
use crate::answer::CALL_A_TOOL;
use crate::options::Options;
use crate::server::Variables;
use crate::stage::Stage;
use crate::stub::Stub;
use crate::table::row;

/// Few enough that a quick run need not have fewer.
const TURNS: usize = 40;

/// The one whose marks the provider here understands.
const MODEL: &str = "claude-bench";

pub(crate) async fn run(options: &Options) -> Result<()> {
    let provider = Arc::new(Provider::default());
    let stub = Stub::play(Arc::clone(&provider)).await?;
    let mut stage = Stage::set_with(options, stub, MODEL, Variables::new()).await?;
    let mut talk = stage.talk().await?;
    let mut told = None;
    for turn in 1..=TURNS {
        let text = format!(
            "Step {turn} of {TURNS}: {CALL_A_TOOL} and look at what it prints. Compare it with what it printed in the \
             step before, and say in two or three sentences what is the same and what is not."
        );
        talk.turn(&text, |frame| {
            if frame.name == "session.usage" {
                told = Some(frame.data.to_owned());
            }
        })
        .await?;
    }
    let told = told.context("the session told no usage")?;
    let (input, read) = input(&told)?;
    let counted = provider.counted();
    ensure!(input == counted.input, "the session tells of {input} input tokens, the provider of {}", counted.input);

    let share = |part: u64| part as f64 / input as f64;
    let figure = format!("one session, {TURNS} turns with a tool call each, {} requests", counted.requests);
    let best = share(counted.possible);
    let times = share(read) / best;
    let told = format!("a cache that needs no marks: {:.1} %; {times:.3} times that", best * 100.0);
    let measured = format!("{:.1} %", share(read) * 100.0);
    row(&format!("{figure}: input tokens read from the cache"), &measured, "90 %", &told);
    stage.strike().await
}

/// All input tokens of a `session.usage` event, and those that were read from the cache.
fn input(event: &str) -> Result<(u64, u64)> {
    let event: Value = serde_json::from_str(event)?;
    let usage = &event["usage"];
    let count = |value: &Value| value.as_u64().with_context(|| format!("a count is missing in {event}"));
    let written = &usage["cache_creation"];
    let read = count(&usage["cache_read_input_tokens"])?;
    let input = count(&usage["input_tokens"])?
        + read
        + count(&written["ephemeral_5m_input_tokens"])?
        + count(&written["ephemeral_1h_input_tokens"])?;
    Ok((input, read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_input_counts_whether_it_was_cached_or_not() {
        let usage = r#"{"usage":{"input_tokens":1,"output_tokens":9,"cache_read_input_tokens":20,
            "cache_creation":{"ephemeral_5m_input_tokens":300,"ephemeral_1h_input_tokens":4000}}}"#;
        assert_eq!(input(usage).unwrap(), (4_321, 20));
        assert!(input(r#"{"usage":{}}"#).is_err());
    }
}
