//! Attacks from inside: programs that want what listens where no sandbox may get, or more than their share.
//!
//! What they are after is always there, and is reached by the same program where the operator has opened the way: one
//! that could not succeed would prove nothing by being refused.

mod floods;
mod house;
mod names;
mod spellings;
mod tricks;
