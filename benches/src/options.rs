//! The counts, from the command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

pub(crate) struct Options {
    /// The server, as an absolute path: it is started in a directory of its own.
    pub(crate) binary: PathBuf,
    /// Where data directories are made. On a disk, or what a commit costs would not show.
    pub(crate) directory: PathBuf,
    /// `claude-*` is answered over the Messages API, any other id over chat completions.
    pub(crate) model: String,
    pub(crate) turns: usize,
    pub(crate) clients: usize,
    pub(crate) seconds: u64,
    pub(crate) streams: usize,
    pub(crate) sessions: usize,
    /// Sessions whose first tool call is measured.
    pub(crate) fresh_calls: usize,
    /// Calls measured in one session that has made one before.
    pub(crate) warm_calls: usize,
    pub(crate) starts: usize,
    /// Sessions that wait for the model at once.
    pub(crate) waiting: usize,
    /// Rows of the log of a session that is woken.
    pub(crate) events: usize,
    /// How often it is woken in each way.
    pub(crate) wakes: usize,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let quick = arguments.iter().any(|argument| argument == "--quick");
        let mut options = Self::with_defaults(quick)?;
        let mut rest = arguments.iter().filter(|argument| *argument != "--quick");
        while let Some(name) = rest.next() {
            let value = rest.next().with_context(|| format!("{name} wants a value"))?;
            let number = || value.parse::<usize>().with_context(|| format!("{name} wants a number, not `{value}`"));
            match name.as_str() {
                "--model" => options.model.clone_from(value),
                "--turns" => options.turns = number()?,
                "--clients" => options.clients = number()?,
                "--seconds" => options.seconds = number()? as u64,
                "--streams" => options.streams = number()?,
                "--sessions" => options.sessions = number()?,
                "--waiting" => options.waiting = number()?,
                "--events" => options.events = number()?,
                _ => bail!("unknown option `{name}`"),
            }
        }
        Ok(options)
    }

    fn with_defaults(quick: bool) -> Result<Self> {
        let binary = std::env::var_os("STEAD_BIN").map_or_else(|| PathBuf::from("target/release/stead"), PathBuf::from);
        let binary = binary.canonicalize().with_context(|| format!("there is no server at {}", binary.display()))?;
        let model = "claude-bench".to_owned();
        let directory = directory()?;
        let pick = |few: usize, many: usize| if quick { few } else { many };
        Ok(Self {
            binary,
            directory,
            model,
            turns: pick(100, 500),
            clients: 20,
            seconds: if quick { 3 } else { 10 },
            streams: pick(2_000, 10_000),
            sessions: pick(20_000, 100_000),
            fresh_calls: pick(10, 30),
            warm_calls: pick(50, 200),
            starts: pick(5, 20),
            waiting: pick(500, 5_000),
            events: pick(20_000, 100_000),
            wakes: pick(3, 10),
        })
    }
}

fn directory() -> Result<PathBuf> {
    let named = std::env::var_os("STEAD_BENCH_DIR").map(PathBuf::from);
    let target = PathBuf::from("target");
    let chosen = named.or_else(|| target.is_dir().then_some(target)).unwrap_or_else(std::env::temp_dir);
    chosen.canonicalize().with_context(|| format!("there is no directory {}", chosen.display()))
}
