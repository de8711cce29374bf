//! How secrets are kept: sealed, each under a data key of its own, which is wrapped by a key-encryption key that only
//! the gateway's process has.
//!
//! A sealed secret opens in its own place alone ([`Place`]): whoever can write to the database can lose one, but cannot
//! have it used for somebody else. Everybody may hold a [`Sealed`]; who opens one holds a [`Ring`], which is made in one
//! process only. A [`Sealer`] is how all others get something sealed.

mod place;
mod record;
mod ring;
mod sealed;
mod sealer;

pub use place::Place;
pub use record::{CredentialRecord, VaultRecord};
pub use ring::{Error, Generated, KeySource, Ring, TransitSource};
pub use sealed::Sealed;
pub use sealer::{Sealer, Unsealable};
