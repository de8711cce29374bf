//! The reference store keeps the law.

use std::sync::Arc;

use store::SystemClock;
use store::conformance;
use store::volatile::Volatile;

#[tokio::test]
async fn the_volatile_store_conforms() {
    conformance::run(async || Volatile::new(Arc::new(SystemClock))).await;
}
