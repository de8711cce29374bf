//! What a layer of packages is called.

use sha2::{Digest, Sha256};
use wire::environment::{Manager, Packages};

use crate::recipe;

/// 64 hexadecimal digits: the same for the same packages on the same base, installed in the same way, in whatever order
/// or however often they are named. Where they come from is not in it, so an index may move.
pub fn key(packages: &Packages, base_fingerprint: &str) -> String {
    let mut hash = Sha256::new();
    // With its length before each part, no two lists read the same.
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    };
    add(&recipe::VERSION.to_string());
    add(base_fingerprint);
    for manager in Manager::ALL {
        let entries = recipe::normal(packages, manager);
        add(manager.name());
        add(&entries.len().to_string());
        entries.into_iter().for_each(&mut add);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn of(apt: &[&str], pip: &[&str]) -> Packages {
        let all = json!({"type": "packages", "apt": apt, "cargo": [], "gem": [], "go": [], "npm": [], "pip": pip});
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn the_same_packages_have_the_same_key_in_any_order() {
        let one = key(&of(&["jq", "graphviz"], &["six==1.0"]), "base");
        assert_eq!(one, key(&of(&["graphviz", "jq", "jq"], &["six==1.0"]), "base"));
        assert_eq!(one.len(), 64);
        assert!(one.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit)));
    }

    #[test]
    fn whatever_else_there_is_has_another_key() {
        let all = [
            key(&of(&["jq"], &[]), "base"),
            key(&of(&[], &["jq"]), "base"),
            key(&of(&["jq"], &[]), "other base"),
            key(&of(&["j", "q"], &[]), "base"),
            key(&of(&["jq=1.6"], &[]), "base"),
            key(&of(&[], &[]), "base"),
        ];
        let different: BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
