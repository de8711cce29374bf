//! Which registry is asked, with what credentials, and where it may lead.

use super::*;

/// Of the user `user` with the password `pass`.
const BASIC: &str = "Basic dXNlcjpwYXNz";

fn credentials(host: &str) -> Credentials {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    fs::write(&path, json!({ "auths": { host: { "auth": "dXNlcjpwYXNz" } } }).to_string()).unwrap();
    Credentials::read(&path).unwrap()
}

fn named(registry: Option<&str>, name: &str) -> Reference {
    let (registry, tag) = (registry.map(str::to_owned), Some("latest".to_owned()));
    Reference { registry, name: name.to_owned(), tag, digest: None }
}

/// Gives out tokens at `/token`, and images for the token `right`. `basic` is what a token costs.
fn guarded(basic: Option<&'static str>) -> Fake {
    let (blobs, digest) = image();
    let served = serving(blobs, [("v1", digest)]);
    let own: Arc<Mutex<String>> = Arc::default();
    let host = Arc::clone(&own);
    let fake = Fake::start(move |asked| {
        if let Some(query) = asked.path.strip_prefix("/token?") {
            let fits = query == "service=images&scope=repository%3Aapp%3Apull";
            return match fits && asked.authorization() == basic {
                true => Reply::ok(br#"{"token":"right","expires_in":60}"#.to_vec()),
                false => Reply::status(401),
            };
        }
        if asked.authorization() == Some("Bearer right") {
            return served(asked);
        }
        let challenge = format!(r#"Bearer realm="http://{}/token",service="images""#, host.lock());
        Reply::status(401).header("www-authenticate", &challenge)
    });
    *own.lock() = fake.host();
    fake
}

#[tokio::test]
async fn a_token_is_got_without_credentials() {
    let fake = guarded(None);
    assert!(Store::new(&fake).ensure("app:v1").await.is_ok());
    let tokens = fake.all().iter().filter(|asked| asked.path.starts_with("/token")).count();
    assert_eq!(tokens, 1);
}

#[tokio::test]
async fn a_token_is_got_with_credentials() {
    let fake = guarded(Some(BASIC));
    let mut store = Store::new(&fake);
    assert!(matches!(store.refused("app:v1").await, Error::Denied { .. }));
    store.options.registries.credentials = credentials(&fake.host());
    assert!(store.ensure("app:v1").await.is_ok());
    // The password is for whoever gives out tokens, and for nobody else.
    let paid: Vec<_> = fake.all().into_iter().filter(|asked| asked.authorization() == Some(BASIC)).collect();
    assert!(paid.len() == 1 && paid[0].path.starts_with("/token"), "{paid:?}");
}

#[tokio::test]
async fn a_password_is_sent_where_it_is_asked_for() {
    let (blobs, digest) = image();
    let served = serving(blobs, [("v1", digest)]);
    let fake = Fake::start(move |asked| match asked.authorization() {
        Some(BASIC) => served(asked),
        _ => Reply::status(401).header("www-authenticate", r#"Basic realm="images""#),
    });
    let mut store = Store::new(&fake);
    assert!(matches!(store.refused("app:v1").await, Error::Denied { .. }));
    store.options.registries.credentials = credentials(&fake.host());
    assert!(store.ensure("app:v1").await.is_ok());
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_no_token() {
    for body in [r#"{"token":"a\nb"}"#, r#"{"token":null}"#, "[]", ""] {
        let own: Arc<Mutex<String>> = Arc::default();
        let host = Arc::clone(&own);
        let fake = Fake::start(move |asked| match asked.path.starts_with("/token") {
            true => Reply::ok(body.into()),
            false => {
                let challenge = format!(r#"Bearer realm="http://{}/token""#, host.lock());
                Reply::status(401).header("www-authenticate", &challenge)
            }
        });
        *own.lock() = fake.host();
        assert!(matches!(Store::new(&fake).refused("app:v1").await, Error::Denied { .. }), "{body}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_without_credentials() {
    let (blobs, digest) = image();
    let asks = Arc::new(AtomicBool::new(false));
    let (stored, strict) = (serving(blobs.clone(), []), Arc::clone(&asks));
    let storage = Fake::start(move |asked| match strict.load(Ordering::Relaxed) {
        true => Reply::status(401).header("www-authenticate", r#"Basic realm="storage""#),
        false => stored(asked),
    });
    let (served, elsewhere) = (serving(blobs, [("v1", digest)]), storage.host());
    let fake = Fake::start(move |asked| match asked.authorization() {
        Some(BASIC) if asked.path.contains("/blobs/") => {
            Reply::status(307).header("location", &format!("http://{elsewhere}{}", asked.path))
        }
        Some(BASIC) => served(asked),
        _ => Reply::status(401).header("www-authenticate", r#"Basic realm="images""#),
    });
    let mut store = Store::new(&fake);
    store.options.registries.credentials = credentials(&fake.host());
    assert!(store.ensure("app:v1").await.is_ok());
    assert!(storage.all().len() >= 3);
    asks.store(true, Ordering::Relaxed);
    let mut store = Store::new(&fake);
    store.options.registries.credentials = credentials(&fake.host());
    let error = store.refused("app:v1").await;
    assert!(matches!(&error, Error::Denied { reason, .. } if reason.contains("redirects")), "{error}");
    assert!(storage.all().iter().all(|asked| asked.authorization().is_none()));
}

#[tokio::test]
async fn redirects_without_end_are_given_up() {
    let fake = Fake::start(|asked: &Asked| Reply::status(302).header("location", &asked.path));
    assert!(matches!(Store::new(&fake).refused("app:v1").await, Error::Denied { .. }));
    assert!(fake.all().len() <= 10, "{}", fake.all().len());
}

#[test]
fn a_name_without_a_host_is_looked_for_in_the_default_registry() {
    let mut registries = Registries::default();
    let none = registries.locate(&named(None, "app")).unwrap_err();
    assert!(matches!(none, crate::Error::NoDefaultRegistry(_)));
    registries.default = Some("images.example:5000/library".into());
    let located = |registry: Option<&str>, name: &str| registries.locate(&named(registry, name)).unwrap();
    let expected = |host: &str, name: &str| (host.to_owned(), name.to_owned());
    assert_eq!(located(None, "app"), expected("images.example:5000", "library/app"));
    assert_eq!(located(None, "team/app"), expected("images.example:5000", "team/app"));
    assert_eq!(located(Some("other.example"), "app"), expected("other.example", "app"));
    let odd = Registries { default: Some("images.example?/x".into()), ..Registries::default() };
    assert!(odd.locate(&named(None, "app")).is_err());
}

#[test]
fn where_registries_are_listed_no_other_is_asked() {
    let registries = Registries {
        default: Some("images.example/library".into()),
        only: Some(vec!["one.example".into()]),
        ..Registries::default()
    };
    for (registry, allowed) in [(Some("one.example"), true), (Some("images.example"), true), (None, true)] {
        assert_eq!(registries.locate(&named(registry, "app")).is_ok(), allowed, "{registry:?}");
    }
    for registry in ["two.example", "one.example:5000", "169.254.169.254"] {
        let refused = registries.locate(&named(Some(registry), "app")).unwrap_err();
        assert!(matches!(refused, crate::Error::NotAllowed(_)), "{registry}");
    }
}

#[test]
fn only_the_loopback_interface_is_reached_unsecured_without_being_told() {
    let loopback = |host: &str| is_loopback(&Url::parse(&format!("https://{host}/")).unwrap());
    for host in ["localhost:5000", "127.0.0.1", "127.3.2.1:80", "[::1]:5000"] {
        assert!(loopback(host), "{host}");
    }
    for host in ["images.example", "localhost.example", "10.0.0.1", "[::2]", "0.0.0.0"] {
        assert!(!loopback(host), "{host}");
    }
}
