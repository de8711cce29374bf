//! Limits on resources, and the end of every privilege.

use std::io;

use hand_protocol::Limits;
use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{
        CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
    },
};

/// Signals and timers that wait.
const SIGNALS: u64 = 4_096;

/// Processes count threads too, and only those of this sandbox: the kernel counts by user namespace. Nothing bounds
/// address space, for a JVM reserves far more than it uses.
pub(super) fn limits(limits: &Limits) -> io::Result<()> {
    set(Resource::Nproc, limits.processes)?;
    open_files(limits)?;
    // Counted for whoever made the user namespace too, and so against what the host's own programs may have.
    set(Resource::Sigpending, SIGNALS)?;
    set(Resource::Msgqueue, 0)?;
    // The server's own urgency is not passed on.
    set(Resource::Nice, 0)?;
    set(Resource::Rtprio, 0)?;
    core()
}

/// The host's own limit may be lower.
pub(super) fn open_files(limits: &Limits) -> io::Result<()> {
    let files = getrlimit(Resource::Nofile).maximum.map_or(limits.open_files, |most| most.min(limits.open_files));
    set(Resource::Nofile, files)
}

/// A core pattern may name a program, which the kernel runs outside every namespace.
pub(super) fn core() -> io::Result<()> {
    set(Resource::Core, 0)
}

fn set(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// What package managers need to install for other users than root.
///
/// Each of these holds over the users of the sandbox's own namespace alone, and so over files that one of them owns:
/// those that the sandbox itself has written. The host's are owned by nobody inside, as its devices are, or lie on
/// mounts that are read-only, and on which what only its root may read is masked. No agent works in such a sandbox, and
/// what is written there is gone through before it is anybody's layer. All that could lead out of the namespaces, or
/// deeper into the kernel, is gone here as everywhere: the rights to mount, to change a network, to trace, to load
/// modules, to make devices. So are new privileges, and what the filter refuses.
const TO_INSTALL: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    // Whoever runs as another user must still be ended with the call that started him.
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID);

/// No capability in any set, and none to be had again: not by being user 0, not by executing a file. One that is to
/// install keeps what that takes, as long as it is user 0, and can have no more either.
pub(super) fn drop_privileges(to_install: bool) -> io::Result<()> {
    let kept = if to_install { TO_INSTALL } else { CapabilitySet::empty() };
    let mut bits = CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    if !to_install {
        bits |= CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED;
    }
    set_capabilities_secure_bits(bits)?;
    for capability in (0..u64::BITS).map(|number| CapabilitySet::from_bits_retain(1 << number)) {
        if kept.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Past the last capability that this kernel knows.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    clear_ambient_capability_set()?;
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() })?;
    Ok(set_no_new_privs(true)?)
}
