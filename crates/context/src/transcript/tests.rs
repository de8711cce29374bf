use super::*;
use crate::testing::{
    bash, compacted, compacted_but, error, event, instruction, line, note, result, says, told, transcript, user,
};

#[test]
fn results_stand_before_what_the_user_said_meanwhile() {
    let rows = [user(1, "go"), bash(2, "a"), bash(3, "b"), result(4, 2, "one"), user(5, "faster"), result(6, 3, "two")];
    assert_eq!(told(&rows), ["User: go", "Assistant: use a, use b", "User: result a, result b, faster"]);
}

#[test]
fn thinking_goes_back_byte_for_byte() {
    let raw = r#"{"type":"thinking",  "thinking":"é","signature":"x=="}"#;
    let hidden = Hidden::Thinking { provider: "anthropic".into(), raw: raw.into() };
    assert_eq!(told(&[event(1, Event::AgentThinking {}, Some(hidden))]), [format!("Assistant: {raw}")]);
}

#[test]
fn the_model_is_told_when_its_sandbox_was_lost() {
    let rows = [user(1, "go"), note(2, Note::HandLost { reason: "killed".into() })];
    assert!(told(&rows)[0].contains("The sandbox was lost (killed)"));
}

#[test]
fn a_system_message_stands_behind_what_was_said_with_it_and_before_the_answer() {
    let brief = |position| instruction(position, "be brief");
    for (rows, shown) in [
        (vec![user(1, "go"), brief(2), says(3, "ok")], vec!["User: go", "System: be brief", "Assistant: ok"]),
        (
            vec![user(1, "go"), bash(2, "a"), result(3, 2, "x"), brief(4)],
            vec!["User: go", "Assistant: use a", "User: result a", "System: be brief"],
        ),
        // Neither order may part what the user said, nor put a system message before it.
        (vec![brief(1), user(2, "go")], vec!["User: go", "System: be brief"]),
        (vec![user(1, "go"), brief(2), user(3, "on"), brief(4)], vec!["User: go, on", "System: be brief, be brief"]),
    ] {
        assert_eq!(told(&rows), shown);
    }
}

/// The text of every result that is shown, in order, and whether it is an error.
fn results(transcript: &Transcript) -> Vec<(String, bool)> {
    let messages = transcript.messages();
    let blocks = messages.iter().flat_map(|message| &message.content);
    let shown = blocks.filter_map(|block| match block {
        Block::ToolResult { content, is_error, .. } => match &content[..] {
            [Block::Text(text)] => Some((text.clone(), *is_error)),
            _ => panic!("{content:?}"),
        },
        _ => None,
    });
    shown.collect()
}

#[test]
fn results_that_were_cleared_leave_their_place_and_their_uses() {
    let mut rows = vec![
        user(1, "go"),
        bash(2, "a"),
        bash(3, "b"),
        result(4, 3, "of b"),
        error(5, 2, "of a"),
        bash(6, "c"),
        result(7, 6, "of c"),
    ];
    let before = told(&rows);
    rows.push(note(8, Note::Cleared { before: 7 }));
    let cleared = transcript(&rows);
    assert_eq!(told(&rows), before);
    let gone = |is_error| (CLEARED.to_owned(), is_error);
    assert_eq!(results(&cleared), [gone(false), gone(true), ("of c".to_owned(), false)]);
    rows.push(note(9, Note::Cleared { before: 9 }));
    assert_eq!(results(&transcript(&rows)), [gone(false), gone(true), gone(false)]);
}

#[test]
fn a_result_that_came_later_is_not_cleared() {
    let rows = [user(1, "go"), bash(2, "a"), note(3, Note::Cleared { before: 3 }), result(4, 2, "of a")];
    assert_eq!(results(&transcript(&rows)), [("of a".to_owned(), false)]);
}

#[test]
fn a_summary_takes_the_place_of_everything_before_it() {
    let rows = [
        user(1, "go"),
        bash(2, "a"),
        result(3, 2, "one"),
        compacted(4, "They want a list."),
        result(5, 2, "late"),
        user(6, "on"),
        says(7, "ok"),
    ];
    let shown = told(&rows);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].contains("<summary>\nThey want a list.\n</summary>") && shown[0].ends_with(", on"), "{shown:?}");
    assert!(!shown[0].contains("go,") && !shown[0].contains("result"), "{shown:?}");
    assert_eq!(shown[1], "Assistant: ok");
}

/// What is shown, without the words around the summary.
fn told_briefly(rows: &[Row]) -> Vec<String> {
    let frame = compaction::frame("A summary.");
    told(rows).into_iter().map(|line| line.replace(&frame, "A summary.")).collect()
}

#[test]
fn system_messages_stand_behind_the_summary_that_they_outlast() {
    let brief = ["be brief".to_owned(), "in French".to_owned()];
    let rows = [user(1, "go"), says(2, "ok"), compacted_but(3, "A summary.", &brief, false), user(4, "on")];
    assert_eq!(told_briefly(&rows), ["User: A summary., on", "System: be brief, in French"]);
}

#[test]
fn what_was_not_answered_is_kept_behind_the_summary() {
    let brief = ["be brief".to_owned()];
    let before = [user(1, "go"), instruction(2, "be brief"), says(3, "ok"), user(4, "on"), instruction(5, "in French")];
    let kept = compacted_but(6, "A summary.", &brief, true);
    let rows = [&before[..], &[kept, user(7, "well?")]].concat();
    assert_eq!(told_briefly(&rows), ["User: A summary., on, well?", "System: be brief, in French"]);
    let gone = transcript(&before).answered();
    assert_eq!(
        gone.iter().map(|message| line(message)).collect::<Vec<_>>(),
        ["User: go", "System: be brief", "Assistant: ok"]
    );
}

#[test]
fn calls_are_kept_with_their_results_and_those_can_still_be_cleared() {
    let before = [
        user(1, "go"),
        bash(2, "a"),
        result(3, 2, "of a"),
        says(4, "I look."),
        bash(5, "b"),
        bash(6, "c"),
        result(7, 6, "of c"),
        result(8, 5, "of b"),
        user(9, "hurry"),
    ];
    let mut rows = [&before[..], &[compacted_but(10, "A summary.", &["be brief".to_owned()], true)]].concat();
    let shown =
        ["User: A summary.", "System: be brief", "Assistant: I look., use b, use c", "User: result c, result b, hurry"];
    assert_eq!(told_briefly(&rows), shown);
    assert_eq!(told_briefly(&rows[3..]), shown, "the rows of the newest answer are enough");
    assert_eq!(transcript(&before).answered().len(), 3);
    rows.push(note(11, Note::Cleared { before: 8 }));
    let gone = (CLEARED.to_owned(), false);
    assert_eq!(results(&transcript(&rows)), [gone, ("of b".to_owned(), false)]);
}

#[test]
fn what_was_kept_goes_with_the_next_summary() {
    let kept = compacted_but(3, "A summary.", &[], true);
    let rows = [says(1, "ok"), user(2, "on"), kept, compacted(4, "A summary."), user(5, "well?")];
    assert_eq!(told_briefly(&rows), ["User: A summary., well?"]);
}

#[test]
fn messages_that_were_given_out_stay_as_they_were() {
    let mut transcript = transcript(&[user(1, "go"), bash(2, "a")]);
    let given = transcript.messages();
    transcript.push(&bash(3, "b"));
    transcript.push(&result(4, 2, "one"));
    let later = transcript.messages();
    assert_eq!(given.iter().map(|message| line(message)).collect::<Vec<_>>(), ["User: go", "Assistant: use a"]);
    assert_eq!(line(&later[1]), "Assistant: use a, use b");
    transcript.push(&note(5, Note::Cleared { before: 5 }));
    assert!(format!("{:?}", later[2]).contains("one"));
}

#[test]
fn what_is_finished_is_shared_between_requests() {
    let mut transcript = transcript(&[user(1, "go"), says(2, "ok"), user(3, "on")]);
    let given = transcript.messages();
    transcript.push(&says(4, "so"));
    let later = transcript.messages();
    assert!(given.iter().zip(&later).all(|(one, other)| Arc::ptr_eq(one, other)));
}
