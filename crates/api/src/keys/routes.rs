//! `/v1/stead/keys`

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;
use wire::Problem;
use wire::page::Page;
use wire::read::{Fields, Invalid, Read, text};

use super::{EnvironmentKey, Error, Made};
use crate::app::App;
use crate::body::Body;
use crate::reply::{Refused, Reply, internal, unexpected};

pub(crate) struct Create {
    environment_id: String,
    name: Option<String>,
}

impl Read for Create {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let environment_id = fields.required("environment_id")?;
        let name = fields.optional::<String>("name")?.map(|name| text(name, "name", 1..=256)).transpose()?;
        fields.end()?;
        Ok(Self { environment_id, name })
    }
}

fn refused(error: Error) -> Refused {
    match error {
        Error::NoEnvironment(_) => Problem::not_found(error.to_string()).with_code("environment_not_found").into(),
        Error::NoKey(_) => Problem::not_found(error.to_string()).into(),
        Error::NotSelfHosted(_) => Problem::invalid(format!("environment_id: {error}")).into(),
        Error::Archived(_) => Problem::invalid(error.to_string()).with_code("environment_archived").into(),
        Error::Store(error) => unexpected(error),
        Error::Unreadable(_) => internal(error).into(),
    }
}

/// Never answered a second time from memory: the answer has the secret in it.
pub(crate) async fn create(State(app): State<App>, Body(create): Body<Create>) -> Reply<Made> {
    let sessions = app.brain.sessions();
    let Create { environment_id, name } = create;
    let made = super::create(&sessions.store, &*sessions.clock, &*sessions.rng, &environment_id, name).await;
    Ok(Json(made.map_err(refused)?))
}

pub(crate) async fn list(State(app): State<App>) -> Reply<Page<EnvironmentKey>> {
    Ok(Json(Page::new(super::list(app.store()).await.map_err(refused)?, None)))
}

pub(crate) async fn revoke(State(app): State<App>, Path(id): Path<String>) -> Reply<EnvironmentKey> {
    let clock = app.brain.sessions().clock.clone();
    Ok(Json(super::revoke(app.store(), &*clock, &id).await.map_err(refused)?))
}

#[cfg(test)]
mod tests {
    use wire::error::Kind;

    use super::*;

    #[test]
    fn refusals_say_what_is_wrong_with_the_environment() {
        for (error, status, code) in [
            (Error::NoEnvironment("e".into()), 404, Some("environment_not_found")),
            (Error::Archived("e".into()), 400, Some("environment_archived")),
            (Error::NotSelfHosted("e".into()), 400, None),
            (Error::NoKey("k".into()), 404, None),
        ] {
            let refused = refused(error);
            assert_eq!((refused.problem().kind.status(), refused.problem().code), (status, code));
        }
        assert_eq!(Kind::ApiError, refused(Error::Unreadable("x".into())).problem().kind);
    }
}
