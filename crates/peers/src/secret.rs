//! What all nodes of an installation know, and nobody else.

use aws_lc_rs::hmac;

/// Keys the proofs that nodes give each other. Neither shown nor sent.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// That whoever made it knows the secret.
pub(crate) type Proof = [u8; 32];

impl Secret {
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()))
    }

    pub(crate) fn prove(&self, statement: &[u8]) -> Proof {
        let mut proof = Proof::default();
        let tag = hmac::sign(&self.0, statement);
        proof.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        proof
    }

    /// Takes as long for a proof that is nearly right as for any other.
    pub(crate) fn is_proven(&self, statement: &[u8], proof: &Proof) -> bool {
        hmac::verify(&self.0, statement, proof).is_ok()
    }
}
