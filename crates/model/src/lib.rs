//! Models: one trait, [`Client`], and the providers behind it.
//!
//! The canonical conversation is the Messages API's content blocks. What a provider cannot express is dropped at its own
//! edge, and what only it understands goes through untouched as [`Block::Opaque`]. The clients are thin on purpose: the
//! log must replay byte for byte, and general libraries normalise that away.

pub mod anthropic;
mod client;
mod error;
mod http;
mod media;
pub mod openai_chat;
pub mod openai_responses;
pub mod script;
#[cfg(test)]
mod testing;
mod text;
mod tool_input;

pub use client::{Block, Client, Effort, Event, Kind, Message, Request, Response, Role, Stop, Tool, ToolUse, Usage};
pub use error::Error;
pub use http::{Http, Key, Options, SetupError};
