//! The one connection to each other node over which its previews come.

use std::sync::Arc;
use std::time::Duration;

use bus::{Heard, Preview};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep};

use crate::frame::{self, MOST};
use crate::handshake;
use crate::peers::Shared;
use crate::wants::{Carried, Interest, Want};

/// Between two attempts to connect: at first, and at most.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// Interests that are written together.
const TOGETHER: usize = 256;

/// The link's task: it ends when the node is no longer among those that live, or when nobody hears this node's port any
/// more. Whatever else fails, it connects again.
pub(crate) async fn keep(shared: Arc<Shared>, directory: String, address: String) {
    let mut pause = FIRST;
    let mut is_told = false;
    while !shared.local.heard.is_closed() {
        let began = Instant::now();
        let error = match shared.reach(&directory, &address, &Want::Previews).await {
            Ok(stream) => {
                is_told = false;
                let (read, write) = stream.into_split();
                tokio::select! {
                    error = hear(&shared, read) => error,
                    error = tell(&shared, write) => error,
                }
            }
            Err(error) => error,
        };
        if is_told {
            tracing::debug!(directory, address, %error, "a node still cannot be reached");
        } else {
            tracing::info!(directory, address, %error, "a node cannot be reached; until it can, its previews are missed");
            is_told = true;
        }
        // A connection that ends as soon as it is made is no reason for haste either.
        if began.elapsed() > LONGEST {
            pause = FIRST;
        }
        sleep(pause).await;
        pause = LONGEST.min(pause * 2);
    }
}

async fn hear(shared: &Shared, read: OwnedReadHalf) -> handshake::Error {
    let mut read = BufReader::new(read);
    loop {
        let Carried { session, preview } = match frame::read(&mut read, MOST).await {
            Ok(carried) => carried,
            Err(error) => return error.into(),
        };
        // A node of another version may know more kinds.
        let Some(preview) = Preview::decode(&preview) else { continue };
        // Waits where this node is behind. Then the other's queue fills, and it leaves out whole previews, not parts.
        if shared.local.heard.send(Heard::Preview { session, preview }).await.is_err() {
            return handshake::Error::Unheard;
        }
    }
}

async fn tell(shared: &Shared, mut write: OwnedWriteHalf) -> handshake::Error {
    let mut following = shared.interests.follow();
    let mut waiting = Vec::new();
    while following.changes.recv_many(&mut waiting, TOGETHER).await > 0 {
        if let Err(error) = write_all(&mut write, &mut waiting).await {
            return error.into();
        }
    }
    handshake::Error::Unheard
}

async fn write_all(write: &mut OwnedWriteHalf, waiting: &mut Vec<Interest>) -> Result<(), frame::Error> {
    let mut together = Vec::new();
    for interest in waiting.drain(..) {
        together.extend_from_slice(&frame::encode(&interest)?);
    }
    Ok(write.write_all(&together).await?)
}
