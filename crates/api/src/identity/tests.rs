use super::*;

const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bits(1);
const WORK: WorkId = WorkId::from_bits(2);
const SESSION: SessionId = SessionId::from_bits(3);

fn key() -> Identity {
    Identity::Environment { key: KeyId::from_bits(4), environment: ENVIRONMENT }
}

fn token(is_over: bool) -> Identity {
    Identity::Work { work: WORK, environment: ENVIRONMENT, session: SESSION, is_over, digest: String::new() }
}

/// The status of the refusal; 200 if there is none.
fn asks(identity: &Identity, method: &Method, path: &str) -> u16 {
    identity.may(&reach(method, path)).map_or_else(|refused| refused.kind.status(), |_| 200)
}

/// Each route, and what becomes of: the API key, the environment's key, the item's token, the token once that has ended.
#[test]
fn every_route_takes_its_own_credentials() {
    let (get, post) = (Method::GET, Method::POST);
    let queue = format!("/v1/environments/{ENVIRONMENT}/work");
    let session = format!("/v1/sessions/{SESSION}");
    let of = |tail: &str| format!("{queue}/{WORK}{tail}");
    for (method, path, expected) in [
        (&get, format!("{queue}/poll"), [403, 200, 403, 401]),
        (&get, queue.clone(), [403, 200, 403, 401]),
        (&get, format!("{queue}/stats"), [200, 200, 403, 401]),
        (&post, of("/ack"), [403, 200, 200, 200]),
        (&post, of("/heartbeat"), [403, 200, 200, 200]),
        (&post, of("/stop"), [200, 200, 200, 200]),
        (&get, of(""), [200, 403, 403, 401]),
        (&post, of(""), [200, 403, 403, 401]),
        (&get, session.clone(), [200, 200, 200, 401]),
        (&get, format!("{session}/events"), [200, 200, 200, 401]),
        (&post, format!("{session}/events"), [200, 200, 200, 401]),
        (&get, format!("{session}/events/stream"), [200, 200, 200, 401]),
        (&get, format!("{session}/stream"), [200, 200, 200, 401]),
        (&post, session.clone(), [200, 403, 403, 401]),
        (&Method::DELETE, session.clone(), [200, 403, 403, 401]),
        (&Method::HEAD, session.clone(), [200, 403, 403, 401]),
        (&post, format!("{session}/archive"), [200, 403, 403, 401]),
        (&get, format!("{session}/resources"), [200, 403, 403, 401]),
        (&get, format!("{session}/events/"), [200, 403, 403, 401]),
        (&get, format!("/v1/environments/{ENVIRONMENT}"), [200, 403, 403, 401]),
        (&get, "/v1/sessions".into(), [200, 403, 403, 401]),
        (&post, "/v1/agents".into(), [200, 403, 403, 401]),
        (&post, "/v1/stead/keys".into(), [200, 403, 403, 401]),
        (&get, "/v1/files".into(), [200, 403, 403, 401]),
        (&get, "/nowhere".into(), [200, 403, 403, 401]),
    ] {
        let identities = [Identity::Operator, key(), token(false), token(true)];
        let statuses = identities.map(|identity| asks(&identity, method, &path));
        assert_eq!(statuses, expected, "{method} {path}");
    }
}

#[test]
fn a_credential_is_good_for_its_own_alone() {
    let (get, post) = (Method::GET, Method::POST);
    let (other, other_work) = (EnvironmentId::from_bits(9), WorkId::from_bits(9));
    let elsewhere = format!("/v1/environments/{other}/work");
    assert_eq!(asks(&key(), &get, &format!("{elsewhere}/poll")), 403);
    assert_eq!(asks(&key(), &post, &format!("{elsewhere}/{WORK}/stop")), 403);
    assert_eq!(asks(&token(false), &post, &format!("{elsewhere}/{WORK}/stop")), 403);
    let path = format!("/v1/environments/{ENVIRONMENT}/work/{other_work}/heartbeat");
    assert_eq!(asks(&token(false), &post, &path), 403);
    let stranger = SessionId::from_bits(9);
    assert_eq!(asks(&token(false), &get, &format!("/v1/sessions/{stranger}")), 404);
    let session = stranger.to_string();
    let path = format!("/v1/sessions/{session}");
    let may = key().may(&reach(&get, &path)).unwrap();
    assert_eq!(may, May::IfOf { session: &session, environment: ENVIRONMENT }, "the session has to be looked at");
}
