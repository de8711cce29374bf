//! Documents one by one: versions, references, workspaces; and the installation's settings.

use session::Visibility;
use wire::SessionId;

use super::fixture::{ELSEWHERE, SESSION, WORKSPACE, append, at, create, document, row};
use crate::{Append, Change, Document, Error, Filter, Kind, Order, Query, Store};

fn delete(kind: Kind, id: &str) -> Change {
    Change::Delete { workspace: WORKSPACE, kind, id: id.to_owned() }
}

pub(super) async fn an_update_names_the_version_it_was_made_from(store: &dyn Store) {
    let first = document(Kind::Agent, "agent_1");
    store.apply(vec![Change::Insert(first.clone())]).await.unwrap();
    let found = store.get(WORKSPACE, Kind::Agent, "agent_1").await.unwrap();
    assert_eq!(found.document, first, "a document is read as it was written");
    assert_eq!(found.summary, None, "only sessions have a summary");
    assert!(store.apply(vec![Change::Insert(first.clone())]).await.is_err(), "a document is inserted once");

    let second = Document {
        version: 2,
        updated_at: at(2),
        archived_at: Some(at(3)),
        parent: Some("parent".into()),
        refers: Some("target".into()),
        body: "{}".into(),
        ..first.clone()
    };
    store.apply(vec![Change::Update(second.clone())]).await.unwrap();
    let found = store.get(WORKSPACE, Kind::Agent, "agent_1").await.unwrap();
    assert_eq!(found.document, second, "an update replaces the document");

    for version in [1, 2, 4] {
        let late = Document { version, body: "late".into(), ..first.clone() };
        let refused = store.apply(vec![Change::Update(late)]).await;
        assert_eq!(refused, Err(Error::Stale { version: 2 }), "version {version} does not follow on 2");
    }
    let found = store.get(WORKSPACE, Kind::Agent, "agent_1").await.unwrap();
    assert_eq!(found.document, second, "an update that is stale changes nothing");
    let absent = Document { version: 2, ..document(Kind::Agent, "agent_2") };
    assert_eq!(store.apply(vec![Change::Update(absent)]).await, Err(Error::NotFound), "what is absent is not updated");
}

pub(super) async fn changes_are_applied_together_or_not_at_all(store: &dyn Store) {
    store.apply(vec![Change::Insert(document(Kind::File, "kept"))]).await.unwrap();
    let changes = vec![
        Change::Insert(document(Kind::File, "new")),
        Change::Update(Document { version: 2, ..document(Kind::File, "kept") }),
        delete(Kind::File, "kept"),
        delete(Kind::File, "absent"),
    ];
    let law = "changes of which one is refused change nothing";
    assert_eq!(store.apply(changes).await, Err(Error::NotFound), "{law}: what is absent was deleted");
    assert_eq!(store.get(WORKSPACE, Kind::File, "new").await, Err(Error::NotFound), "{law}: one was inserted");
    let kept = store.get(WORKSPACE, Kind::File, "kept").await.expect(law);
    assert_eq!(kept.document.version, 1, "{law}: one was updated");

    let in_order = vec![
        Change::Insert(document(Kind::File, "new")),
        Change::Update(Document { version: 2, ..document(Kind::File, "new") }),
        delete(Kind::File, "kept"),
    ];
    store.apply(in_order).await.expect("a change sees those before it");
    assert_eq!(
        store.get(WORKSPACE, Kind::File, "new").await.unwrap().document.version,
        2,
        "changes are applied in order"
    );
    assert_eq!(store.get(WORKSPACE, Kind::File, "kept").await, Err(Error::NotFound), "a document can be deleted");
}

pub(super) async fn what_others_refer_to_is_not_deleted(store: &dyn Store) {
    let environment = document(Kind::Environment, "env_1");
    let elsewhere =
        Document { workspace: ELSEWHERE, refers: Some("env_1".into()), ..document(Kind::Session, "stranger") };
    store.apply(vec![Change::Insert(environment), Change::Insert(elsewhere)]).await.unwrap();
    let session = Document { refers: Some("env_1".into()), ..document(Kind::Session, &SESSION.to_string()) };
    let first = row(1, "session.created", Visibility::Private);
    let creation = Append { changes: vec![Change::Insert(session)], ..append(SESSION, 0, vec![first]) };
    store.create_session(WORKSPACE, creation).await.unwrap();

    let require = |id: &str| Change::Require { workspace: WORKSPACE, kind: Kind::Environment, id: id.into() };
    store.apply(vec![require("env_1")]).await.expect("what is there can be required");
    let new = Change::Insert(document(Kind::File, "of_another"));
    let refused = store.apply(vec![new.clone(), require("env_2")]).await;
    assert_eq!(refused, Err(Error::NotFound), "what is not there cannot be required");
    let archived = Document { archived_at: Some(at(9)), ..document(Kind::Environment, "env_2") };
    store.apply(vec![Change::Insert(archived)]).await.unwrap();
    let refused = store.apply(vec![new, require("env_2")]).await;
    assert_eq!(refused, Err(Error::NotFound), "nor can what is archived");
    let absent = store.get(WORKSPACE, Kind::File, "of_another").await;
    assert_eq!(absent, Err(Error::NotFound), "nothing is written without what it requires");

    let refused = store.apply(vec![delete(Kind::Environment, "env_1")]).await;
    assert_eq!(refused, Err(Error::InUse), "an environment with a session is in use");
    store.get(WORKSPACE, Kind::Environment, "env_1").await.expect("what is in use stays");
    store.delete_session(SESSION).await.unwrap();
    store.apply(vec![delete(Kind::Environment, "env_1")]).await.expect("without its session it is not in use");
    assert_eq!(store.get(WORKSPACE, Kind::Environment, "env_1").await, Err(Error::NotFound), "it is deleted");

    let parent = document(Kind::Agent, "agent_1");
    let child = Document { parent: Some("agent_1".into()), ..document(Kind::AgentVersion, "agent_1@1") };
    store.apply(vec![Change::Insert(parent), Change::Insert(child)]).await.unwrap();
    store.apply(vec![delete(Kind::Agent, "agent_1")]).await.expect("a parent is not kept by its children");
}

pub(super) async fn workspaces_and_kinds_are_apart(store: &dyn Store) {
    let here = Document { body: "here".into(), ..document(Kind::File, "same") };
    let there = Document { workspace: ELSEWHERE, body: "there".into(), ..here.clone() };
    let other_kind = Document { kind: Kind::Environment, body: "other".into(), ..here.clone() };
    let documents = [here, there, other_kind];
    store
        .apply(documents.iter().cloned().map(Change::Insert).collect())
        .await
        .expect("one id may stand for three documents");
    for expected in &documents {
        let Document { workspace, kind, id, .. } = expected;
        let found = store.get(*workspace, *kind, id).await.unwrap();
        assert_eq!(found.document, *expected, "a document is found in its workspace, under its kind");
        let query = Query {
            workspace: *workspace,
            kind: *kind,
            filter: Filter::default(),
            order: Order::default(),
            after: None,
            limit: 9,
        };
        let found = store.query(query).await.unwrap();
        assert_eq!(found.len(), 1, "a list is of one workspace and one kind");
        assert_eq!(found[0].document, *expected, "a list is of its workspace and its kind");
    }
    store.apply(vec![delete(Kind::File, "same")]).await.unwrap();
    assert_eq!(store.get(WORKSPACE, Kind::File, "same").await, Err(Error::NotFound), "what is deleted is gone");
    store.get(ELSEWHERE, Kind::File, "same").await.expect("a deletion stays in its workspace");
    store.get(WORKSPACE, Kind::Environment, "same").await.expect("a deletion stays with its kind");

    create(store, SessionId::from_bits(8)).await;
    let id = SessionId::from_bits(8).to_string();
    assert_eq!(store.get(ELSEWHERE, Kind::Session, &id).await, Err(Error::NotFound), "a session is of one workspace");
}

pub(super) async fn settings_are_kept(store: &dyn Store) {
    assert_eq!(store.setting("key").await, Ok(None), "a setting that was never set is none");
    for value in ["first", "", "second"] {
        store.set("key", value).await.unwrap();
        assert_eq!(store.setting("key").await, Ok(Some(value.to_owned())), "a setting is what it was last set to");
    }
    assert_eq!(store.setting("other").await, Ok(None), "settings are apart");
    for value in ["mine", "yours"] {
        assert_eq!(store.settle("once", value).await.as_deref(), Ok("mine"), "what is settled first stays");
    }
    assert_eq!(store.setting("once").await.unwrap().as_deref(), Some("mine"));
    assert_eq!(store.settle("key", "third").await.as_deref(), Ok("second"), "what is set is settled");
}
