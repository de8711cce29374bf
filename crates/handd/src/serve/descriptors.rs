//! The descriptors that the launcher leaves at fixed numbers.

use std::{
    io,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use rustix::io::{FdFlags, fcntl_setfd};

/// Takes a descriptor over, and sees to it that no tool inherits it. An error if there is none of that number.
#[expect(unsafe_code, reason = "a descriptor that comes by its number has no owner that Rust knows of")]
pub(crate) fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only used here, where a number that is not open makes the call fail, and does no harm.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, as was just seen. Each number is taken once, at the start, by the only thread, before
    // anything else is opened; so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
