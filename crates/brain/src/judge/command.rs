//! Calls of `bash`: a few commands that do no harm, and a few that surely do. Both lists are short on purpose.

use super::Ruling;
use super::shell::{self, Word};

/// They write nothing and end nothing, whatever their options; but see [`ACTIONS`].
const HARMLESS: [&str; 18] = [
    "basename", "cat", "df", "dirname", "du", "echo", "find", "grep", "head", "ls", "nproc", "pwd", "readlink",
    "realpath", "stat", "tail", "wc", "whoami",
];

/// What makes `find` write, remove or run something: how the names of these options begin.
const ACTIONS: [&str; 5] = ["-delete", "-exec", "-fls", "-fprint", "-ok"];

/// Whatever can join commands, redirect them, or put the output of one into another. A script without any of these,
/// quoted or not, is one simple command.
const JOINTS: &str = ";&|><`$()";

/// How deep scripts within scripts are read.
const DEPTH: u32 = 3;

/// Of a command that is run: only one that is harmless in any surroundings is allowed, and only what no task can want
/// is denied.
pub(super) fn verdict(script: &str) -> Ruling {
    if is_harmful(script, DEPTH) {
        Ruling::Deny
    } else if is_harmless(script) {
        Ruling::Allow
    } else {
        Ruling::Unsure
    }
}

fn is_harmless(script: &str) -> bool {
    let is_joint = |letter: char| JOINTS.contains(letter) || (letter.is_control() && letter != '\t');
    if script.contains(is_joint) {
        return false;
    }
    let script = shell::read(script).unwrap_or_default();
    let [pipeline] = script.as_slice() else { return false };
    let [command] = pipeline.as_slice() else { return false };
    let Some((name, arguments)) = command.split_first() else { return false };
    // A word that becomes others may become an option: a file can have the name of one.
    let is_tame = |word: &Word| !word.expands && !ACTIONS.iter().any(|action| word.text.starts_with(action));
    HARMLESS.contains(&name.text.as_str()) && (name.text != "find" || arguments.iter().all(is_tame))
}

fn is_harmful(script: &str, depth: u32) -> bool {
    let squeezed: String = script.split_whitespace().collect();
    if squeezed.contains(":(){:|:&};:") {
        return true;
    }
    let pipelines = shell::read(script).unwrap_or_default();
    pipelines.iter().any(|pipeline| is_harmful_pipeline(pipeline, depth))
}

fn is_harmful_pipeline(pipeline: &[shell::Command], depth: u32) -> bool {
    let commands: Vec<_> = pipeline.iter().filter_map(|words| Command::of(words)).collect();
    let mut behind_fetch = commands.iter().skip_while(|command| !command.fetches()).skip(1);
    let sends = commands.iter().any(Command::sends) && commands.iter().any(Command::has_secrets);
    sends || behind_fetch.any(Command::runs_what_it_reads) || commands.iter().any(|command| command.is_harmful(depth))
}

/// Words that stand before a command and leave it what it is.
const PREFIXES: [&str; 17] = [
    "!", "builtin", "command", "do", "doas", "elif", "else", "env", "exec", "if", "nice", "nohup", "sudo", "then",
    "time", "until", "while",
];

const SHELLS: [&str; 5] = ["bash", "dash", "ksh", "sh", "zsh"];

const INTERPRETERS: [&str; 5] = ["node", "perl", "python", "python3", "ruby"];

const FETCHERS: [&str; 2] = ["curl", "wget"];

/// Commands that send something away.
const SENDERS: [&str; 11] = ["curl", "ftp", "nc", "ncat", "netcat", "rsync", "scp", "sftp", "socat", "telnet", "wget"];

/// Options of senders with a value that is not sent: keys to log in with, and files to write.
const NOT_SENT: [&str; 6] = ["-e", "-i", "-o", "--cert", "--key", "--rsh"];

const SECRETS: [&str; 9] = [
    ".ssh/",
    "id_rsa",
    "id_ed25519",
    ".aws/credentials",
    ".git-credentials",
    ".gnupg/",
    ".netrc",
    "/etc/shadow",
    "/proc/self/environ",
];

/// Devices that lose nothing when they are written to.
const BOTTOMLESS: [&str; 8] = ["fd/", "full", "null", "shm/", "stderr", "stdout", "tty", "zero"];

struct Command<'a> {
    /// Without its directory.
    name: &'a str,
    arguments: &'a [Word],
}

impl<'a> Command<'a> {
    fn of(mut words: &'a [Word]) -> Option<Self> {
        loop {
            let (first, arguments) = words.split_first()?;
            let name = first.text.rsplit('/').next().unwrap_or_default();
            let options = arguments.iter().take_while(|word| word.text.starts_with('-')).count();
            let behind = arguments.get(options..).unwrap_or_default();
            if behind.is_empty() || !(PREFIXES.contains(&name) || name == "{" || is_assignment(&first.text)) {
                return Some(Self { name, arguments });
            }
            words = behind;
        }
    }

    fn texts(&self) -> impl Iterator<Item = &'a str> {
        self.arguments.iter().map(|word| word.text.as_str())
    }

    /// The first argument that is no option.
    fn operand(&self) -> Option<&'a str> {
        self.texts().find(|text| !text.starts_with('-'))
    }

    fn is_shell(&self) -> bool {
        SHELLS.contains(&self.name)
    }

    fn is_harmful(&self, depth: u32) -> bool {
        match self.name {
            "rm" => self.removes_everything(),
            "dd" => self.texts().filter_map(|text| text.strip_prefix("of=/dev/")).any(is_disk),
            "mkfs" => true,
            "eval" | "source" | "." => self.operand().is_some_and(begins_with_fetch),
            name if name.starts_with("mkfs.") => true,
            _ if self.is_shell() => {
                self.operand().is_some_and(begins_with_fetch)
                    || self.script().is_some_and(|script| depth > 0 && is_harmful(script, depth - 1))
            }
            _ => false,
        }
    }

    /// The script that a shell is given as an argument.
    fn script(&self) -> Option<&'a str> {
        let mut texts = self.texts();
        texts.find(|text| text.starts_with('-') && !text.starts_with("--") && text.contains('c'))?;
        texts.next()
    }

    fn removes_everything(&self) -> bool {
        let is_deep = |text: &str| {
            text == "--recursive" || (!text.starts_with("--") && text.starts_with('-') && text.contains(['r', 'R']))
        };
        self.texts().any(is_deep) && self.texts().any(|text| text == "--no-preserve-root" || is_everything(text))
    }

    fn fetches(&self) -> bool {
        FETCHERS.contains(&self.name)
    }

    /// Whether what it reads is a program to it, and not only data.
    fn runs_what_it_reads(&self) -> bool {
        let reads = match self.texts().next() {
            None | Some("-" | "-s" | "/dev/stdin") => true,
            Some(_) => self.texts().all(|text| text.starts_with('-')),
        };
        (self.is_shell() || INTERPRETERS.contains(&self.name)) && reads
    }

    fn sends(&self) -> bool {
        let is_socket = |text: &str| text.starts_with("/dev/tcp/") || text.starts_with("/dev/udp/");
        SENDERS.contains(&self.name) || self.texts().any(is_socket)
    }

    fn has_secrets(&self) -> bool {
        let shows_variables = ["env", "printenv"].contains(&self.name) && self.operand().is_none();
        let before = std::iter::once("").chain(self.texts());
        let mut sent = before.zip(self.texts()).filter(|(before, _)| !NOT_SENT.contains(before));
        shows_variables || sent.any(|(_, text)| is_secret(text))
    }
}

fn is_assignment(word: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// The root directory, or the home directory.
fn is_everything(path: &str) -> bool {
    let trimmed = path.trim_end_matches(['/', '*', '.']);
    (path.starts_with('/') && trimmed.is_empty()) || ["~", "$HOME", "${HOME}"].contains(&trimmed)
}

fn is_disk(device: &str) -> bool {
    !BOTTOMLESS.iter().any(|known| device.starts_with(known))
}

fn is_secret(text: &str) -> bool {
    let is_kept = SECRETS.iter().any(|secret| text.contains(secret)) || text.ends_with("/.ssh");
    (is_kept && !text.ends_with(".pub")) || substituted(text).any(|script| begins_with(script, &["env", "printenv"]))
}

/// Whether the word is the output of a command that fetches something.
fn begins_with_fetch(text: &str) -> bool {
    let whole = opened(text.trim_start());
    whole.is_some_and(|script| begins_with(script, &FETCHERS))
}

/// The commands whose output is put into the word, each with all that follows it.
fn substituted(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().filter_map(move |(at, _)| text.get(at..)).filter_map(opened)
}

/// What follows the opening of a substitution, if the text begins with one.
fn opened(text: &str) -> Option<&str> {
    ["$(", "<(", "`"].iter().find_map(|opening| text.strip_prefix(opening))
}

fn begins_with(script: &str, names: &[&str]) -> bool {
    let script = script.trim_start();
    let goes_on = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
    names.iter().any(|name| script.strip_prefix(name).is_some_and(|rest| !rest.starts_with(goes_on)))
}

#[cfg(test)]
mod tests;
