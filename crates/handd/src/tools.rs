//! The tools: what the model may ask of the sandbox.

mod bash;
mod edit;
mod files;
mod glob;
mod grep;
mod input;
mod media;
mod notebook;
mod read;
mod write;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hand_protocol::{Content, Execute, Outcome};

use crate::{
    cancel::{Cancel, INTERRUPTED},
    clock,
    limits::{Allowance, Limits},
    overflow,
    places::Places,
    shell,
};

/// How long a tool may take that has no limit of its own.
const LIMIT: Duration = Duration::from_secs(120);

/// What tools work with.
#[derive(Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) places: &'a Places,
    pub(crate) shell: &'a shell::Handle,
    pub(crate) limits: &'a Limits,
}

/// One call, on its way through a tool.
struct Call<'a> {
    id: &'a str,
    places: &'a Places,
    cancel: Arc<Cancel>,
    /// The tool's own.
    deadline: Instant,
    /// What no tool can exceed.
    allowance: Allowance,
}

/// Why a tool gave no result, in the words that the model reads.
#[derive(Debug, PartialEq, Eq)]
struct Failed(String);

type Result = std::result::Result<Outcome, Failed>;

/// Runs a call to its end. Whatever goes wrong is an outcome too.
pub(crate) fn run(bench: Bench<'_>, execute: &Execute, cancel: Arc<Cancel>) -> Outcome {
    let deadline = clock::now() + LIMIT;
    let allowance = bench.limits.allowance();
    let call = Call { id: &execute.call, places: bench.places, cancel, deadline, allowance };
    let input = &execute.input;
    let result = match execute.tool.as_str() {
        "bash" => bash::run(&call, bench.shell, input),
        "read" => read::run(&call, input),
        "write" => write::run(&call, input),
        "edit" => edit::run(&call, input),
        "glob" => glob::run(&call, input),
        "grep" => grep::run(&call, input),
        other => Err(Failed(format!("unknown tool: {other}"))),
    };
    let outcome = result.unwrap_or_else(|Failed(message)| Outcome::error(message));
    bench.limits.explain(fit(outcome, &call), bench.places)
}

/// Sees to it that no text is empty or too long.
fn fit(outcome: Outcome, call: &Call<'_>) -> Outcome {
    let fit = |content| match content {
        Content::Text { text } => Content::Text { text: overflow::fit(&call.places.overflow, call.id, text) },
        other => other,
    };
    Outcome { content: outcome.content.into_iter().map(fit).collect(), ..outcome }
}

impl Call<'_> {
    /// For long loops: an error once the call was cancelled, or has taken too long.
    fn check(&self) -> std::result::Result<(), Failed> {
        if self.cancel.is_set() {
            return Err(Failed(INTERRUPTED.to_owned()));
        }
        if self.allowance.is_over() {
            return Err(Failed(self.allowance.words()));
        }
        if clock::now() >= self.deadline {
            return Err(Failed(format!("the tool took longer than {}s and was stopped", LIMIT.as_secs())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
