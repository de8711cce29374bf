use std::sync::Arc;
use std::time::Duration;

use model::{Effort, Error, Role, Stop};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span;

use super::testing::{Given, Room, bash, call, nonce, route, shown};
use super::*;
use crate::routes::{Route, Routes};

const ALLOW: Auto = Auto::Allow;
const ASK: Auto = Auto::Ask { reason_code: ReasonCode::Indeterminate };
const HIGH_RISK: Auto = Auto::Deny { reason_code: ReasonCode::HighRisk };
const BARRED: Auto = Auto::Deny { reason_code: ReasonCode::Indeterminate };

fn of(permission: Permission, evaluated_permission: Auto) -> Judged {
    Judged { permission, evaluation: Some(Evaluation::Auto { evaluated_permission }) }
}

async fn hear(room: &Room, call: &model::ToolUse) -> Decision {
    room.court().hear(call, &[]).await
}

fn rules(rules: Value) -> Rules {
    Rules::new(serde_json::from_value(rules).unwrap())
}

#[tokio::test]
async fn a_models_verdict_is_the_calls() {
    for (verdict, expected) in [
        ("allow", of(Permission::Allow, ALLOW)),
        ("deny", of(Permission::Deny, HIGH_RISK)),
        ("unsure", of(Permission::Ask, ASK)),
    ] {
        let room = Room::new(move |_, request| Given::verdict(request, verdict));
        assert_eq!(hear(&room, &bash("make")).await.judged, expected, "{verdict}");
    }
}

#[tokio::test]
async fn what_a_judge_uses_is_counted_whatever_it_says() {
    let room = Room::new(|_, _| Given::Says("I cannot say.".into()));
    let decision = hear(&room, &bash("make")).await;
    assert_eq!(decision.judged, of(Permission::Ask, ASK));
    let spent = decision.spent.unwrap();
    assert_eq!((spent.model.as_str(), spent.tokens.input, spent.tokens.output), ("judge-as-named", 100, 10));
    assert_eq!(spent.cost, Some(session::Cost(150_000_000)));
}

#[tokio::test]
async fn an_answer_that_was_cut_or_refused_has_no_verdict() {
    for stop in [Stop::MaxTokens, Stop::Refusal { category: None, explanation: None }] {
        let cut = stop.clone();
        let room = Room::new(move |_, request| Given::Stops(format!("VERDICT {} allow", nonce(request)), cut.clone()));
        assert_eq!(hear(&room, &bash("make")).await.judged, of(Permission::Ask, ASK), "{stop:?}");
    }
}

#[tokio::test]
async fn a_request_is_small_offers_no_tools_and_has_a_word_of_its_own() {
    let room = Room::new(|_, request| Given::verdict(request, "allow"));
    hear(&room, &bash("make")).await;
    hear(&room, &bash("make")).await;
    let asked = room.fake.asked();
    let [first, second] = asked.as_slice() else { panic!("{} requests", asked.len()) };
    assert_eq!((first.model.as_str(), first.max_tokens, first.effort), ("agent-1", 1_024, Some(Effort::Low)));
    assert!(first.tools.is_empty());
    assert_eq!(first.messages[0].role, Role::User);
    assert_ne!(nonce(first), nonce(second));
    assert!(!shown(first).contains(&nonce(first)), "only the system prompt names it");
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_fails_for_a_while_has_a_second_chance() {
    let overloaded = || Given::Fails(Error::Overloaded { message: "busy".into(), retry_after: None });
    let room =
        Room::new(move |place, request| if place == 0 { overloaded() } else { Given::verdict(request, "allow") });
    assert_eq!(hear(&room, &bash("make")).await.judged, of(Permission::Allow, ALLOW));

    let room = Room::new(move |_, _| overloaded());
    let decision = hear(&room, &bash("make")).await;
    assert_eq!(decision.judged, of(Permission::Ask, ASK));
    assert!(decision.spent.is_none());
    assert_eq!(room.fake.asked().len(), 2);
}

#[tokio::test]
async fn a_judge_that_fails_for_good_is_asked_once() {
    for (error, expected) in [
        (Error::Billing("pay".into()), of(Permission::Deny, BARRED)),
        (Error::Unauthorized("who".into()), of(Permission::Deny, BARRED)),
        (Error::Invalid("what".into()), of(Permission::Ask, ASK)),
        (Error::TooLong("long".into()), of(Permission::Ask, ASK)),
    ] {
        let given = error.clone();
        let room = Room::new(move |_, _| Given::Fails(given.clone()));
        assert_eq!(hear(&room, &bash("make")).await.judged, expected, "{error}");
        assert_eq!(room.fake.asked().len(), 1, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_is_silent_is_not_waited_for_longer_than_a_minute() {
    let room = Room::new(|_, _| Given::Silence);
    let begun = Instant::now();
    assert_eq!(hear(&room, &bash("make")).await.judged, of(Permission::Ask, ASK));
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(60) && waited < Duration::from_secs(61), "{waited:?}");
}

#[tokio::test]
async fn a_call_that_is_too_long_to_be_shown_is_not_judged_by_a_part_of_it() {
    let room = Room::new(|_, request| Given::verdict(request, "allow"));
    let long = call("write", json!({"file_path": "/etc/x", "content": "x".repeat(16_000)}));
    let decision = hear(&room, &long).await;
    assert_eq!(decision.judged, of(Permission::Ask, ASK));
    assert!(decision.spent.is_none());
    assert!(room.fake.asked().is_empty());
}

#[tokio::test]
async fn the_operators_rules_come_before_the_model() {
    let mut room = Room::new(|_, request| Given::verdict(request, "allow"));
    let own = json!([
        {"tool": "bash", "field": "command", "contains": "push", "verdict": "deny"},
        {"tool": "bash", "field": "command", "equals": "make deploy", "verdict": "unsure"},
    ]);
    room.judge = Judge::model(None, rules(own));
    assert_eq!(hear(&room, &bash("git push")).await.judged, of(Permission::Deny, HIGH_RISK));
    assert_eq!(hear(&room, &bash("make deploy")).await.judged, of(Permission::Ask, ASK));
    assert!(room.fake.asked().is_empty());
    // The built-in ones would deny it: with a model, they are not asked.
    assert_eq!(hear(&room, &bash("rm -rf /")).await.judged, of(Permission::Allow, ALLOW));
    assert_eq!(room.fake.asked().len(), 1);
}

#[tokio::test]
async fn without_a_model_the_rules_judge_alone() {
    let mut by_rules = Room::new(|_, _| Given::Silence);
    by_rules.judge = Judge::rules(rules(json!([{"tool": "read", "verdict": "deny"}])));
    let mut scripted = Room::new(|_, _| Given::Silence);
    scripted.judge = Judge::model(None, rules(json!([{"tool": "read", "verdict": "deny"}])));
    scripted.model = "script/demo";
    for room in [by_rules, scripted] {
        for (call, expected) in [
            (call("read", json!({"file_path": "x"})), of(Permission::Deny, HIGH_RISK)),
            (bash("ls"), of(Permission::Allow, ALLOW)),
            (bash("rm -rf /"), of(Permission::Deny, HIGH_RISK)),
            (bash("make"), of(Permission::Ask, ASK)),
        ] {
            let decision = hear(&room, &call).await;
            assert_eq!(decision.judged, expected, "{call:?}");
            assert!(decision.spent.is_none());
        }
        assert!(room.fake.asked().is_empty());
    }
}

#[tokio::test]
async fn another_model_can_judge_even_for_a_script() {
    let mut room = Room::new(|_, request| Given::verdict(request, "deny"));
    let agents = testing::Fake::new(|_, _| Given::Silence);
    let own = Route { model: Some("judge-there".into()), ..route("judge-*", room.fake.clone()) };
    room.routes = Routes::new(vec![own, route("*", agents.clone())]).unwrap();
    room.judge = Judge::model(Some("judge-1".into()), Rules::default());
    room.model = "script/demo";
    assert_eq!(hear(&room, &bash("ls")).await.judged, of(Permission::Deny, HIGH_RISK));
    assert_eq!(room.fake.asked()[0].model, "judge-there");
    assert!(agents.asked().is_empty());
}

#[tokio::test]
async fn a_judge_that_no_route_leads_to_judges_nothing() {
    let mut room = Room::new(|_, _| Given::Silence);
    room.routes = Routes::new(vec![route("agent-*", room.fake.clone())]).unwrap();
    room.judge = Judge::model(Some("judge-1".into()), Rules::default());
    assert_eq!(hear(&room, &bash("ls")).await.judged, of(Permission::Ask, ASK));
    assert!(room.fake.asked().is_empty());
}

/// Keeps the records for auditors, each as its fields.
#[derive(Clone, Default)]
struct Auditor(Arc<Mutex<Vec<String>>>);

impl Visit for Auditor {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(record) = self.0.lock().last_mut() {
            record.push_str(&format!("{}={value:?} ", field.name()));
        }
    }
}

impl tracing::Subscriber for Auditor {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "audit"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().push(String::new());
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn every_verdict_is_on_record_without_what_was_judged() {
    let auditor = Auditor::default();
    let _guard = tracing::subscriber::set_default(auditor.clone());
    let mut room = Room::new(|_, request| Given::verdict(request, "deny"));
    hear(&room, &bash("make secret-plans")).await;
    room.judge = Judge::rules(Rules::default());
    hear(&room, &bash("ls secret-plans")).await;
    let records = auditor.0.lock().clone();
    let [first, second] = records.as_slice() else { panic!("{records:?}") };
    let session = room.court().session.to_string();
    for part in [session.as_str(), "tool=\"bash\"", "verdict=\"deny\"", "reason=a model"] {
        assert!(first.contains(part), "{first}");
    }
    assert!(second.contains("verdict=\"allow\"") && second.contains("reason=the built-in rules"), "{second}");
    assert!(!records.concat().contains("secret-plans"), "{records:?}");
}
