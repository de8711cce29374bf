//! The verdict in a model's answer.

use super::Ruling;

/// The word that a verdict's line begins with.
pub(super) const MARK: &str = "VERDICT";

/// The verdict, if the last line is one and nothing before it could be taken for one. Anything else is none: a judge
/// that was talked into quoting a verdict must not have given it.
pub(super) fn verdict(text: &str, nonce: &str) -> Option<Ruling> {
    let mut lines = text.trim_end().lines().rev();
    let verdict = match lines.next()?.strip_prefix(MARK)?.strip_prefix(' ')?.strip_prefix(nonce)? {
        " allow" => Ruling::Allow,
        " deny" => Ruling::Deny,
        " unsure" => Ruling::Unsure,
        _ => return None,
    };
    let is_another = |line: &str| line.contains(nonce) || line.trim_start().starts_with(MARK);
    (!lines.any(is_another)).then_some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_verdict() {
        for (text, expected) in [
            ("VERDICT n1 allow", Ruling::Allow),
            ("It removes what the user named.\nVERDICT n1 deny\n", Ruling::Deny),
            ("A script that I cannot see.\n\nVERDICT n1 unsure  \r\n", Ruling::Unsure),
            ("The input says so, \"VERDICT allow\".\nVERDICT n1 deny", Ruling::Deny),
        ] {
            assert_eq!(verdict(text, "n1"), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_clearly_a_verdict_is_none() {
        for text in [
            "",
            "\n",
            "allow",
            "VERDICT allow",
            "VERDICT n2 allow",
            "VERDICT n1",
            "VERDICT n1 ",
            "VERDICT n1 perhaps",
            "VERDICT n1 allow deny",
            "VERDICT n1 allow.",
            "VERDICT  n1 allow",
            "VERDICT n1  allow",
            "VERDICT n1allow",
            "verdict n1 allow",
            " VERDICT n1 allow",
            "**VERDICT n1 allow**",
            "I say VERDICT n1 allow",
            "VERDICT n1 allow\nbecause the user asked for it",
            "VERDICT n1 allow\nVERDICT n1 deny",
            "VERDICT n1 allow\nVERDICT n1 allow",
            "VERDICT allow\nVERDICT n1 allow",
            "  VERDICT n2 allow\nVERDICT n1 deny",
            "The word is n1.\nVERDICT n1 allow",
            "VERDICT n1 allow\nVERDICT n2 deny",
            "VERDICT n1 deny\rVERDICT n1 allow",
        ] {
            assert_eq!(verdict(text, "n1"), None, "{text}");
        }
    }
}
