//! What the sandboxes of one environment may use: pairs of its metadata set limits of their own.

use hands::Limits;
use hands::limits::{Unusable, whole};
use wire::Invalid;
use wire::read::Metadata;

/// The keys that set a limit begin so; a limit's name follows. None of these keys means anything else.
const PREFIX: &str = "stead.";

/// The one limit that is the gateway's.
const EGRESS: &str = "egress_mib";

/// Bytes that a sandbox may send in its life.
pub(crate) type Egress = Option<u64>;

/// The usual limits, with those that the metadata sets. `Egress` is none if it sets none.
pub(crate) fn limits(usual: Limits, metadata: &Metadata) -> Result<(Limits, Egress), Invalid> {
    let (mut limits, mut egress) = (usual, None);
    for (key, value) in metadata {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let set = if name == EGRESS {
            whole(value, 1).map(|mebibytes| egress = Some(mebibytes << 20))
        } else {
            limits.set(name, value)
        };
        set.map_err(|unusable| {
            let more = if unusable == Unusable::Unknown { format!(" and {EGRESS}") } else { String::new() };
            let code = Some("invalid_metadata");
            Invalid { code, ..Invalid::new(format!("metadata.{key}"), format!("{unusable}{more}")) }
        })?;
    }
    Ok((limits, egress))
}

/// Whether what the metadata sets can be set.
pub fn check_limits(metadata: &Metadata) -> Result<(), Invalid> {
    limits(Limits::default(), metadata).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<(Limits, Egress), Invalid> {
        let metadata = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        limits(Limits::default(), &metadata)
    }

    #[test]
    fn metadata_sets_limits_and_leaves_the_others_as_they_are() {
        let expected = Limits { memory: 64 << 20, cpus: 500, ..Limits::default() };
        let pairs = [("team", "a"), ("stead.memory_mib", "64"), ("stead.cpus", "0.5"), ("stead.egress_mib", "3")];
        assert_eq!(of(&pairs), Ok((expected, Some(3 << 20))));
        assert_eq!(of(&[("team", "a")]), Ok((Limits::default(), None)));
    }

    #[test]
    fn what_is_no_limit_is_refused_by_its_key() {
        for (key, value) in
            [("stead.memory_mib", "a lot"), ("stead.egress_mib", "0"), ("stead.ram", "1"), ("stead.", "1")]
        {
            assert_eq!(of(&[(key, value)]).unwrap_err().path, format!("metadata.{key}"));
        }
        let unknown = of(&[("stead.ram", "1")]).unwrap_err().message;
        assert!(unknown.contains("memory_mib") && unknown.ends_with("and egress_mib"), "{unknown}");
    }
}
