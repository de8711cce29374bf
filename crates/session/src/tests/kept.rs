//! What a summary does not take away: what the model has not answered, and the system messages.

use wire::content::Content;

use super::compaction::{NARROW, holds, position};
use super::play::{LIMITS, Play};
use super::words::{bash, custom, message, system, text};
use crate::{Entry, Hidden, Limits, Said};

/// The system messages that the last compaction has written down, and whether it keeps what was not answered.
fn compacted(play: &Play) -> (Vec<&str>, bool) {
    let mut rows = play.log.iter().rev();
    let hidden = rows.find_map(|row| match &row.entry {
        Entry::Event { hidden: Some(Hidden::Compacted { system, keeps, .. }), .. } => Some((system, *keeps)),
        _ => None,
    });
    let (system, keeps) = hidden.unwrap();
    let told = system.iter().map(|content| match content {
        Content::Text { text } => text.as_str(),
        other => panic!("{other:?}"),
    });
    (told.collect(), keeps)
}

/// Where the request begins that was the first of all to be answered, if all are.
fn first_request(play: &Play) -> u64 {
    play.log.iter().find(|row| row.store().kind == "span.model_request_start").unwrap().position
}

fn last_compaction(play: &Play) -> u64 {
    position(play, "agent.thread_context_compacted")
}

#[test]
fn the_newest_answers_calls_and_their_results_are_kept() {
    let mut play = Play::within(NARROW);
    play.says("hi").hears();
    holds(&mut play, 100).answers([bash("a"), custom("w")]).returns("w").tool_ends("a").does(&["compact"]);
    let results = play.thread().results.clone();
    play.compacts().does(&["ask"]);
    assert_eq!(compacted(&play), (vec![], true));
    assert_eq!((play.thread().view_from, results.len()), (first_request(&play), 2));
    assert_eq!(play.thread().results, results);
}

#[test]
fn a_message_that_was_taken_up_and_not_answered_is_kept() {
    let mut play = Play::asking();
    play.answers([text("hello")]).says("again").hears().overflows().does(&["compact"]).compacts().does(&["ask"]);
    assert_eq!(compacted(&play), (vec![], true));
    let thread = play.thread();
    let taken_up = position(&play, "user.message");
    assert!((thread.view_from..thread.compacted_at).contains(&taken_up) && taken_up > thread.seen_to, "{thread:?}");
}

#[test]
fn what_was_kept_in_vain_is_summed_up_too() {
    let mut play = Play::asking();
    play.answers([text("hello")]).says("again").hears().overflows().compacts().does(&["ask"]);
    play.overflows().does(&["compact"]).compacts().does(&["ask"]);
    assert_eq!(compacted(&play), (vec![], false));
    assert_eq!(play.thread().view_from, last_compaction(&play));
    play.answers([text("so it is")]).says("and?").hears().overflows().compacts();
    assert!(compacted(&play).1, "the model has answered since");
}

#[test]
fn a_conversation_without_an_answer_is_summed_up_whole() {
    let mut play = Play::asking();
    play.overflows().compacts();
    assert_eq!(compacted(&play), (vec![], false));
    assert_eq!(play.thread().view_from, last_compaction(&play));
}

#[test]
fn an_answer_without_a_word_answers_nothing() {
    let nothing: [Said; 0] = [];
    let mut play = Play::asking();
    play.answers([text("hello")]).says("again").hears().answers(nothing).rests();
    let seen_to = play.thread().seen_to;
    assert!(seen_to < position(&play, "user.message"));
    play.says("well?").hears().overflows().compacts();
    assert!(compacted(&play).1);
    assert_eq!((play.thread().view_from, play.thread().seen_to), (first_request(&play), seen_to));
}

#[test]
fn system_messages_outlast_every_summary() {
    let mut play = Play::within(NARROW);
    play.sends(vec![message("hi"), system("be brief")]).hears();
    holds(&mut play, 100).answers([text("hello")]).rests();
    play.sends(vec![message("again"), system("in French")]).hears().does(&["compact"]).compacts().does(&["ask"]);
    assert_eq!(compacted(&play), (vec!["be brief"], true), "the other one is still queued");
    play.answers([text("bonjour")]).rests();
    play.says("and?").hears().does(&["compact"]).compacts().does(&["ask"]);
    assert_eq!(compacted(&play), (vec!["be brief", "in French"], true));
}

#[test]
fn a_system_message_that_is_kept_in_its_place_is_not_repeated() {
    let mut play = Play::within(Limits { compactions: 3, ..LIMITS });
    play.sends(vec![message("hi"), system("be brief")]).hears().answers([text("hello")]).rests();
    play.sends(vec![message("again"), system("in French")]).hears().overflows().compacts().does(&["ask"]);
    assert_eq!(compacted(&play), (vec!["be brief"], true));
    play.overflows().compacts().does(&["ask"]);
    assert_eq!(compacted(&play), (vec!["be brief", "in French"], false));
}

#[test]
fn the_last_attempt_of_several_leaves_system_messages_to_the_summary() {
    let mut play = Play::asking();
    play.sends(vec![message("well?"), system("be brief")]).answers([text("hello")]).does(&["ask"]);
    play.answers([text("so it is")]).says("and?").hears().overflows().compacts();
    assert_eq!(compacted(&play), (vec!["be brief"], true));
    play.overflows().compacts().does(&["ask"]);
    assert_eq!(compacted(&play), (vec![], false));
    play.answers([text("as it was")]).says("and?").hears().overflows().compacts();
    assert_eq!(compacted(&play), (vec![], true), "what was left to a summary does not come back");
}
