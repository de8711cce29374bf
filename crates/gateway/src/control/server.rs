//! The gateway's side.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};

use super::message::{Answer, Fault, PROTOCOL, Request, agreed};
use crate::frame::{self, receive, send};
use crate::gateway::{Gateway, Refused};

/// For a connection to say which version it speaks.
const PATIENCE: Duration = Duration::from_secs(10);

/// After a connection that could not be accepted, for want of descriptors perhaps.
const PAUSE: Duration = Duration::from_millis(50);

/// The socket's task: it ends with the gateway. A connection that fails is the business of its own task.
pub(crate) async fn listen(listener: UnixListener, gateway: Arc<Gateway>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a control connection could not be accepted");
                sleep(PAUSE).await;
                continue;
            }
        };
        // The socket's file says so too; but files are copied and mounted, with their modes and without.
        let peer = stream.peer_cred().map(|peer| peer.uid());
        if peer.as_ref().ok() != Some(&geteuid().as_raw()) {
            tracing::warn!(target: "audit", ?peer, "turned away from the gateway's control socket");
            continue;
        }
        let Ok(place) = Arc::clone(&gateway.controllers).try_acquire_owned() else {
            tracing::warn!("turned away from the gateway's control socket: too many are there");
            continue;
        };
        let tasks = &gateway.shared.tasks;
        tasks.spawn("control connection", tasks.token(), serve(Arc::clone(&gateway), stream, place));
    }
}

/// A connection's task: it ends with the connection, or with the gateway.
async fn serve(gateway: Arc<Gateway>, stream: UnixStream, _place: OwnedSemaphorePermit) {
    match timeout(PATIENCE, greet(&stream)).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) | Err(_) => return,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a control connection has said nothing that is understood");
            return;
        }
    }
    let keys = &gateway.shared.keys;
    loop {
        let (request, descriptors) = match receive::<Request>(&stream).await {
            Ok(received) => received,
            Err(frame::Error::Closed) => return,
            Err(error) => {
                tracing::debug!(%error, "a control connection has ended early");
                return;
            }
        };
        let stops = matches!(request, Request::Stop);
        let answered = match request {
            Request::Hello { .. } => Err(Refused("greeted already".into())),
            Request::Attach(attach) => gateway.attach(attach, descriptors).map(|()| Answer::Done),
            Request::Update { sandbox, policy } => gateway.update(&sandbox, policy).map(|()| Answer::Done),
            Request::Detach { sandbox } => {
                gateway.detach(&sandbox);
                Ok(Answer::Done)
            }
            Request::List => Ok(Answer::List { sandboxes: gateway.list() }),
            Request::Settings { settings } => {
                gateway.set(settings).await;
                Ok(Answer::Done)
            }
            Request::Usage { sandbox } => gateway.usage(&sandbox).map(|usage| Answer::Usage { usage }),
            Request::Stop => Ok(Answer::Done),
            Request::KeyNames => Ok(told(keys.names().await.map(|names| Answer::KeyNames { names }))),
            Request::GenerateKey => Ok(told(keys.generate().await.map(|()| Answer::Done))),
            Request::RotateKey => Ok(told(keys.rotate().await.map(|name| Answer::Key { name }))),
            Request::Seal { place, secret } => {
                Ok(told(keys.seal(&place, &secret.0).await.map(|sealed| Answer::Sealed { sealed })))
            }
            Request::Rewrap { place, sealed } => {
                let wrapped = keys.rewrap(&place, &sealed).await;
                Ok(told(wrapped.map(|wrapped| wrapped.map_or(Answer::Done, |sealed| Answer::Sealed { sealed }))))
            }
            Request::Check { place, sealed } => Ok(told(keys.check(&place, &sealed).await.map(|()| Answer::Done))),
        };
        let answer = answered.unwrap_or_else(|Refused(message)| Answer::Refused { message });
        if let Err(error) = send(&stream, &answer, &[]).await {
            tracing::debug!(%error, "a control connection does not listen");
            return;
        }
        if stops {
            gateway.stop.cancel();
            return;
        }
    }
}

/// What became of a question about keys.
fn told(answer: Result<Answer, vault::Error>) -> Answer {
    answer.unwrap_or_else(|error| Answer::Faulty { fault: Fault::from(&error), message: error.to_string() })
}

/// Whether there is a version that both speak.
async fn greet(stream: &UnixStream) -> Result<bool, frame::Error> {
    let (request, _) = receive::<Request>(stream).await?;
    let version = match request {
        Request::Hello { protocol } => agreed(protocol),
        _ => None,
    };
    let answer = match version {
        Some(protocol) => Answer::Welcome { protocol },
        None => Answer::Refused { message: format!("this gateway speaks version {PROTOCOL} of its protocol") },
    };
    send(stream, &answer, &[]).await?;
    Ok(version.is_some())
}
