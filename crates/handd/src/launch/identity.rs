//! Who the sandbox's users are: a user namespace, mapped by a process outside it, and the way into it.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::{BorrowedFd, OwnedFd},
    path::PathBuf,
    process::exit,
};

use hand_protocol::Identity;
use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{Pid, WaitOptions, waitpid},
    thread::{
        Gid, LinkNameSpaceType, Uid, UnshareFlags, move_into_link_name_space, set_thread_groups, set_thread_res_gid,
        set_thread_res_uid, unshare_unsafe,
    },
};

use super::{
    descriptors::fork,
    failure::{At, Failure},
};

pub(super) const USER_NAMESPACE: &str = "user namespace";
pub(super) const NAMESPACES: &str = "namespaces";
pub(super) const IDS: &str = "user and group ids";

/// A new user namespace with its ids mapped. A child makes it and holds it until its file is open, because the mapping
/// can only be written from outside, and the layers must be mapped before anybody goes in.
pub(super) fn namespace(identity: Identity, privileged: bool) -> Result<OwnedFd, Failure> {
    if identity.uid == 0 || (privileged && identity.gid == 0) {
        // The kernel would not hold root outside to the limit on processes, let alone what root could do.
        return Err(Failure::new(IDS, "root inside must not be root outside"));
    }
    let (made, tell) = pipe_with(PipeFlags::CLOEXEC).at(USER_NAMESPACE)?;
    let (wait, release) = pipe_with(PipeFlags::CLOEXEC).at(USER_NAMESPACE)?;
    let Some(holder) = fork().at(USER_NAMESPACE)? else {
        drop((made, release));
        hold(tell, wait)
    };
    drop((tell, wait));
    let namespace = outcome(made).at(USER_NAMESPACE).and_then(|()| map(holder, identity, privileged));
    drop(release);
    waitpid(Some(holder), WaitOptions::empty()).at(USER_NAMESPACE)?;
    namespace
}

/// The child: makes the namespace, says how it went, and stays until it is released.
fn hold(tell: OwnedFd, wait: OwnedFd) -> ! {
    let errno = unshare(UnshareFlags::NEWUSER).err().and_then(|error| error.raw_os_error()).unwrap_or(0);
    let _ = File::from(tell).write_all(&errno.to_ne_bytes());
    let _ = File::from(wait).read_to_end(&mut Vec::new());
    exit(0)
}

fn outcome(made: OwnedFd) -> io::Result<()> {
    let mut errno = [0; 4];
    File::from(made).read_exact(&mut errno)?;
    match i32::from_ne_bytes(errno) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

fn map(holder: Pid, identity: Identity, privileged: bool) -> Result<OwnedFd, Failure> {
    let process = PathBuf::from(format!("/proc/{}", holder.as_raw_pid()));
    if !privileged {
        // The kernel's condition for a group map by an ordinary user, who could shed a group that denies him something.
        fs::write(process.join("setgroups"), "deny").at(IDS)?;
    }
    let Identity { uid, gid, count } = identity;
    fs::write(process.join("uid_map"), format!("0 {uid} {count}\n")).at(IDS)?;
    fs::write(process.join("gid_map"), format!("0 {gid} {count}\n")).at(IDS)?;
    Ok(File::open(process.join("ns/user")).at(USER_NAMESPACE)?.into())
}

/// Enters the user namespace, and new ones of every other kind that it owns. The pid namespace begins with the next fork.
pub(super) fn enter(users: BorrowedFd<'_>) -> Result<(), Failure> {
    move_into_link_name_space(users, Some(LinkNameSpaceType::User)).at(USER_NAMESPACE)?;
    unshare(
        UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS,
    )
    .at(NAMESPACES)?;
    // Only hides the names of the host's groups, and some kernels are built without.
    let _ = unshare(UnshareFlags::NEWCGROUP);
    Ok(())
}

/// User and group 0 of the namespace, and no other group.
pub(super) fn become_root(privileged: bool) -> Result<(), Failure> {
    if privileged {
        set_thread_groups(&[]).at(IDS)?;
    }
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).at(IDS)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).at(IDS)
}

#[allow(unsafe_code, reason = "an unshare of descriptors could surprise other threads")]
pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: descriptors are never among the flags, and this process has one thread.
    unsafe { unshare_unsafe(flags) }.map_err(io::Error::from)
}
