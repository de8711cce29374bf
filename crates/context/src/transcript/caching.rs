//! How much of a session's requests a provider finds in its prompt cache.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use model::{Request, Tool, anthropic};
use serde_json::{Value, json};
use session::{Note, Row};

use super::Transcript;
use crate::testing::{bash, instruction, note, result, says, user};

/// Blocks that the Messages API tries before a mark.
const LOOKBACK: usize = 20;

/// A block of a request as the provider compares it, and whether it is marked.
type Block = (String, bool);

/// The blocks of a request in the order in which the provider reads them.
fn blocks(body: &[u8]) -> Vec<Block> {
    let body: Value = serde_json::from_slice(body).unwrap();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut blocks: Vec<Block> = list(&body["tools"]).into_iter().map(|tool| unmarked("tool", tool)).collect();
    blocks.extend(list(&body["system"]).into_iter().map(|block| unmarked("prompt", block)));
    for message in list(&body["messages"]) {
        let role = message["role"].as_str().unwrap();
        blocks.extend(list(&message["content"]).into_iter().map(|block| unmarked(role, block)));
    }
    blocks
}

fn unmarked(role: &str, mut block: Value) -> Block {
    let is_marked = block.as_object_mut().unwrap().remove("cache_control").is_some();
    (format!("{role} {block}"), is_marked)
}

/// A provider's cache: it keeps what stands before every mark, and looks for it at every mark and a little before it.
#[derive(Default)]
struct Cache {
    kept: HashSet<u64>,
}

impl Cache {
    /// How much of the request is read from the cache.
    fn read(&mut self, blocks: &[Block]) -> usize {
        let mut hasher = DefaultHasher::new();
        let mut length = 0;
        let mut prefixes = Vec::new();
        for (text, _) in blocks {
            text.hash(&mut hasher);
            length += text.len();
            prefixes.push((hasher.finish(), length));
        }
        let marks: Vec<usize> = (0..blocks.len()).filter(|place| blocks[*place].1).collect();
        let tried = marks.iter().flat_map(|mark| mark.saturating_sub(LOOKBACK - 1)..=*mark);
        let found = tried.filter(|place| self.kept.contains(&prefixes[*place].0)).max();
        self.kept.extend(marks.iter().map(|mark| prefixes[*mark].0));
        found.map_or(0, |place| prefixes[place].1)
    }
}

/// A session in progress, and the provider that it asks.
#[derive(Default)]
struct Session {
    transcript: Transcript,
    rows: u64,
    cache: Cache,
    sent: usize,
    read: usize,
    /// The length of the last request.
    last: usize,
}

impl Session {
    fn log(&mut self, row: impl FnOnce(u64) -> Row) -> u64 {
        self.rows += 1;
        self.transcript.push(&row(self.rows));
        self.rows
    }

    /// Asks the model. Returns how much of the request was read from the cache, and how long the last request was.
    fn ask(&mut self) -> (usize, usize) {
        let tool = Tool {
            name: "bash".into(),
            description: "Runs a command. ".repeat(20),
            input_schema: json!({"type": "object"}),
        };
        let request = Request {
            model: "model-1".into(),
            system: "Be brief. ".repeat(40),
            messages: self.transcript.messages(),
            tools: vec![tool],
            max_tokens: 1_000,
            effort: None,
        };
        let blocks = blocks(&anthropic::body(&request).unwrap());
        let length = blocks.iter().map(|(text, _)| text.len()).sum();
        let read = self.cache.read(&blocks);
        self.sent += length;
        self.read += read;
        (read, std::mem::replace(&mut self.last, length))
    }

    /// A turn with one answer that calls tools, and one that does not.
    fn turn(&mut self, turn: usize, calls: usize) {
        self.log(|at| user(at, &format!("Request {turn}. {}", "Do it well. ".repeat(20))));
        if turn % 7 == 3 {
            self.log(|at| instruction(at, "Be brief."));
        }
        let (read, last) = self.ask();
        assert_eq!(read, last, "turn {turn}: all of the last request is read from the cache");
        self.log(|at| says(at, "I look into it."));
        let uses: Vec<u64> = (0..calls).map(|call| self.log(|at| bash(at, &format!("toolu_{turn}_{call}")))).collect();
        for of in uses {
            self.log(|at| result(at, of, &"output ".repeat(90)));
        }
        let (read, last) = self.ask();
        assert_eq!(read, last, "turn {turn}: all of the last request is read from the cache");
        self.log(|at| says(at, "It is done."));
    }
}

#[test]
fn nine_tenths_of_a_long_session_are_read_from_the_cache() {
    let mut session = Session::default();
    for turn in 0..40 {
        // Now and then more calls at once than the provider looks back.
        session.turn(turn, if turn % 10 == 9 { 30 } else { 1 + turn % 3 });
    }
    let share = session.read as f64 / session.sent as f64;
    assert!(share >= 0.9, "{share}");
}

#[test]
fn clearing_results_costs_the_cache_once() {
    let mut session = Session::default();
    (0..6).for_each(|turn| session.turn(turn, 2));
    session.log(|at| note(at, Note::Cleared { before: at / 2 }));
    session.log(|at| user(at, "And now?"));
    let (read, last) = session.ask();
    assert!(read > 0 && read < last / 2, "tools and system prompt are as they were, and little else: {read} of {last}");
    session.log(|at| says(at, "Now this."));
    session.turn(6, 2);
}
