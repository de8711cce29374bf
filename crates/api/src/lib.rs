//! The wire API: one module per resource over axum, all of it behind the same checks of credential, version and betas.
//!
//! Handlers parse, call the brain's sessions or the store, and render. Every refusal is a `wire::Problem`, put into the
//! error envelope in one place. A handler that changes something renders its answer first, and has it remembered with
//! the change.

mod agents;
mod app;
mod auth;
mod beta;
mod body;
mod coverage;
mod cursor;
mod documents;
mod environments;
mod events;
mod files;
mod idempotency;
mod identity;
pub mod keys;
pub mod openapi;
mod query;
mod reply;
mod resources;
mod router;
mod serve;
mod sessions;
mod stream;
mod threads;
mod token;
pub mod vaults;
mod work;

pub use app::App;
pub use auth::Key;
pub use router::router;
pub use serve::serve;
