use std::sync::Arc;

use store::volatile::Volatile;
use store::{SystemClock, SystemRng};
use wire::environment::{EnvironmentType, Scope, Settings};
use wire::read::Metadata;

use super::*;

const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bits(1);

async fn store(config: Config, archived_at: Option<Timestamp>) -> AnyStore {
    let store: AnyStore = Arc::new(Volatile::new(Arc::new(SystemClock)));
    let now = SystemClock.now();
    let settings = Settings { name: "e".into(), description: None, config, metadata: Metadata::new() };
    let environment = Environment {
        id: ENVIRONMENT,
        r#type: EnvironmentType::Environment,
        settings,
        scope: Scope::Organization,
        created_at: now,
        updated_at: now,
        archived_at,
    };
    let body = serde_json::to_string(&environment).unwrap();
    let document = Document::new(WORKSPACE, Kind::Environment, ENVIRONMENT, now, body);
    store.apply(vec![Change::Insert(document)]).await.unwrap();
    store
}

async fn make(store: &AnyStore) -> Result<Made, Error> {
    create(store, &SystemClock, &SystemRng, &ENVIRONMENT.to_string(), Some("shop floor".into())).await
}

#[tokio::test]
async fn a_key_is_told_once_and_its_digest_kept() {
    let store = store(Config::SelfHosted {}, None).await;
    let made = make(&store).await.unwrap();
    assert!(made.key.starts_with("sk-ant-oat01-"));
    assert_eq!(list(&store).await.unwrap(), std::slice::from_ref(&made.about));
    let kept = store.get(WORKSPACE, Kind::EnvironmentKey, &made.about.id.to_string()).await.unwrap();
    assert!(!kept.document.body.contains(&made.key), "the key itself is nowhere");
    let record: Record = serde_json::from_str(&kept.document.body).unwrap();
    let shown = token::read(&made.key).unwrap();
    assert_eq!((shown.digest, shown.bits), (record.digest, record.id.bits()));
}

#[tokio::test]
async fn a_key_is_revoked_for_good() {
    let store = store(Config::SelfHosted {}, None).await;
    let id = make(&store).await.unwrap().about.id.to_string();
    let revoked = revoke(&store, &SystemClock, &id).await.unwrap();
    assert!(revoked.revoked_at.is_some());
    assert_eq!(revoke(&store, &SystemClock, &id).await.unwrap(), revoked);
    assert!(matches!(revoke(&store, &SystemClock, "envkey_x").await, Err(Error::NoKey(_))));
}

#[tokio::test]
async fn only_a_live_self_hosted_environment_has_keys() {
    let cloud = store(Config::default(), None).await;
    assert!(matches!(make(&cloud).await, Err(Error::NotSelfHosted(_))));
    let archived = store(Config::SelfHosted {}, Some(SystemClock.now())).await;
    assert!(matches!(make(&archived).await, Err(Error::Archived(_))));
    let other = create(&archived, &SystemClock, &SystemRng, "env_x", None).await;
    assert!(matches!(other, Err(Error::NoEnvironment(_))));
}

#[tokio::test]
async fn the_keys_of_an_environment_go_with_it() {
    let store = store(Config::SelfHosted {}, None).await;
    for _ in 0..2 {
        make(&store).await.unwrap();
    }
    let other = removal(&store, &EnvironmentId::from_bits(9).to_string()).await.unwrap();
    assert!(other.is_empty());
    store.apply(removal(&store, &ENVIRONMENT.to_string()).await.unwrap()).await.unwrap();
    assert_eq!(list(&store).await.unwrap(), []);
}
