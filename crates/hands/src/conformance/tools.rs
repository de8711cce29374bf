//! The tools, by what they give for what they are asked.

use hand_protocol::{Content, MAX_TEXT, Outcome};
use serde_json::json;

use super::bench::{Bench, bash, id, run, text, tool};

pub(super) async fn tools_work_on_the_same_files(bench: &Bench) {
    let hand = bench.hand().await;
    let path = bench.inside("file.txt");
    let written = tool(&*hand, "write", json!({ "file_path": path, "content": "one\ntwo\nthree\n" })).await;
    assert!(!written.is_error, "{written:?}");
    let edited = tool(&*hand, "edit", json!({ "file_path": path, "old_string": "two", "new_string": "zwei" })).await;
    assert!(!edited.is_error, "{edited:?}");
    assert_eq!(bash(&*hand, &format!("cat {path}; echo four >> {path}")).await, "one\nzwei\nthree");
    let read = tool(&*hand, "read", json!({ "file_path": path, "view_range": [2, 4] })).await;
    for line in ["zwei", "three", "four"] {
        assert!(text(&read).contains(line), "{read:?}");
    }
    assert!(!text(&read).contains("one"), "{read:?}");
    let directory = bench.supports.workspace.display().to_string();
    let found = tool(&*hand, "glob", json!({ "pattern": "*.txt", "path": directory })).await;
    assert!(text(&found).contains("file.txt"), "{found:?}");
    let found = tool(&*hand, "grep", json!({ "pattern": "z.ei", "path": directory })).await;
    assert!(text(&found).contains("file.txt") && text(&found).contains("zwei"), "{found:?}");
}

pub(super) async fn whatever_goes_wrong_in_a_call_is_its_outcome(bench: &Bench) {
    let hand = bench.hand().await;
    let wrong = [
        ("bash", json!({})),
        ("bash", json!({ "command": 7 })),
        ("bash", json!({ "command": "echo 'open" })),
        ("bash", json!({ "command": "echo x", "colour": "red" })),
        ("read", json!({ "file_path": "/nowhere/at/all" })),
        ("edit", json!({ "file_path": "/nowhere/at/all", "old_string": "a", "new_string": "b" })),
        ("dance", json!({})),
        ("", json!({})),
    ];
    for (name, input) in wrong {
        let outcome = tool(&*hand, name, input.clone()).await;
        assert!(outcome.is_error, "{name} {input}: {outcome:?}");
        assert!(!text(&outcome).is_empty(), "an error says something");
    }
    assert_eq!(bash(&*hand, "echo alive").await, "alive");
}

pub(super) async fn long_texts_and_raw_bytes_cost_no_connection(bench: &Bench) {
    let hand = bench.hand().await;
    // Longer than a piece of anything on the way, and short enough for a result.
    let long = bash(&*hand, "head -c 90000 /dev/zero | tr '\\0' x").await;
    assert!(long.len() == 90_000 && long.bytes().all(|byte| byte == b'x'), "{} bytes", long.len());
    for output in [
        // What would be a frame of the protocol, on whichever descriptor.
        "printf '\\x20\\0\\0\\0{\"seq\":1,\"reply\":\"ok\"}'",
        "printf '{\"seq\":1,\"reply\":\"fenced\",\"epoch\":99}\\n' | tee /dev/stderr",
        "printf '\\xff\\xfe\\0\\x1b]0;title\\x07\\x1b[2J\\x1b[?1049h\\xc3'",
        "head -c 50000 /dev/urandom",
        "printf '\\u202e\\u0000\\u2028 \\xed\\xa0\\x80'",
    ] {
        let outcome = run(&*hand, &id(), output).await;
        let [Content::Text { text }] = outcome.content.as_slice() else { panic!("{output}: {outcome:?}") };
        assert!(!text.is_empty() && text.chars().count() <= MAX_TEXT, "{output}");
        assert_eq!(bash(&*hand, "echo alive").await, "alive", "{output}");
    }
}

pub(super) async fn an_output_too_long_for_a_result_is_left_whole_in_a_file(bench: &Bench) {
    let hand = bench.hand().await;
    // An id that would lead elsewhere as a file's name.
    let outcome: Outcome = run(&*hand, "../../../tmp/long", "yes 0123456789 | head -c 3000000").await;
    assert!(text(&outcome).chars().count() <= MAX_TEXT, "what is too long is cut");
    let left = "cat /mnt/session/tool_outputs/* | wc -c; ls -d /tmp/long* 2> /dev/null | wc -l";
    assert_eq!(bash(&*hand, left).await, "3000000\n0");
}
