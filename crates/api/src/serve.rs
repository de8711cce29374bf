//! Serving on a listener until told to stop.

use std::future::Future;
use std::io;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::app::App;
use crate::router::router;

/// Answers requests until `stop` is ready, then lets those that are being answered finish. Live streams end at once, by the
/// token in `App`.
pub async fn serve(listener: TcpListener, app: App, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    // Events are small and wanted now: waiting to fill a packet would only delay them.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, router(app)).with_graceful_shutdown(stop).await
}
