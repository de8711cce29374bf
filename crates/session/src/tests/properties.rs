//! Whatever happens, in whatever order, the log stays sound.

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::{Index, select};
use wire::EventId;
use wire::event::{ClientEvent, Event, Permission, Verdict};
use wire::session::Status;

use super::audit::Audit;
use super::play::{LIMITS, Play, TOKENS};
use super::words::{
    asks, bash, confirmation, custom, custom_result, denied, id, judged, message, snapshot, system, text, unknown,
};
use crate::{Change, Cost, Entry, Limits, Phase, Said, Spent, Tokens, Window};

/// What the session and its brain are given.
#[derive(Debug, Clone)]
struct World {
    /// In cents.
    budget: Option<u64>,
    limits: Limits,
}

/// What happens next.
#[derive(Debug, Clone)]
enum Line {
    /// A client sends these in one request, perhaps with a system message behind them.
    Sends {
        words: Vec<Word>,
        instructs: bool,
    },
    Archives,
    Updates,
    /// The budget is set to so many cents, or removed.
    Allots(Option<u64>),
    /// The agent is given other tools.
    Equips,
    Hears,
    Answers {
        blocks: Vec<Block>,
        /// In tokens.
        held: u64,
        is_priced: bool,
    },
    Refuses(Vec<Block>),
    Compacts,
    Fails {
        for_good: bool,
    },
    Overflows,
    ToolEnds {
        call: usize,
        is_error: bool,
    },
    Provisions,
    LosesHand,
    Retries,
    Collects,
    Dies,
}

/// What a client says. A call is one of those that are open, or else an earlier one.
#[derive(Debug, Clone, Copy)]
enum Word {
    Says,
    Interrupts,
    Confirms { call: usize, allow: bool },
    Returns { call: usize },
}

/// What a model says.
#[derive(Debug, Clone, Copy)]
enum Block {
    Text,
    Bash,
    Asks,
    Denied,
    Judged(Permission),
    Unknown,
    Custom,
}

const BLOCKS: [Block; 9] = [
    Block::Text,
    Block::Bash,
    Block::Asks,
    Block::Denied,
    Block::Judged(Permission::Allow),
    Block::Judged(Permission::Ask),
    Block::Judged(Permission::Deny),
    Block::Unknown,
    Block::Custom,
];

fn world() -> impl Strategy<Value = World> {
    let budget = proptest::option::of(1..10_u64);
    let window = Window { compact_at: 100, clear_at: Some(40), keep_results: 1 };
    let window = proptest::option::of(Just(window));
    let given = (budget, window, 0..3_u32, proptest::bool::weighted(0.9));
    given.prop_map(|(budget, window, compactions, is_priced)| World {
        budget,
        limits: Limits { compactions, window, is_priced, ..LIMITS },
    })
}

fn script() -> impl Strategy<Value = Vec<Line>> {
    let word = prop_oneof![
        4 => Just(Word::Says),
        4 => (0..4_usize, any::<bool>()).prop_map(|(call, allow)| Word::Confirms { call, allow }),
        3 => (0..4_usize).prop_map(|call| Word::Returns { call }),
        2 => Just(Word::Interrupts),
    ];
    let blocks = || vec(select(BLOCKS.to_vec()), 0..4);
    let answer = (blocks(), select(vec![21_u64, 60, 120]), proptest::bool::weighted(0.98));
    let cents = proptest::option::weighted(0.8, 1..40_u64);
    let line = prop_oneof![
        9 => (vec(word, 1..4), any::<bool>()).prop_map(|(words, instructs)| Line::Sends { words, instructs }),
        9 => answer.prop_map(|(blocks, held, is_priced)| Line::Answers { blocks, held, is_priced }),
        8 => (0..4_usize, any::<bool>()).prop_map(|(call, is_error)| Line::ToolEnds { call, is_error }),
        6 => Just(Line::Hears),
        5 => Just(Line::Compacts),
        3 => any::<bool>().prop_map(|for_good| Line::Fails { for_good }),
        3 => Just(Line::Retries),
        3 => Just(Line::Collects),
        3 => cents.prop_map(Line::Allots),
        2 => blocks().prop_map(Line::Refuses),
        2 => Just(Line::Overflows),
        2 => Just(Line::Provisions),
        2 => Just(Line::Dies),
        1 => Just(Line::LosesHand),
        1 => Just(Line::Updates),
        1 => Just(Line::Equips),
        1 => Just(Line::Archives),
    ];
    vec(line, 1..80)
}

/// A call that is open, or else an earlier one, the latest first.
fn find(play: &Play, call: usize) -> EventId {
    let open = play.thread().calls.iter().map(|call| call.id);
    let earlier = play.log.iter().rev().filter_map(|row| match &row.entry {
        Entry::Event { event, .. } => match **event {
            Event::AgentToolUse { .. } | Event::AgentCustomToolUse { .. } => Some(row.id),
            _ => None,
        },
        _ => None,
    });
    open.chain(earlier).nth(call).unwrap_or(id("nobody's"))
}

fn event(play: &Play, word: Word) -> ClientEvent {
    match word {
        Word::Says => message("hi"),
        Word::Interrupts => ClientEvent::Interrupt { thread: None },
        Word::Confirms { call, allow } => {
            let verdict = if allow { Verdict::Allow } else { Verdict::Deny };
            confirmation(find(play, call), verdict, None)
        }
        Word::Returns { call } => custom_result(find(play, call)),
    }
}

fn said(play: &Play, blocks: &[Block]) -> Vec<Said> {
    let numbered = blocks.iter().enumerate().map(|(index, block)| {
        // The log grows with every answer that is taken, so that no two calls have one label.
        let label = format!("{}.{index}", play.log.len());
        match block {
            Block::Text => text(&label),
            Block::Bash => bash(&label),
            Block::Asks => asks(&label),
            Block::Denied => denied(&label),
            Block::Judged(verdict) => judged(&label, *verdict),
            Block::Unknown => unknown(&label),
            Block::Custom => custom(&label),
        }
    });
    numbered.collect()
}

/// What a client sends may be refused; that is as well.
fn client(play: &mut Play, words: &[Word], instructs: bool) {
    let ended = play.state.status == Status::Terminated;
    let held = play.state.is_at_cap() && words.iter().any(|word| matches!(word, Word::Says));
    let mut events: Vec<_> = words.iter().map(|word| event(play, *word)).collect();
    if instructs && matches!(words.last(), Some(Word::Says | Word::Returns { .. })) {
        events.push(system("be brief"));
    }
    match play.tries(events) {
        Ok(()) => assert!(!ended && !held, "neither an archived session nor one at its cap is told anything new"),
        Err(refusal) => assert_eq!(refusal.ended, ended, "{refusal}"),
    }
}

fn change(play: &mut Play, line: &Line) {
    let ended = play.state.status == Status::Terminated;
    let at_work = play.state.is_runnable();
    match line {
        Line::Updates => {
            let title = Some(Some("A title".to_owned()));
            let result = play.changes(Change { title, ..Change::default() });
            assert_eq!(result.is_err(), ended, "a title changes until the end");
        }
        Line::Equips => {
            let agent = Some(Box::new(snapshot()));
            let result = play.changes(Change { agent, ..Change::default() });
            assert_eq!(result.is_err(), ended || at_work, "an agent changes unless it works");
        }
        Line::Allots(cents) => match play.allots(*cents) {
            Ok(()) => assert!(!play.state.is_over_budget(), "a budget that is accepted is not used up"),
            Err(refusal) => {
                assert_eq!(refusal.ended, ended, "{refusal}");
                assert!(ended || refusal.code.is_some() && cents.is_some(), "a budget can always be removed");
            }
        },
        _ => assert_eq!(play.archives().is_err(), at_work, "a session is archived unless it works"),
    }
}

/// What only a brain hears is heard by none if none has the lease. What comes too late for it, it hears all the same.
fn brain(play: &mut Play, line: &Line) {
    if !play.leased {
        return;
    }
    match line {
        Line::Answers { blocks, held, is_priced } => {
            let said = said(play, blocks);
            let cost = play.cost.filter(|_| *is_priced);
            let priced = std::mem::replace(&mut play.cost, cost);
            play.tokens = Tokens { input: *held, ..Tokens::default() };
            let judgements = blocks.iter().filter(|block| matches!(block, Block::Judged(_)));
            play.spent = judgements.map(|_| judgement()).collect();
            play.answers(said);
            (play.tokens, play.cost) = (TOKENS, priced);
        }
        Line::Refuses(blocks) => {
            let said = said(play, blocks);
            play.refuses(said);
        }
        Line::Compacts => {
            play.compacts();
        }
        Line::Fails { for_good: true } => {
            play.spent = vec![judgement()];
            play.fails_for_good();
            play.spent.clear();
        }
        Line::Fails { for_good: false } => {
            play.fails();
        }
        Line::Overflows => {
            play.overflows();
        }
        Line::ToolEnds { call, is_error } => {
            let ended = play.flight.calls.iter().nth(*call).copied();
            play.tool_ended(ended.unwrap_or(id("nobody's")), *is_error);
        }
        Line::Provisions => {
            play.provisions();
        }
        Line::LosesHand => {
            play.loses_hand();
        }
        Line::Retries => {
            play.retries();
        }
        _ => {
            play.collects();
        }
    }
}

fn judgement() -> Spent {
    Spent { model: "judge".into(), tokens: TOKENS, cost: Cost::of_cents(1) }
}

fn act(play: &mut Play, line: &Line) {
    match line {
        Line::Sends { words, instructs } => client(play, words, *instructs),
        Line::Archives | Line::Updates | Line::Equips | Line::Allots(_) => change(play, line),
        Line::Hears => {
            play.hears();
        }
        Line::Dies => {
            play.dies();
        }
        _ => brain(play, line),
    }
}

fn check(play: &Play) {
    let thread = play.thread();
    assert_eq!(thread.status, play.state.status, "the session is where its thread is");
    if matches!(thread.phase, Phase::Resting | Phase::Paused) {
        assert!(!play.state.is_runnable(), "a session at rest does not run");
        assert!(thread.calls.is_empty(), "at rest no call is open");
        assert!(thread.interrupts.is_empty(), "no interrupt is slept over");
        assert!(!thread.has_message() || play.state.is_at_cap(), "only a budget keeps messages waiting");
        let begun_with = thread.inputs.iter().any(|waiting| waiting.position < thread.begun_at);
        assert!(!begun_with || thread.phase == Phase::Paused, "what began a turn goes with it");
    }
}

/// Whatever is under way ends well, and so does the session's work.
fn finish(play: &mut Play) {
    for _ in 0..64 {
        if !play.state.is_runnable() {
            return;
        }
        if !play.leased {
            play.hears();
            continue;
        }
        match play.thread().phase {
            Phase::Asking(_) => play.answers([text("done")]),
            Phase::Compacting(_) => play.compacts(),
            Phase::Backing(_) => play.retries(),
            Phase::Ending { .. } => play.collects(),
            _ => match play.flight.calls.first().copied() {
                Some(call) => play.tool_ended(call, false),
                None => play.hears(),
            },
        };
    }
    panic!("the session does not come to rest");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_stays_sound(given in world(), lines in script(), snapshot_at in any::<Index>()) {
        let mut play = Play::created(given.budget.and_then(Cost::of_cents), Vec::new(), given.limits);
        let mut audit = Audit::default();
        for line in &lines {
            act(&mut play, line);
            check(&play);
            audit.reads(&play.log);
        }
        finish(&mut play);
        check(&play);
        audit.reads(&play.log);
        audit.ends(&play);
        assert!(matches!(play.state.status, Status::Idle | Status::Terminated), "work comes to an end");
        let rows = 1 + snapshot_at.index(play.log.len());
        assert_eq!(play.resumed(rows), play.state, "a snapshot stands for the rows before it");
    }
}
