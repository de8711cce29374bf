//! A secret at rest.

use serde::{Deserialize, Serialize};

/// Ciphertext, and the wrapped data key that opens it. It may lie anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The key-encryption key: a name that is made of it, or that its provider gives it.
    pub key: String,
    /// The data key, as the key-encryption key has wrapped it.
    pub data_key: String,
    /// Nonce, ciphertext and tag, in base64.
    pub text: String,
    /// Of the place that it was sealed for.
    pub version: u64,
}
