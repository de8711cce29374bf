//! Commands of the shell, read just far enough to recognise a few of them.
//!
//! This is no shell. What it cannot read is not known, and what is not known is nobody's to allow or deny by rule.

use std::iter::Peekable;
use std::str::Chars;

/// A word without its quotes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// The shell makes something else of it, or several words: it has a pattern, braces, a variable or a command in it.
    pub(super) expands: bool,
}

pub(super) type Command = Vec<Word>;

/// Commands of which each reads what the one before it writes.
pub(super) type Pipeline = Vec<Command>;

/// The pipelines of a script, whatever joins them. Where something is redirected to is a word like the others. `None`
/// for quotes without an end, and for documents within the script.
pub(super) fn read(script: &str) -> Option<Vec<Pipeline>> {
    let (pipelines, pipeline, command) = (Vec::new(), Vec::new(), Vec::new());
    let mut reader = Reader { rest: script.chars().peekable(), pipelines, pipeline, command, word: None };
    while let Some(next) = reader.rest.next() {
        reader.take(next)?;
    }
    reader.end_pipeline();
    Some(reader.pipelines)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    pipelines: Vec<Pipeline>,
    pipeline: Pipeline,
    command: Command,
    word: Option<Word>,
}

impl Reader<'_> {
    fn take(&mut self, next: char) -> Option<()> {
        match next {
            ' ' | '\t' => self.end_word(),
            '\n' | ';' | '(' | ')' => self.end_pipeline(),
            '\'' => self.quoted()?,
            '"' => self.double_quoted()?,
            '\\' => match self.rest.next()? {
                '\n' => {}
                escaped => self.push(escaped),
            },
            '`' => self.backquoted()?,
            '$' | '<' | '>' if self.rest.peek() == Some(&'(') => self.substituted(next)?,
            '<' if self.rest.peek() == Some(&'<') => return None,
            '<' | '>' => {
                self.end_word();
                while self.rest.next_if(|next| matches!(next, '>' | '|' | '&')).is_some() {}
            }
            '&' if self.rest.peek() == Some(&'>') => self.end_word(),
            '&' => {
                self.rest.next_if_eq(&'&');
                self.end_pipeline();
            }
            '|' => {
                if self.rest.next_if_eq(&'|').is_some() {
                    self.end_pipeline();
                } else {
                    self.rest.next_if_eq(&'&');
                    self.end_command();
                }
            }
            '#' if self.word.is_none() => while self.rest.next_if(|next| *next != '\n').is_some() {},
            '$' | '*' | '?' | '[' | '{' | '~' => {
                self.push(next);
                self.word().expands = true;
            }
            _ => self.push(next),
        }
        Some(())
    }

    fn word(&mut self) -> &mut Word {
        self.word.get_or_insert_default()
    }

    fn push(&mut self, next: char) {
        self.word().text.push(next);
    }

    fn quoted(&mut self) -> Option<()> {
        self.word();
        loop {
            match self.rest.next()? {
                '\'' => return Some(()),
                next => self.push(next),
            }
        }
    }

    fn double_quoted(&mut self) -> Option<()> {
        self.word();
        loop {
            match self.rest.next()? {
                '"' => return Some(()),
                '\\' => match self.rest.next()? {
                    '\n' => {}
                    escaped @ ('"' | '\\' | '$' | '`') => self.push(escaped),
                    other => {
                        self.push('\\');
                        self.push(other);
                    }
                },
                next => {
                    self.push(next);
                    if matches!(next, '$' | '`') {
                        self.word().expands = true;
                    }
                }
            }
        }
    }

    fn backquoted(&mut self) -> Option<()> {
        self.word().expands = true;
        self.push('`');
        loop {
            let next = self.rest.next()?;
            self.push(next);
            if next == '`' {
                return Some(());
            }
        }
    }

    /// A command in brackets behind `opening`, as it is written.
    fn substituted(&mut self, opening: char) -> Option<()> {
        self.word().expands = true;
        self.push(opening);
        let mut depth = 0_usize;
        loop {
            let next = self.rest.next()?;
            self.push(next);
            match next {
                '(' => depth += 1,
                ')' if depth <= 1 => return Some(()),
                ')' => depth -= 1,
                _ => {}
            }
        }
    }

    fn end_word(&mut self) {
        self.command.extend(self.word.take());
    }

    fn end_command(&mut self) {
        self.end_word();
        let command = std::mem::take(&mut self.command);
        if !command.is_empty() {
            self.pipeline.push(command);
        }
    }

    fn end_pipeline(&mut self) {
        self.end_command();
        let pipeline = std::mem::take(&mut self.pipeline);
        if !pipeline.is_empty() {
            self.pipelines.push(pipeline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words in brackets expand.
    fn shown(script: &str) -> Option<String> {
        let word = |word: &Word| if word.expands { format!("[{}]", word.text) } else { word.text.clone() };
        let command = |command: &Command| command.iter().map(word).collect::<Vec<_>>().join(" ");
        let pipeline = |pipeline: &Pipeline| pipeline.iter().map(command).collect::<Vec<_>>().join(" | ");
        Some(read(script)?.iter().map(pipeline).collect::<Vec<_>>().join(" ; "))
    }

    #[test]
    fn scripts_are_taken_apart() {
        for (script, expected) in [
            ("", ""),
            ("ls -l  /tmp", "ls -l /tmp"),
            ("a; b && c || d & e\nf", "a ; b ; c ; d ; e ; f"),
            ("a | b |& c", "a | b | c"),
            ("(a; b)", "a ; b"),
            (r#"echo "a  b"'c d'\ e"#, "echo a  bc d e"),
            (r#"echo "\"\$x\n""#, r#"echo "$x\n"#),
            ("echo ''x", "echo x"),
            ("echo $x *.rs {a,b} ~", "echo [$x] [*.rs] [{a,b}] [~]"),
            ("echo '$x' '*'", "echo $x *"),
            (r#"echo "$x" `ls`"#, "echo [$x] [`ls`]"),
            ("echo $(ls (a) b) <(c)", "echo [$(ls (a) b)] [<(c)]"),
            ("a > b 2>&1 < c &> d", "a b 2 1 c d"),
            ("a # b; c\nd", "a ; d"),
            ("a#b", "a#b"),
            ("a \\\n b", "a b"),
        ] {
            assert_eq!(shown(script).as_deref(), Some(expected), "{script}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        for script in ["echo 'a", "echo \"a", "echo `a", "echo $(a", "echo \\", "cat <<EOF\nrm\nEOF", "cat <<< x"] {
            assert_eq!(shown(script), None, "{script}");
        }
    }
}
