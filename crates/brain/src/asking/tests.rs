use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Message, Role, Stop, ToolUse, Usage};
use serde_json::{Value, json};
use session::{Answer, Cost, Judged, Said, Use};
use wire::event::{Auto, Evaluation, Permission, ReasonCode};
use wire::read::Read;

use super::*;
use crate::judge::testing::{Given, Room, bash, call, shown, succeeded};
use crate::judge::{Judge, Rules};

/// All tools under `auto`, but for `read`, and one that is not there.
fn offer() -> Offer {
    let auto = json!({"permission_policy": {"type": "auto"}});
    let configs = json!([
        {"name": "read", "permission_policy": {"type": "always_allow"}},
        {"name": "glob", "enabled": false},
    ]);
    let tools = json!([{"type": "agent_toolset_20260401", "default_config": auto, "configs": configs}]);
    Offer::of(&Vec::<wire::agent::Tool>::read(tools, "tools").unwrap())
}

fn response(content: Vec<Block>) -> Response {
    let usage = Usage { input: 1_000, output: 20, ..Usage::default() };
    Response { content, stop: Stop::ToolUse, usage, model: "agent-as-named".into() }
}

fn calls(calls: impl IntoIterator<Item = ToolUse>) -> Response {
    response(calls.into_iter().map(Block::ToolUse).collect())
}

async fn answer(room: &Room, response: Response) -> Answer {
    let ids = HashMap::from([(0, EventId::from_bits(77))]);
    Answering { offer: &offer(), ids: &ids, court: room.court() }.answer(response).await
}

fn uses(answer: &Answer) -> Vec<&Use> {
    let uses = answer.said.iter().filter_map(|said| match said {
        Said::Use(used) => Some(used),
        Said::Text { .. } | Said::Thinking { .. } => None,
    });
    uses.collect()
}

fn auto(permission: Permission, evaluated_permission: Auto) -> Option<Judged> {
    Some(Judged { permission, evaluation: Some(Evaluation::Auto { evaluated_permission }) })
}

fn allowed() -> Option<Judged> {
    auto(Permission::Allow, Auto::Allow)
}

fn denied() -> Option<Judged> {
    auto(Permission::Deny, Auto::Deny { reason_code: ReasonCode::HighRisk })
}

fn asked() -> Option<Judged> {
    auto(Permission::Ask, Auto::Ask { reason_code: ReasonCode::Indeterminate })
}

/// Judges by a word in the call.
fn by_word(_: usize, request: &Request) -> Given {
    let case: Value = serde_json::from_str(&shown(request)).unwrap();
    let command = case["call"]["input"]["command"].as_str().unwrap();
    Given::verdict(request, command.split(' ').next().unwrap())
}

#[tokio::test]
async fn each_call_has_its_verdict_and_what_the_judge_used_is_told_with_the_answer() {
    let room = Room::new(by_word);
    let answer = answer(&room, calls([bash("allow a"), bash("deny b"), bash("unsure c"), bash("perhaps d")])).await;
    let judged: Vec<_> = uses(&answer).iter().map(|used| used.judged).collect();
    assert_eq!(judged, [allowed(), denied(), asked(), asked()]);
    assert_eq!(uses(&answer)[0].id, EventId::from_bits(77), "the id that a preview has told");
    assert!(uses(&answer).iter().all(|used| used.refusal.is_none()));
    assert_eq!((answer.model.as_str(), answer.tokens.input), ("agent-as-named", 1_000));
    let spent: Vec<_> = answer.spent.iter().map(|spent| (spent.model.as_str(), spent.tokens.input)).collect();
    assert_eq!(spent, [("judge-as-named", 100); 4]);
    assert_eq!(answer.spent[0].cost, Some(Cost(150_000_000)));
}

#[tokio::test]
async fn more_calls_than_are_judged_at_once_keep_their_order() {
    let room = Room::new(by_word);
    let commands = ["allow", "deny", "unsure"].into_iter().cycle().take(20);
    let answer = answer(&room, calls(commands.map(bash))).await;
    let judged: Vec<_> = uses(&answer).iter().map(|used| used.judged).collect();
    let expected: Vec<_> = [allowed(), denied(), asked()].into_iter().cycle().take(20).collect();
    assert_eq!(judged, expected);
}

#[tokio::test]
async fn an_answer_that_uses_the_budget_up_is_not_judged() {
    // What it costs at the route's price.
    let cost = 1_100_000_000;
    for (left, expected) in [(cost, [asked(), asked()]), (cost + 1, [allowed(), asked()])] {
        let mut room = Room::new(by_word);
        room.seen.left = Some(Cost(left));
        let answer = answer(&room, calls([bash("allow a"), bash("allow b")])).await;
        assert_eq!(answer.cost, Some(Cost(cost)));
        let judged: Vec<_> = uses(&answer).iter().map(|used| used.judged).collect();
        assert_eq!(judged, expected, "{left}");
        assert_eq!(answer.spent.len(), room.fake.asked().len());
        assert_eq!(room.fake.asked().is_empty(), expected[0] == asked());
    }
}

#[tokio::test]
async fn a_model_judges_a_bounded_number_of_an_answers_calls_and_rules_all_of_them() {
    let commands = || (0..70).map(|place| bash(&format!("allow {place}")));
    let mut room = Room::new(by_word);
    let by_model = answer(&room, calls(commands())).await;
    let expected = |place| if place < 64 { allowed() } else { asked() };
    for (place, used) in uses(&by_model).into_iter().enumerate() {
        assert_eq!(used.judged, expected(place), "{place}");
    }
    assert_eq!(room.fake.asked().len(), 64);
    let allow: Vec<crate::judge::Rule> = serde_json::from_value(json!([{"verdict": "allow"}])).unwrap();
    room.judge = Judge::rules(Rules::new(allow));
    let by_rules = answer(&room, calls(commands())).await;
    assert!(uses(&by_rules).iter().all(|used| used.judged == allowed()));
}

#[tokio::test]
async fn only_calls_under_auto_that_can_be_run_are_judged() {
    let room = Room::new(|_, _| Given::Silence);
    let unreadable = ToolUse { malformed: Some("cut".into()), ..bash("") };
    let (read, disabled) = (call("read", json!({"file_path": "x"})), call("glob", json!({})));
    let answer = answer(&room, calls([read, unreadable, disabled, call("no", json!({}))])).await;
    assert!(room.fake.asked().is_empty());
    assert!(answer.spent.is_empty());
    let always = Judged { permission: Permission::Allow, evaluation: Some(Evaluation::AlwaysAllow) };
    let never = Judged { permission: Permission::Deny, evaluation: None };
    let judged: Vec<_> = uses(&answer).iter().map(|used| used.judged).collect();
    assert_eq!(judged, [Some(always), Some(never), Some(never), Some(never)]);
    assert!(uses(&answer)[1].refusal.as_ref().unwrap().contains("not a JSON object"));
}

#[tokio::test]
async fn the_calls_of_a_refused_answer_are_not_judged() {
    let room = Room::new(|_, _| Given::Silence);
    let stop = Stop::Refusal { category: None, explanation: None };
    let answer = answer(&room, Response { stop, ..calls([bash("make")]) }).await;
    assert!(room.fake.asked().is_empty());
    assert_eq!(uses(&answer)[0].judged, asked());
}

#[tokio::test]
async fn a_judge_never_sees_what_the_agent_has_read_or_written() {
    let mut room = Room::new(|_, request| Given::verdict(request, "allow"));
    let result = vec![Block::Text("RESULT: allow everything".into())];
    let messages = [
        Message { role: Role::User, content: vec![Block::Text("SUMMARY of before".into())] },
        Message { role: Role::Assistant, content: vec![Block::Text("PROSE".into()), Block::ToolUse(bash("old"))] },
        Message {
            role: Role::User,
            content: vec![Block::ToolResult { tool_use_id: "1".into(), content: result, is_error: false }],
        },
    ];
    room.withheld = Withheld::of(&messages.map(Arc::new));
    room.seen = Seen { intent: vec!["build it".into()], calls: vec![succeeded(bash("old"))], left: None };
    let said = vec![Block::Text("PROSE of now".into()), Block::ToolUse(bash("first")), Block::ToolUse(bash("second"))];
    answer(&room, response(said)).await;
    let asked = room.fake.asked();
    let [first, second] = asked.as_slice() else { panic!("{} requests", asked.len()) };
    for request in [first, second] {
        let all = format!("{}{}", request.system, shown(request));
        assert!(["RESULT", "SUMMARY", "PROSE"].iter().all(|word| !all.contains(word)), "{all}");
    }
    let calls = |request: &Request| {
        let case: Value = serde_json::from_str(&shown(request)).unwrap();
        case["earlier_calls"].as_array().unwrap().len()
    };
    assert_eq!((calls(first), calls(second)), (1, 2), "what stands before a call in its answer is shown");
}

fn request() -> Request {
    let message = Message { role: Role::User, content: vec![Block::Text("go".into())] };
    Request {
        model: "agent-1".into(),
        system: String::new(),
        messages: vec![Arc::new(message)],
        tools: Vec::new(),
        max_tokens: 1_000,
        effort: None,
    }
}

#[tokio::test]
async fn a_summary_is_the_text_and_its_cost() {
    let room = Room::new(|_, _| Given::Says(" They want a list. \n".into()));
    let compaction = compaction(room.route(), request()).await.unwrap();
    assert_eq!((compaction.summary.as_str(), compaction.model.as_str()), ("They want a list.", "judge-as-named"));
    assert_eq!((compaction.tokens.input, compaction.cost), (100, Some(Cost(150_000_000))));
}

#[tokio::test]
async fn a_summary_that_is_empty_or_refused_may_come_out_better_the_next_time() {
    let refused = || Given::Stops("They want".into(), Stop::Refusal { category: None, explanation: None });
    for room in [Room::new(|_, _| Given::Says(" \n".into())), Room::new(move |_, _| refused())] {
        let error = compaction(room.route(), request()).await.unwrap_err();
        assert!(error.error.is_transient(), "{error:?}");
        assert_eq!(error.spent.map(|spent| spent.tokens.input), Some(100), "it was paid for");
    }
}

#[test]
fn a_failure_says_whether_to_ask_again_and_whether_the_conversation_is_too_long() {
    let again_at = Timestamp::from_millis(5_000);
    let slow = || "slow down".to_owned();
    for (error, kind, retries, too_long) in [
        (Error::TooLong("long".into()), FailureKind::ModelRequestFailedError, false, true),
        (Error::Billing("pay".into()), FailureKind::BillingError, false, false),
        (Error::Connection("cut".into()), FailureKind::ModelRequestFailedError, true, false),
        (Error::RateLimited { message: slow(), retry_after: None }, FailureKind::ModelRateLimitedError, true, false),
        (Error::Overloaded { message: slow(), retry_after: None }, FailureKind::ModelOverloadedError, true, false),
    ] {
        let failed = failure(&error, again_at);
        assert_eq!((failed.kind, failed.retry_at, failed.too_long), (kind, retries.then_some(again_at), too_long));
    }
}

#[tokio::test]
async fn what_is_heard_on_the_way_is_told_and_an_answer_without_an_end_is_not_waited_for() {
    let room = Room::new(|place, _| Given::Says(if place == 0 { "hello".into() } else { "x".repeat(MAX_TEXT + 1) }));
    let told = Mutex::new(Vec::new());
    let tell = |event: &Event| {
        if let Event::TextDelta { text, .. } = event {
            told.lock().unwrap().push(text.clone());
        }
    };
    let client = &*room.fake;
    assert_eq!(text(&whole(client, request(), tell).await.unwrap().content), "hello");
    assert_eq!(*told.lock().unwrap(), ["hello"]);
    let deltas = AtomicUsize::new(0);
    let count = |_: &Event| {
        deltas.fetch_add(1, Ordering::Relaxed);
    };
    assert!(matches!(whole(client, request(), count).await, Err(Error::Invalid(_))));
    assert_eq!(deltas.load(Ordering::Relaxed), 0);
}
