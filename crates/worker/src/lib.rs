//! A worker of a self-hosted environment: it takes the environment's work items, and runs what their sessions' agents ask
//! for in sandboxes of its own machine.
//!
//! It speaks the public protocol and nothing else, so it serves any server that does. It keeps one directory: which sandbox
//! each session has, and in those the journals of their calls. So a worker that dies takes up where it stopped, and runs no
//! call twice.

mod client;
mod docket;
mod feed;
mod lease;
mod place;
mod serve;
mod work;
mod worker;

pub use client::{Client, Error, Unusable};
pub use worker::{Grounds, Made, Options, Worker};
