//! What a manager has written, line by line, without colours.

pub(super) struct Output {
    lines: Vec<String>,
}

impl Output {
    pub(super) fn of(text: &str) -> Self {
        // A carriage return draws a line anew; what was drawn last stays.
        let last = |line: &str| {
            let line = line.trim_end_matches('\r');
            line.rsplit('\r').next().unwrap_or_default().trim_end().to_owned()
        };
        Self { lines: plain(text).split('\n').map(last).collect() }
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// The line after the first that contains `sign`, and so on, without the space around each.
    pub(super) fn lines_after<'a>(&'a self, sign: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines().skip_while(move |line| !line.contains(sign)).skip(1).map(str::trim)
    }

    pub(super) fn contains(&self, sign: &str) -> bool {
        self.line_with(sign).is_some()
    }

    pub(super) fn line_with(&self, sign: &str) -> Option<&str> {
        self.lines().find(|line| line.contains(sign))
    }

    pub(super) fn line_with_any(&self, signs: &[&str]) -> Option<&str> {
        self.lines().find(|line| signs.iter().any(|sign| line.contains(sign)))
    }

    /// The rest of the first line that has `sign` in it.
    pub(super) fn after(&self, sign: &str) -> Option<&str> {
        self.lines().find_map(|line| line.split_once(sign)).map(|(_, rest)| rest.trim())
    }

    /// What stands between `before` and the next `after` of one line.
    pub(super) fn between(&self, before: &str, after: &str) -> Option<&str> {
        self.lines().find_map(|line| between(line, before, after))
    }
}

pub(super) fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(before)?;
    rest.split_once(after).map(|(inside, _)| inside)
}

/// Without the sequences that set colours: an escape, a bracket, and what goes up to a letter.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = match after.strip_prefix('[') {
            Some(after) => after
                .find(|character: char| ('@'..='~').contains(&character))
                .and_then(|end| after.get(end + 1..))
                .unwrap_or_default(),
            None => after,
        };
    }
    plain.push_str(rest);
    plain
}
