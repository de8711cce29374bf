//! The worker itself: it asks for work, and serves several items at once.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hands::{Ground, Hand, Limits, Network, Sandbox};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Error};
use crate::place::{Place, expire};
use crate::serve::Item;
use crate::work::Work;

/// Before a server that does not answer is asked again. Doubled each time.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A server that says sooner than this that there is no work does not wait for any: it is asked again after a pause.
const SOON: Duration = Duration::from_millis(500);

/// How often it is looked whether something has been kept for long enough.
const EXPIRY: Duration = Duration::from_secs(600);

/// What the next sandbox is made over, and what it may reach.
#[derive(Default)]
pub struct Made {
    pub ground: Ground,
    pub network: Option<Network>,
}

/// Gets ready what sandboxes are made over. What goes wrong is said in words for the model and its user.
#[async_trait::async_trait]
pub trait Grounds: Send + Sync {
    async fn ready(&self) -> Result<Made, String>;
}

pub struct Options {
    pub environment: String,
    /// What other workers of the environment are told apart from this one by.
    pub name: String,
    pub sandbox: Arc<dyn Sandbox>,
    pub grounds: Arc<dyn Grounds>,
    pub limits: Limits,
    /// Items at once.
    pub concurrency: usize,
    /// How long a lease is asked for: a worker that dies is replaced after that.
    pub lease: Duration,
    /// How long a session may have nothing to do before its item is given back.
    pub max_idle: Duration,
    /// How long the files of a session without work are kept.
    pub keep: Duration,
    /// Where it is written which sandbox each session has.
    pub directory: PathBuf,
}

pub struct Worker {
    client: Client,
    options: Arc<Options>,
    /// How many items of each session are being served: a late one may not have ended when the next is here.
    served: Mutex<BTreeMap<String, usize>>,
    /// Sandboxes that cannot be put away.
    held: Mutex<BTreeMap<String, Arc<dyn Hand>>>,
}

impl Worker {
    #[must_use]
    pub fn new(client: Client, options: Options) -> Arc<Self> {
        Arc::new(Self { client, options: Arc::new(options), served: Mutex::default(), held: Mutex::default() })
    }

    /// Serves the environment until it is told to stop, or until the server refuses its key.
    pub async fn run(self: &Arc<Self>, stop: CancellationToken) -> Result<(), Error> {
        let places = Arc::new(Semaphore::new(self.options.concurrency));
        let mut items = JoinSet::new();
        let end = tokio::select! {
            end = async {
                loop {
                    let Ok(place) = places.clone().acquire_owned().await else { pending().await };
                    let work = self.next().await?;
                    let (worker, stop) = (self.clone(), stop.clone());
                    items.spawn(async move {
                        worker.serve(&work, &stop).await;
                        drop(place);
                    });
                    // What has ended is let go of.
                    while items.try_join_next().is_some() {}
                }
            } => end,
            () = self.tidy() => Ok(()),
            () = stop.cancelled() => Ok(()),
        };
        // If its key is good for nothing any more, neither are those of its items for long.
        stop.cancel();
        while items.join_next().await.is_some() {}
        end
    }

    async fn next(&self) -> Result<Work, Error> {
        let Options { environment, name, .. } = &*self.options;
        let mut pause = PAUSE;
        loop {
            let asked = Instant::now();
            match self.client.poll(environment, name).await {
                Ok(Some(work)) => return Ok(work),
                Ok(None) => {
                    pause = PAUSE;
                    if asked.elapsed() < SOON {
                        sleep(PAUSE).await;
                    }
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, again_in = ?pause, "there is no word of work");
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn serve(&self, work: &Work, stop: &CancellationToken) {
        let Some(session) = work.session() else {
            tracing::info!(work = work.id, "an item that is no session's is passed over");
            return;
        };
        // Without one of its own, an item is served with the environment's key.
        let client = match work.token().map(|token| self.client.with(&token)) {
            Some(Err(error)) => {
                tracing::warn!(work = work.id, %error, "an item's token cannot be used");
                return;
            }
            Some(Ok(client)) => client,
            None => self.client.clone(),
        };
        if let Err(error) = client.ack(work).await {
            // Whoever has it, or will be given it, serves it.
            tracing::debug!(work = work.id, %error, "an item was not taken");
            return;
        }
        let place = match Place::take(self.options.clone(), session) {
            Ok(place) => place,
            Err(error) => {
                tracing::error!(session, %error, "what is known of the session's sandbox cannot be read or kept");
                let _ = client.stop(work).await;
                return;
            }
        };
        tracing::info!(session, work = work.id, "serving a session");
        *self.served.lock().entry(session.to_owned()).or_default() += 1;
        let options = &*self.options;
        let hand = Item { client, work, session, place: &place, options }.serve(stop).await;
        {
            let mut held = self.held.lock();
            match hand {
                Some(hand) => drop(held.insert(session.to_owned(), hand)),
                None => drop(held.remove(session)),
            }
        }
        let mut served = self.served.lock();
        if let Some(items) = served.get_mut(session) {
            *items -= 1;
            if *items == 0 {
                served.remove(session);
            }
        }
    }

    async fn tidy(&self) {
        loop {
            match expire(&self.options, |session| self.served.lock().contains_key(session)).await {
                Ok(gone) => {
                    for session in gone {
                        tracing::info!(
                            session,
                            "the files of a session without work have been kept for as long as they are"
                        );
                        self.held.lock().remove(&session);
                    }
                }
                Err(error) => tracing::warn!(%error, "what sessions have left could not be removed"),
            }
            sleep(EXPIRY).await;
        }
    }
}
