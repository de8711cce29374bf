//! Credentials of workers: text that tells its kind and whose it is, and a digest that is kept in its place.

use sha2::{Digest, Sha256};
use store::Rng;

/// What a credential is for. Clients tell them apart by how they begin, and so does the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of an environment, until it is revoked.
    Environment,
    /// Of one work item, until that ends.
    Work,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Environment, Self::Work];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Environment => "sk-ant-oat01-",
            Self::Work => "sk-ant-req-",
        }
    }
}

/// A credential that has just been made. Nobody is told of it a second time.
pub(crate) struct Minted {
    pub(crate) text: String,
    pub(crate) digest: String,
}

/// The bits name the document that keeps the digest: ids are no secrets, and it need not be searched for.
pub(crate) fn mint(kind: Kind, bits: u128, rng: &dyn Rng) -> Minted {
    let text = format!("{}{bits:032x}{:032x}{:032x}", kind.prefix(), rng.bits(), rng.bits());
    let digest = digest(&text);
    Minted { text, digest }
}

/// A credential as a client shows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) kind: Kind,
    pub(crate) bits: u128,
    pub(crate) digest: String,
}

/// `None` for what was never made here.
pub(crate) fn read(text: &str) -> Option<Shown> {
    let (kind, rest) = Kind::ALL.into_iter().find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)))?;
    let is_plain = rest.len() == 96 && rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let bits = is_plain.then(|| rest.get(..32)).flatten()?;
    Some(Shown { kind, bits: u128::from_str_radix(bits, 16).ok()?, digest: digest(text) })
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use store::SystemRng;

    use super::*;

    #[test]
    fn a_credential_tells_its_kind_and_whose_it_is() {
        for kind in Kind::ALL {
            let minted = mint(kind, 7, &SystemRng);
            let shown = read(&minted.text).unwrap();
            assert_eq!(shown, Shown { kind, bits: 7, digest: minted.digest });
            assert_ne!(mint(kind, 7, &SystemRng).text, minted.text, "no two are the same");
        }
    }

    #[test]
    fn what_was_never_made_is_none() {
        let minted = mint(Kind::Work, 7, &SystemRng).text;
        let upper = minted.to_uppercase();
        let long = format!("{minted}0");
        let signed = format!("sk-ant-req-+{}", "0".repeat(95));
        for text in ["", "sk-ant-req-", "sk-ant-api03-x", "sk-ant-oat01-zz", &upper, &long, &signed, &"é".repeat(60)] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
