//! Limits on resources, and the end of every privilege.

use std::io;

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{
        CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
    },
};

/// Open files of one process, where the host's own limit is not lower.
const FILES: u64 = 65_536;

/// Signals and timers that wait.
const SIGNALS: u64 = 4_096;

/// `processes` counts threads too, and only those of this sandbox: the kernel counts by user namespace. Nothing bounds
/// address space, for a JVM reserves far more than it uses.
pub(super) fn limits(processes: u64) -> io::Result<()> {
    let files = getrlimit(Resource::Nofile).maximum.map_or(FILES, |most| most.min(FILES));
    set(Resource::Nproc, processes)?;
    set(Resource::Nofile, files)?;
    // Counted for whoever made the user namespace too, and so against what the host's own programs may have.
    set(Resource::Sigpending, SIGNALS)?;
    set(Resource::Msgqueue, 0)?;
    // The server's own urgency is not passed on.
    set(Resource::Nice, 0)?;
    set(Resource::Rtprio, 0)?;
    // A core pattern may name a program, which the kernel runs outside every namespace.
    set(Resource::Core, 0)
}

fn set(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// No capability in any set, and none to be had again: not by being user 0, not by executing a file.
pub(super) fn drop_privileges() -> io::Result<()> {
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    set_capabilities_secure_bits(bits)?;
    for number in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // Past the last capability that this kernel knows.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(set_no_new_privs(true)?)
}
