//! Typed ids: a public prefix and 128 random bits in base58.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// 58^22 is the first power above 2^128.
const DIGITS: usize = 22;

/// Between prefix and digits, so that the ids look like those that clients have seen.
const MARK: &str = "01";

/// The text is not an id of the wanted kind. To a client such an id is simply one that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind")]
pub struct Malformed;

/// Digits that fit a `u64`: dividing a `u128` is slow, and ids are written all the time.
const CHUNK: usize = 10;

fn encode(mut bits: u128) -> [u8; DIGITS] {
    let mut digits = [ALPHABET[0]; DIGITS];
    for chunk in digits.rchunks_mut(CHUNK) {
        let mut low = (bits % 58u128.pow(CHUNK as u32)) as u64;
        bits /= 58u128.pow(CHUNK as u32);
        for digit in chunk.iter_mut().rev() {
            *digit = ALPHABET[(low % 58) as usize];
            low /= 58;
        }
    }
    digits
}

fn decode(digits: &str) -> Result<u128, Malformed> {
    if digits.len() != DIGITS {
        return Err(Malformed);
    }
    digits.bytes().try_fold(0u128, |bits, byte| {
        let digit = ALPHABET.iter().position(|&letter| letter == byte).ok_or(Malformed)?;
        bits.checked_mul(58).and_then(|bits| bits.checked_add(digit as u128)).ok_or(Malformed)
    })
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            pub const fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let digits = encode(self.0);
                f.write_str($prefix)?;
                f.write_str(MARK)?;
                // The alphabet is ASCII.
                f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let digits = text.strip_prefix($prefix).and_then(|rest| rest.strip_prefix(MARK)).ok_or(Malformed)?;
                decode(digits).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(|_| D::Error::custom(concat!("not an id that begins with ", $prefix)))
            }
        }
    )*};
}

ids! {
    AgentId "agent_",
    EnvironmentId "env_",
    SessionId "sesn_",
    ThreadId "sthr_",
    EventId "sevt_",
    ResourceId "sesrsc_",
    FileId "file_",
    WorkspaceId "wrkspc_",
    RequestId "req_",
    WorkId "work_",
    VaultId "vlt_",
    CredentialId "vcrd_",
    /// Of an environment key; the key itself begins otherwise.
    KeyId "envkey_",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_round_trip_at_both_ends_of_its_range() {
        for bits in [0, 1, 57, 58, u128::MAX] {
            let id = SessionId::from_bits(bits);
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.to_string().len(), "sesn_".len() + 24);
        }
    }

    #[test]
    fn what_is_not_an_id_of_the_kind_is_refused() {
        let other = EventId::from_bits(7).to_string();
        for text in
            ["", "sesn_", "sesn_01", other.as_str(), "sesn_01zzzzzzzzzzzzzzzzzzzzzz", "sesn_010000000000000000000000"]
        {
            assert_eq!(text.parse::<SessionId>(), Err(Malformed), "{text}");
        }
    }
}
