//! Text that comes from outside, cut to a size that a log line or a message can carry.

/// `text` without white space around it, and not longer than `limit` characters and an ellipsis.
pub(crate) fn bounded(text: &str, limit: usize) -> String {
    let text = text.trim();
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::bounded;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(bounded(" äöü ", 3), "äöü");
        assert_eq!(bounded("äöü", 2), "äö…");
    }
}
