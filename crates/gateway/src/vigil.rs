//! When a gateway ends by itself: it belongs to no server, and so nobody else would end it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::gateway::Gateway;
use crate::held::Held;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Returns once nobody can find the gateway any more, or once nobody has needed it for so long.
pub(crate) async fn is_over(gateway: &Gateway, held: &Held, patience: Option<Duration>) {
    let mut needed_at = Instant::now();
    loop {
        sleep(PAUSE).await;
        if !held.is_found() {
            tracing::info!("the gateway's directory, or what others find it by, is gone");
            return;
        }
        if gateway.is_needed() {
            needed_at = Instant::now();
        } else if patience.is_some_and(|patience| needed_at.elapsed() >= patience) {
            tracing::info!("nobody has needed the gateway for a while");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use tempfile::TempDir;
    use tokio::net::UnixListener;
    use tokio::time::timeout;

    use super::*;
    use crate::bench::Bench;
    use crate::control::Attach;
    use crate::sandbox::SocketKind;
    use crate::{Limits, Policy};

    const MINUTE: Duration = Duration::from_secs(60);

    struct Running {
        gateway: Arc<Gateway>,
        held: Held,
        directory: TempDir,
        _bench: Bench,
        _socket: UnixListener,
    }

    impl Running {
        fn new() -> Self {
            let (directory, bench) = (tempfile::tempdir().unwrap(), Bench::unrestricted());
            let held = Held::take(directory.path()).unwrap();
            let socket = held.bind().unwrap();
            let gateway = Arc::new(Gateway::new(Arc::clone(&bench.shared)));
            Self { gateway, held, directory, _bench: bench, _socket: socket }
        }

        fn attach(&self) -> TcpListener {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let attach = Attach {
                sandbox: "sbx_1".into(),
                session: None,
                policy: Policy::Unrestricted,
                limits: Limits::default(),
                sockets: vec![SocketKind::Proxy],
            };
            self.gateway.attach(attach, vec![listener.try_clone().unwrap().into()]).unwrap();
            listener
        }

        /// How long it stays, if it ends within an hour.
        async fn stays(&self, patience: Option<Duration>) -> Option<Duration> {
            let began = Instant::now();
            let over = is_over(&self.gateway, &self.held, patience);
            timeout(Duration::from_secs(3_600), over).await.ok().map(|()| began.elapsed())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_nobody_needs_ends_after_a_while() {
        let running = Running::new();
        let stayed = running.stays(Some(MINUTE)).await.unwrap();
        assert!((MINUTE..MINUTE * 2).contains(&stayed), "{stayed:?}");
        assert_eq!(Running::new().stays(None).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_serves_a_sandbox_stays_until_that_is_gone() {
        let running = Running::new();
        let _inside = running.attach();
        assert_eq!(running.stays(Some(MINUTE)).await, None);
        running.gateway.detach("sbx_1");
        assert!(running.stays(Some(MINUTE)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_controlled_stays_while_it_is() {
        let running = Running::new();
        let controller = Arc::clone(&running.gateway.controllers).try_acquire_owned().unwrap();
        assert_eq!(running.stays(Some(MINUTE)).await, None);
        drop(controller);
        assert!(running.stays(Some(MINUTE)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_whose_directory_is_gone_ends_whatever_it_serves() {
        let running = Running::new();
        let _inside = running.attach();
        std::fs::remove_dir_all(running.directory.path()).unwrap();
        assert!(running.stays(Some(MINUTE)).await.unwrap() < MINUTE);
    }
}
