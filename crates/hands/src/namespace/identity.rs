//! Which users of this machine a sandbox's users are.

use std::fs;

use hand_protocol::Identity;
use rustix::process::{getegid, geteuid};

use crate::ProvisionError;

/// Users of one sandbox, where root hands out a range.
const RANGE: u32 = 65_536;
/// Far above what login names, containers and systemd's own ranges use.
const FIRST: u32 = 1_000_000_000;
const SLOTS: u32 = 50_000;

/// This server's own user, who needs nobody else where nothing holds a sandbox.
pub(super) fn own() -> Identity {
    Identity { uid: geteuid().as_raw(), gid: getegid().as_raw(), count: 1 }
}

/// Root gives each sandbox a range of its own, by its name; two names that meet in one share users, but no namespace, so
/// that neither can reach the other by it. Anybody else has only himself to give.
pub(super) fn choose(name: &str) -> Result<Identity, ProvisionError> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    if uid != 0 {
        return Ok(Identity { uid, gid, count: 1 });
    }
    let read =
        |kind: &str| fs::read_to_string(format!("/proc/self/{kind}_map")).map(|text| parse(&text)).unwrap_or_default();
    let (users, groups) = (read("uid"), read("gid"));
    share(slot(name), &users, &groups).ok_or_else(|| ProvisionError::Unsupported {
        step: "user and group ids".into(),
        reason: "this server is root in a container that has no other user; give the container a range of users \
                 (subordinate ids), or run the server as an ordinary user"
            .into(),
    })
}

/// Whether a sandbox has users besides its root, to whom files can be given.
pub(super) fn can_chown() -> bool {
    choose("").is_ok_and(|identity| identity.count > 1)
}

/// Ids that exist around this server, as (first, how many).
type Ids = Vec<(u32, u32)>;

fn share(slot: u32, users: &Ids, groups: &Ids) -> Option<Identity> {
    let first = FIRST + slot * RANGE;
    let whole = |ids: &Ids| {
        ids.iter().any(|&(start, count)| {
            start <= first && u64::from(start) + u64::from(count) >= u64::from(first) + u64::from(RANGE)
        })
    };
    if whole(users) && whole(groups) {
        return Some(Identity { uid: first, gid: first, count: RANGE });
    }
    // In a container with few users: one of the upper half, where image builders put nobody.
    Some(Identity { uid: upper(slot, users)?, gid: upper(slot, groups)?, count: 1 })
}

fn upper(slot: u32, ids: &Ids) -> Option<u32> {
    let &(start, count) =
        ids.iter().max_by_key(|(_, count)| *count).filter(|(start, count)| *start > 0 || *count > 1)?;
    let half = (count / 2).max(1);
    Some(start + (count - half) + slot % half)
}

/// FNV-1a: the same slot for the same name, in every version of this server.
fn slot(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)) % SLOTS
}

/// A map's lines are (first inside, first outside, how many); ids are named from inside, which is where this server is.
fn parse(map: &str) -> Ids {
    let line = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.nth(1)??))
    };
    map.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "         0          0 4294967295\n";

    #[test]
    fn on_a_host_each_slot_has_a_range_of_its_own_up_to_the_last() {
        let ids = parse(HOST);
        for slot in [0, 1, SLOTS - 1] {
            let identity = share(slot, &ids, &ids).unwrap();
            assert_eq!(identity, Identity { uid: FIRST + slot * RANGE, gid: FIRST + slot * RANGE, count: RANGE });
        }
    }

    #[test]
    fn a_container_with_few_users_gives_one_of_them_but_never_its_root() {
        let ids = parse("0 100000 65536\n");
        for slot in [0, 1, SLOTS - 1] {
            let identity = share(slot, &ids, &ids).unwrap();
            assert_eq!(identity.count, 1);
            assert!((32_768..65_536).contains(&identity.uid));
        }
        assert_eq!(share(3, &parse("0 1000 2\n"), &ids).unwrap().uid, 1);
        assert_eq!(share(3, &parse("0 1000 1\n"), &ids), None);
    }

    #[test]
    fn a_name_keeps_its_slot() {
        assert_eq!(slot("session_1"), slot("session_1"));
        assert_ne!(slot("session_1"), slot("session_2"));
        assert!(slot("") < SLOTS);
    }
}
