//! The backends of this machine keep the law: as the current user, as an ordinary one, and over the death of a server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod local;
mod ordinary;
mod pooled;
mod survival;

use hands::conformance;

use crate::local::{Backend, Local, Place};

async fn conforms(backend: Backend) {
    if let Some(found) = backend.found() {
        let place = Place::new(found).await;
        conformance::run(async || Local::new(&place)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_conform() {
    conforms(Backend::Namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gvisor_conforms() {
    conforms(Backend::Gvisor).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gvisor_from_a_pool_conforms() {
    conforms(Backend::Pooled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crun_conforms() {
    conforms(Backend::Crun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runc_conforms() {
    conforms(Backend::Runc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_nothing_conforms_in_all_else() {
    conforms(Backend::None).await;
}
