//! Images: what a sandbox's file system starts from, made once and kept.
//!
//! [`Images`] turns a [`Source`] (a directory, a tarball, an OCI layout, a reference to a registry) into a read-only
//! directory that any number of sandboxes have below their own layer. [`Layers`] keeps what environments add to such a
//! directory: the upper directories of overlays, with the packages that were installed into them.
//!
//! Both are shelves of directories: each is made beside its place under a lock of its own, synced, and renamed into
//! place, so one that is there is whole. What arrives from outside is hostile until it has been unpacked: [`unpack`]
//! says what becomes of it.

mod compression;
mod digest;
mod error;
mod images;
mod layers;
mod layout;
mod limits;
mod manifest;
mod piece;
mod progress;
mod registry;
mod remove;
mod shelf;
mod source;
#[cfg(test)]
mod testing;
pub mod unpack;
mod walk;

pub use digest::{Digest, NotADigest};
pub use error::Error;
pub use images::{Image, Images, Kept, Options, Record};
pub use layers::{Building, KeptLayer, Key, Layer, Layers, Locked, Marks, NotAKey, PackError, Packed};
pub use layout::Error as LayoutError;
pub use limits::Limits;
pub use manifest::{Config, Error as ManifestError};
pub use progress::{OnProgress, Progress, Step};
pub use registry::{Credentials, CredentialsError, Error as RegistryError, Registries};
pub use source::{NotASource, Reference, Source};
