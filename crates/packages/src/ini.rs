//! Files of sections, names and values, as pip and npm have them.

/// One line, in the section that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) section: String,
    pub(crate) name: String,
    /// Lines that go on are joined by line ends.
    pub(crate) value: String,
}

/// Of `separators`, the first in a line ends the name. A line that begins with white space goes on with the value
/// before it. What is neither is passed over: a tool that is stricter says so itself.
pub(crate) fn parse(text: &str, separators: &[char]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.trim().clone_into(&mut section);
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some(last) = entries.last_mut().filter(|last| last.section == section)
        {
            last.value.push('\n');
            last.value.push_str(trimmed);
            continue;
        }
        if let Some((name, value)) = trimmed.split_once(separators) {
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            entries.push(Entry { section: section.clone(), name, value });
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_on_over_lines_and_comments() {
        let text = "; first\n[global]\nindex-url = https://a.example.com/simple\nextra-index-url =\n\
                    \u{20}   https://b.example.com\n\n    # between\n\
                    \u{20}   https://c.example.com\n[install]\nno-index: true\nalone\n";
        let found: Vec<_> = parse(text, &['=', ':'])
            .into_iter()
            .map(|Entry { section, name, value }| format!("{section}/{name}={value}"))
            .collect();
        assert_eq!(
            found,
            [
                "global/index-url=https://a.example.com/simple",
                "global/extra-index-url=\nhttps://b.example.com\nhttps://c.example.com",
                "install/no-index=true",
            ]
        );
    }
}
