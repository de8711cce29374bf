//! The routes, and what every request passes.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use wire::{Problem, RequestId};

use crate::app::{App, WORKSPACE};
use crate::identity::Identity;
use crate::keys::routes as keys;
use crate::reply::{Refused, seal};
use crate::vaults::{credentials, upkeep};
use crate::{
    agents, beta, body, environments, events, files, idempotency, openapi, resources, sessions, stream, threads,
    vaults, work,
};

/// The whole server.
pub fn router(app: App) -> Router {
    let managed = managed().route_layer(from_fn_with_state(app.clone(), idempotency::layer));
    let managed = managed.route_layer(from_fn_with_state((), managed_beta));
    let v1 = managed.merge(file_routes()).merge(own_routes()).layer(DefaultBodyLimit::max(body::MAX_JSON));
    let uploads =
        Router::new().route("/v1/files", post(files::upload)).layer(DefaultBodyLimit::max(files::MAX_FILE + (1 << 20)));
    let guarded = v1.merge(uploads).fallback(absent).method_not_allowed_fallback(absent);
    let guarded = guarded.layer(from_fn_with_state(app.clone(), guard));
    Router::new()
        .route("/health", get(health))
        .route("/openapi.json", get(openapi_json))
        .merge(guarded)
        .layer(from_fn_with_state(app.clone(), finish))
        .with_state(app)
}

/// The routes of the managed-agents beta, as `(path, methods)`: see `openapi` for what each does.
fn managed() -> Router<App> {
    let routes: [(&str, MethodRouter<App>); 32] = [
        ("/v1/agents", post(agents::create).get(agents::list)),
        ("/v1/agents/{agent_id}", get(agents::retrieve).post(agents::update)),
        ("/v1/agents/{agent_id}/archive", post(agents::archive)),
        ("/v1/agents/{agent_id}/versions", get(agents::versions)),
        ("/v1/environments", post(environments::create).get(environments::list)),
        (
            "/v1/environments/{environment_id}",
            get(environments::retrieve).post(environments::update).delete(environments::delete),
        ),
        ("/v1/environments/{environment_id}/archive", post(environments::archive)),
        ("/v1/environments/{environment_id}/work", get(work::list)),
        ("/v1/environments/{environment_id}/work/poll", get(work::poll)),
        ("/v1/environments/{environment_id}/work/stats", get(work::stats)),
        ("/v1/environments/{environment_id}/work/{work_id}", get(work::retrieve).post(work::update)),
        ("/v1/environments/{environment_id}/work/{work_id}/ack", post(work::ack)),
        ("/v1/environments/{environment_id}/work/{work_id}/heartbeat", post(work::heartbeat)),
        ("/v1/environments/{environment_id}/work/{work_id}/stop", post(work::stop)),
        ("/v1/vaults", post(vaults::create).get(vaults::list)),
        ("/v1/vaults/{vault_id}", get(vaults::retrieve).post(vaults::update).delete(vaults::delete)),
        ("/v1/vaults/{vault_id}/archive", post(vaults::archive)),
        ("/v1/vaults/{vault_id}/credentials", post(credentials::create).get(credentials::list)),
        (
            "/v1/vaults/{vault_id}/credentials/{credential_id}",
            get(credentials::retrieve).post(credentials::update).delete(credentials::delete),
        ),
        ("/v1/vaults/{vault_id}/credentials/{credential_id}/archive", post(credentials::archive)),
        ("/v1/sessions", post(sessions::create).get(sessions::list)),
        ("/v1/sessions/{session_id}", get(sessions::retrieve).post(sessions::update).delete(sessions::delete)),
        ("/v1/sessions/{session_id}/archive", post(sessions::archive)),
        ("/v1/sessions/{session_id}/events", get(events::list).post(events::send)),
        ("/v1/sessions/{session_id}/events/stream", get(stream::session)),
        // Two independent clients ask here.
        ("/v1/sessions/{session_id}/stream", get(stream::session)),
        ("/v1/sessions/{session_id}/resources", get(resources::list).post(resources::add)),
        (
            "/v1/sessions/{session_id}/resources/{resource_id}",
            get(resources::retrieve).post(resources::update).delete(resources::delete),
        ),
        ("/v1/sessions/{session_id}/threads", get(threads::list)),
        ("/v1/sessions/{session_id}/threads/{thread_id}", get(threads::retrieve)),
        ("/v1/sessions/{session_id}/threads/{thread_id}/events", get(threads::events)),
        ("/v1/sessions/{session_id}/threads/{thread_id}/stream", get(threads::live)),
    ];
    routes.into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods))
}

fn file_routes() -> Router<App> {
    Router::new()
        .route("/v1/files", get(files::list))
        .route("/v1/files/{file_id}", get(files::retrieve))
        .route("/v1/files/{file_id}", delete(files::delete))
        .route("/v1/files/{file_id}/content", get(files::content))
}

/// Additions to the API. Their answers are not remembered: a new key is told once.
fn own_routes() -> Router<App> {
    Router::new()
        .route("/v1/stead/keys", post(keys::create).get(keys::list))
        .route("/v1/stead/keys/{key_id}/revoke", post(keys::revoke))
        .route("/v1/stead/vault/rotate", post(upkeep::post_rotate))
        .route("/v1/stead/vault/check", post(upkeep::post_check))
        .route("/v1/stead/vault/rewrap", post(upkeep::post_rewrap))
}

async fn health() -> &'static str {
    "ok\n"
}

async fn openapi_json() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document()).into_response()
}

async fn absent(request: Request) -> Refused {
    let shown: String = request.uri().path().chars().take(200).collect();
    let message =
        format!("No route {} {shown}. docs/COMPATIBILITY.md lists the routes of this version", request.method());
    Problem::not_found(message).into()
}

/// Credential, version and betas come before anything else is looked at. Handlers find who asks in the extensions.
async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&app, &parts).await {
        Ok(identity) => {
            parts.extensions.insert(identity);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refused) => {
            tracing::info!(target: "audit", path = parts.uri.path(), status = refused.status().as_u16(), "refused");
            refused.into_response()
        }
    }
}

async fn admit(app: &App, parts: &Parts) -> Result<Identity, Refused> {
    let identity = Identity::of(app, &parts.headers).await?;
    beta::check(&parts.headers)?;
    identity.check(app, &parts.method, parts.uri.path()).await?;
    Ok(identity)
}

/// Without its beta header such a route does not exist.
async fn managed_beta(State(()): State<()>, request: Request, next: Next) -> Response {
    if beta::has(request.headers(), beta::MANAGED_AGENTS) {
        return next.run(request).await;
    }
    let message = format!("Not found. This route needs the header anthropic-beta: {}", beta::MANAGED_AGENTS);
    Refused::from(Problem::not_found(message)).into_response()
}

/// Gives every answer its request id, and refusals their envelope.
async fn finish(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = RequestId::from_bits(app.bits());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(request_id = %id, %method, path, "answered with 500");
    } else {
        tracing::debug!(request_id = %id, %method, path, status = response.status().as_u16(), "answered");
    }
    let mut response = seal(response, id);
    if let Ok(value) = HeaderValue::from_str(&WORKSPACE.to_string()) {
        response.headers_mut().insert("anthropic-workspace-id", value);
    }
    // Axum's own refusals, such as of a path that is not UTF-8, have a text body: they get the envelope too.
    let plain =
        response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if plain && response.status().is_client_error() {
        return enveloped(response, id);
    }
    response
}

fn enveloped(response: Response, id: RequestId) -> Response {
    let status = response.status();
    let kind = match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => wire::error::Kind::NotFoundError,
        StatusCode::PAYLOAD_TOO_LARGE => wire::error::Kind::RequestTooLarge,
        _ => wire::error::Kind::InvalidRequestError,
    };
    let reason = status.canonical_reason().unwrap_or("The request could not be read");
    let mut sealed = seal(Refused::from(Problem::new(kind, reason)).into_response(), id);
    let (parts, _) = response.into_parts();
    *sealed.status_mut() = parts.status;
    sealed.map(Body::new)
}
