//! Who asks, and what of the API that is good for.

mod reach;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use brain::WorkRecord;
use store::{Error, Kind};
use wire::error::Kind as Fault;
use wire::work::Data;
use wire::{EnvironmentId, KeyId, Problem, SessionId, WorkId};

use self::reach::{Act, Reach, reach};
use crate::app::{App, WORKSPACE};
use crate::auth;
use crate::documents::{missing, parse};
use crate::keys::Record as KeyRecord;
use crate::reply::{Refused, internal, unexpected};
use crate::token::{self, Shown};

/// Known of every request that reaches a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Whoever has the API key.
    Operator,
    /// Workers of a self-hosted environment.
    Environment { key: KeyId, environment: EnvironmentId },
    /// The worker that a poll gave a work item to.
    Work { work: WorkId, environment: EnvironmentId, session: SessionId, is_over: bool, digest: String },
}

impl Identity {
    /// Tells the credential by its value, whichever header it came in.
    pub(crate) async fn of(app: &App, headers: &HeaderMap) -> Result<Self, Refused> {
        let given = auth::given(headers)?;
        if given.iter().any(|secret| app.key.matches(secret)) {
            return Ok(Self::Operator);
        }
        for shown in given.iter().filter_map(|secret| token::read(secret)) {
            if let Some(identity) = Self::find(app, shown).await? {
                return Ok(identity);
            }
        }
        Err(auth::unknown().into())
    }

    /// Looked up on each request: what is revoked or over is so at once, on every node.
    async fn find(app: &App, shown: Shown) -> Result<Option<Self>, Refused> {
        let (kind, id) = match shown.kind {
            token::Kind::Environment => (Kind::EnvironmentKey, KeyId::from_bits(shown.bits).to_string()),
            token::Kind::Work => (Kind::Work, WorkId::from_bits(shown.bits).to_string()),
        };
        let document = match app.store().get(WORKSPACE, kind, &id).await {
            Ok(listed) => listed.document,
            Err(Error::NotFound) => return Ok(None),
            Err(error) => return Err(unexpected(error)),
        };
        match shown.kind {
            token::Kind::Environment => {
                let record: KeyRecord = parse(&document)?;
                let is_good = document.archived_at.is_none() && record.digest == shown.digest;
                Ok(is_good.then_some(Self::Environment { key: record.id, environment: record.environment_id }))
            }
            token::Kind::Work => {
                let WorkRecord { work, token, key, .. } = parse(&document)?;
                if token.as_ref() != Some(&shown.digest) || !stands(app, key).await? {
                    return Ok(None);
                }
                let Data::Session { id: session } = work.data;
                let (is_over, digest) = (work.stopped_at.is_some(), shown.digest);
                Ok(Some(Self::Work { work: work.id, environment: work.environment_id, session, is_over, digest }))
            }
        }
    }

    /// Whether it is still good for what it was good for: for what goes on after its request.
    pub(crate) async fn is_good(&self, app: &App) -> Result<bool, Refused> {
        match self {
            Self::Operator => Ok(true),
            Self::Environment { key, .. } => stands(app, Some(*key)).await,
            Self::Work { work, digest, .. } => {
                let shown = Shown { kind: token::Kind::Work, bits: work.bits(), digest: digest.clone() };
                Ok(matches!(Self::find(app, shown).await?, Some(Self::Work { is_over: false, .. })))
            }
        }
    }

    pub(crate) fn is_operator(&self) -> bool {
        *self == Self::Operator
    }

    pub(crate) fn key(&self) -> Option<KeyId> {
        match self {
            Self::Environment { key, .. } => Some(*key),
            Self::Operator | Self::Work { .. } => None,
        }
    }

    /// What tells a worker's requests from everybody else's.
    pub(crate) fn client(&self) -> Option<String> {
        match self {
            Self::Operator => None,
            Self::Environment { key, .. } => Some(key.to_string()),
            Self::Work { work, .. } => Some(work.to_string()),
        }
    }

    /// Refuses what the credential is not for.
    pub(crate) async fn check(&self, app: &App, method: &Method, path: &str) -> Result<(), Refused> {
        match self.may(&reach(method, path))? {
            May::Go => Ok(()),
            May::IfOf { session, environment } => {
                let parsed: SessionId = session.parse().map_err(|_| missing(Kind::Session, session))?;
                match app.brain.sessions().open(parsed).await {
                    Ok(live) if live.record().environment_id == environment => Ok(()),
                    Ok(_) | Err(Error::NotFound) => Err(missing(Kind::Session, session).into()),
                    Err(error) => Err(unexpected(error)),
                }
            }
        }
    }

    fn may<'a>(&self, reach: &Reach<'a>) -> Result<May<'a>, Problem> {
        match (self, *reach) {
            (Self::Operator, Reach::Work { act, .. }) if act.is_workers() => {
                Err(forbidden("This route takes an environment key, and no API key"))
            }
            (Self::Operator, _) => Ok(May::Go),
            (Self::Environment { environment, .. }, Reach::Work { environment: asked, act, .. }) => {
                if asked != environment.to_string() {
                    return Err(forbidden("This environment key is of another environment"));
                }
                if act == Act::Item {
                    return Err(forbidden("This route takes an API key, and no environment key"));
                }
                Ok(May::Go)
            }
            (Self::Environment { environment, .. }, Reach::Session(session)) => {
                Ok(May::IfOf { session, environment: *environment })
            }
            (Self::Work { work, environment, .. }, Reach::Work { environment: place, work: Some(asked), act })
                if act.is_items() && asked == work.to_string() && place == environment.to_string() =>
            {
                Ok(May::Go)
            }
            (Self::Work { is_over: true, .. }, _) => {
                Err(Problem::new(Fault::AuthenticationError, "The work item of this token has ended"))
            }
            (Self::Work { session, .. }, Reach::Session(asked)) => {
                if asked == session.to_string() {
                    Ok(May::Go)
                } else {
                    Err(missing(Kind::Session, asked))
                }
            }
            (Self::Work { .. }, Reach::Work { .. }) => {
                Err(forbidden("This token is for one work item: its ack, its heartbeat and its stop"))
            }
            (Self::Environment { .. } | Self::Work { .. }, Reach::Else) => Err(forbidden(
                "This credential is for workers of a self-hosted environment. The route takes an API key",
            )),
        }
    }
}

/// Whether nobody has revoked the environment key, or removed it with its environment.
async fn stands(app: &App, key: Option<KeyId>) -> Result<bool, Refused> {
    let Some(key) = key else { return Ok(true) };
    match app.store().get(WORKSPACE, Kind::EnvironmentKey, &key.to_string()).await {
        Ok(listed) => Ok(listed.document.archived_at.is_none()),
        Err(Error::NotFound) => Ok(false),
        Err(error) => Err(unexpected(error)),
    }
}

/// What a credential's word alone does not settle.
#[derive(Debug, PartialEq, Eq)]
enum May<'a> {
    Go,
    /// If the session is one of this environment.
    IfOf {
        session: &'a str,
        environment: EnvironmentId,
    },
}

fn forbidden(message: &str) -> Problem {
    Problem::new(Fault::PermissionError, message)
}

impl<S: Send + Sync> FromRequestParts<S> for Identity {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let identity = parts.extensions.get::<Self>().cloned();
        identity.ok_or_else(|| internal("a defect: the route is not behind the guard").into())
    }
}

#[cfg(test)]
mod tests;
