//! A model with the provider's prompt cache: it keeps prefixes that end in a mark, and finds one again if it is the
//! same to the byte.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::{Act, Answer, Usage, wants_tool};
use crate::stub::{Asked, Model};

/// Blocks before a mark at which a prefix that is kept is still found.
const LOOK_BACK: usize = 20;

/// Characters of a token, about.
const TOKEN: usize = 4;

const COMMAND: Act<'static> = Act::Call(r#"{"command":"seq --format='line %g of what a step prints' 1 30"}"#);

const REMARK: Act<'static> = Act::Say(
    "The output has thirty lines, ",
    "as in the step before, and each of them has the same words around its number. Nothing was left out and nothing \
     came twice. So the two outputs are the same from the first line to the last, and the next step can go on from \
     here without another look at this one.",
);

#[derive(Default)]
pub(crate) struct Provider(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Prefixes that ended in a mark.
    marked: HashSet<u64>,
    /// Every prefix that there was.
    all: HashSet<u64>,
    counted: Counted,
}

/// Tokens over all requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) requests: u64,
    pub(crate) input: u64,
    /// What would have been read if every prefix were kept, marked or not.
    pub(crate) possible: u64,
}

/// A request up to the end of one of its blocks.
struct Prefix {
    hash: u64,
    tokens: u64,
    is_marked: bool,
}

impl Provider {
    pub(crate) fn counted(&self) -> Counted {
        self.0.lock().counted
    }

    fn usage(&self, body: &[u8]) -> Result<Usage> {
        let prefixes = prefixes(body)?;
        let total = prefixes.last().map_or(0, |prefix| prefix.tokens);
        let mut kept = self.0.lock();
        let (mut read, mut written_to) = (0, 0);
        for (index, mark) in prefixes.iter().enumerate().filter(|(_, prefix)| prefix.is_marked) {
            let looked_at = prefixes.iter().take(index + 1).skip(index.saturating_sub(LOOK_BACK));
            let found = looked_at.filter(|prefix| kept.marked.contains(&prefix.hash)).map(|prefix| prefix.tokens);
            read = found.fold(read, u64::max);
            written_to = mark.tokens;
        }
        let possible = prefixes.iter().filter(|prefix| kept.all.contains(&prefix.hash)).map(|prefix| prefix.tokens);
        let possible = possible.max().unwrap_or(0);
        kept.counted.requests += 1;
        kept.counted.input += total;
        kept.counted.possible += possible;
        kept.marked.extend(prefixes.iter().filter(|prefix| prefix.is_marked).map(|prefix| prefix.hash));
        kept.all.extend(prefixes.iter().map(|prefix| prefix.hash));
        // The last mark is never before what was found: that was at it or further back, or at an earlier mark.
        Ok(Usage { input: total - written_to, cache_read: read, cache_written: written_to - read })
    }
}

impl Model for Provider {
    async fn answer(&self, asked: &Asked<'_>) -> Result<Answer> {
        let usage = self.usage(asked.body)?;
        let act = if wants_tool(asked.body) { COMMAND } else { REMARK };
        Ok(Answer::new(asked.dialect, &act, usage, asked.serial))
    }
}

/// A request's blocks as they were sent, in the order in which the provider reads them.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    tools: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    system: Vec<&'a RawValue>,
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    role: &'a str,
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
}

fn prefixes(body: &[u8]) -> Result<Vec<Prefix>> {
    let request: Request<'_> = serde_json::from_slice(body).context("not a request with lists of blocks")?;
    let tools = request.tools.into_iter().map(|block| ("tools", block));
    let system = request.system.into_iter().map(|block| ("system", block));
    let messages = request.messages.into_iter();
    let messages = messages.flat_map(|Message { role, content }| content.into_iter().map(move |block| (role, block)));
    // One hash from the beginning on: what it is after a block stands for everything up to there.
    let mut hasher = DefaultHasher::new();
    let (mut characters, mut prefixes) = (0, Vec::new());
    for (place, block) in tools.chain(system).chain(messages) {
        let (text, is_marked) = unmarked(block.get());
        hasher.write(place.as_bytes());
        hasher.write_u8(0);
        hasher.write(text.as_bytes());
        hasher.write_u8(0);
        characters += text.chars().count();
        let tokens = u64::try_from(characters / TOKEN)?;
        prefixes.push(Prefix { hash: hasher.finish(), tokens, is_marked });
    }
    Ok(prefixes)
}

/// The block without its mark, and whether it had one: the mark may move from request to request, all else may not.
fn unmarked(block: &str) -> (String, bool) {
    let without = block.rfind(r#","cache_control":{"#).and_then(|start| {
        let (before, mark) = block.split_at_checked(start)?;
        let mark = format!("{{{}", mark.strip_prefix(',')?);
        // A mark inside the block, on a part of it, is followed by more than the end of the block.
        let mark: Value = serde_json::from_str(&mark).ok()?;
        (mark.as_object()?.len() == 1).then(|| format!("{before}}}"))
    });
    match without {
        Some(without) => (without, true),
        None => (block.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(text: &str) -> String {
        json!({"type": "text", "text": text}).to_string()
    }

    fn mark(block: &str) -> String {
        format!(r#"{},"cache_control":{{"type":"ephemeral"}}}}"#, block.trim_end_matches('}'))
    }

    fn ask(provider: &Provider, system: &str, blocks: &[String]) -> Usage {
        let messages: Vec<String> =
            blocks.iter().map(|block| format!(r#"{{"role":"user","content":[{block}]}}"#)).collect();
        let body = format!(r#"{{"model":"m","system":[{system}],"messages":[{}]}}"#, messages.join(","));
        provider.usage(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_mark_is_taken_off_and_nothing_else() {
        let block = text(r#"a text with ,"cache_control":{ in it}"#);
        assert_eq!(unmarked(&block), (block.clone(), false));
        let whole = r#"{"type":"tool_result","content":[{"type":"text","text":"x"}]}"#;
        let marked = r#"{"type":"tool_result","content":[{"type":"text","text":"x"}],"cache_control":{"type":"x"}}"#;
        assert_eq!(unmarked(marked), (whole.to_owned(), true));
        let inner = r#"{"type":"tool_result","content":[{"type":"text","text":"x","cache_control":{"type":"x"}}]}"#;
        assert_eq!(unmarked(inner), (inner.to_owned(), false));
    }

    #[test]
    fn what_was_marked_is_read_again_and_what_was_not_is_written() {
        let provider = Provider::default();
        let (first, second) = (text(&"a".repeat(400)), text(&"b".repeat(400)));
        let begun = ask(&provider, &text("s"), &[mark(&first)]);
        assert_eq!((begun.input, begun.cache_read), (0, 0));
        let grown = ask(&provider, &text("s"), &[first.clone(), mark(&second)]);
        assert_eq!(grown.cache_read, begun.cache_written, "the mark has moved on");
        assert!(grown.cache_written > 100);
        let other = ask(&provider, &text("S"), &[first, mark(&second)]);
        assert_eq!(other.cache_read, 0, "one byte near the beginning is another prefix");
        assert_eq!(provider.counted().input, begun.total() + grown.total() + other.total());
    }

    #[test]
    fn a_prefix_further_back_than_the_provider_looks_is_not_found() {
        for (between, is_found) in [(LOOK_BACK - 1, true), (LOOK_BACK, false)] {
            let provider = Provider::default();
            let first = text("first");
            ask(&provider, &text("s"), &[mark(&first)]);
            let more = (0..between).map(|number| text(&number.to_string()));
            let last = mark(&text("last"));
            let blocks: Vec<String> = std::iter::once(first).chain(more).chain([last]).collect();
            let usage = ask(&provider, &text("s"), &blocks);
            assert_eq!(usage.cache_read > 0, is_found, "{between} blocks between the marks");
            assert!(provider.counted().possible > 0, "a cache that needs no marks has it");
        }
    }
}
