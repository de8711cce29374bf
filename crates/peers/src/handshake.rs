//! Who is there: both sides prove that they know the installation's secret, the one that has connected first.
//!
//! Each proof covers fresh randomness of both sides, who each side says it is, and which side it is: none can be used
//! on another connection, or be sent back to whoever made it. A stranger who connects gets 32 random bytes, and then
//! nothing.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::frame::{self, MOST_OF_STRANGERS};
use crate::secret::{Proof, Secret};

/// Names this form of the handshake, so that a proof for another one is none.
const PROTOCOL: &[u8] = b"stead internal port 1";

type Nonce = [u8; 32];

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the other side does not know the installation's secret")]
    Stranger,
    #[error("it is the node of {0} that was called, not this one")]
    Misdirected(String),
    #[error("the other side does not answer")]
    Silent,
    #[error("nobody on this side listens any more")]
    Unheard,
    #[error(transparent)]
    Frame(#[from] frame::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Frame(error.into())
    }
}

#[derive(Serialize, Deserialize)]
struct Challenge {
    nonce: Nonce,
}

#[derive(Serialize, Deserialize)]
struct Claim {
    /// The data directory of the node that has connected.
    from: String,
    /// The data directory of the node that it means to reach.
    to: String,
    nonce: Nonce,
    proof: Proof,
}

#[derive(Serialize, Deserialize)]
struct Welcome {
    proof: Proof,
}

/// What is said of a connection, and proven by each side in its turn.
struct Statement<'a> {
    from: &'a str,
    to: &'a str,
    challenge: &'a Nonce,
    nonce: &'a Nonce,
}

impl Statement<'_> {
    fn by(&self, side: &str) -> Vec<u8> {
        let Self { from, to, challenge, nonce } = self;
        let parts: [&[u8]; 6] = [PROTOCOL, side.as_bytes(), from.as_bytes(), to.as_bytes(), *challenge, *nonce];
        let mut bytes = Vec::new();
        for part in parts {
            // With their lengths: no two lists of parts give the same bytes.
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
        bytes
    }

    fn by_caller(&self) -> Vec<u8> {
        self.by("caller")
    }

    fn by_callee(&self) -> Vec<u8> {
        self.by("callee")
    }
}

/// For the side that was connected to. Returns the data directory of the node that is there.
pub(crate) async fn answer<S>(stream: &mut S, secret: &Secret, own: &str) -> Result<String, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let challenge = fresh()?;
    frame::write(stream, &Challenge { nonce: challenge }).await?;
    let claim: Claim = frame::read(stream, MOST_OF_STRANGERS).await?;
    let statement = Statement { from: &claim.from, to: &claim.to, challenge: &challenge, nonce: &claim.nonce };
    if !secret.is_proven(&statement.by_caller(), &claim.proof) {
        return Err(Error::Stranger);
    }
    if claim.to != own {
        return Err(Error::Misdirected(claim.to));
    }
    frame::write(stream, &Welcome { proof: secret.prove(&statement.by_callee()) }).await?;
    Ok(claim.from)
}

/// For the side that has connected, to reach the node of the data directory `to` and no other.
pub(crate) async fn call<S>(stream: &mut S, secret: &Secret, own: &str, to: &str) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Challenge { nonce: challenge } = frame::read(stream, MOST_OF_STRANGERS).await?;
    let nonce = fresh()?;
    let statement = Statement { from: own, to, challenge: &challenge, nonce: &nonce };
    let proof = secret.prove(&statement.by_caller());
    frame::write(stream, &Claim { from: own.to_owned(), to: to.to_owned(), nonce, proof }).await?;
    let Welcome { proof } = frame::read(stream, MOST_OF_STRANGERS).await?;
    if secret.is_proven(&statement.by_callee(), &proof) { Ok(()) } else { Err(Error::Stranger) }
}

fn fresh() -> Result<Nonce, Error> {
    let mut nonce = Nonce::default();
    getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(nonce)
}

#[cfg(test)]
mod tests;
