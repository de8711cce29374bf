//! What the terminal shows of a job.

use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// Lines of a tool's result that are shown.
const LINES: usize = 8;

pub(super) struct Show {
    spinner: ProgressBar,
    color: bool,
    /// Messages that have been shown as they came.
    previewed: HashSet<String>,
    /// The cursor stands behind text.
    mid_line: bool,
}

impl Show {
    pub(super) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let spinner = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        spinner.set_style(ProgressStyle::default_spinner());
        Self { spinner, color: terminal, previewed: HashSet::new(), mid_line: false }
    }

    pub(super) fn head(&mut self, model: &str) {
        let scripted = model.starts_with("script/");
        let what = if scripted {
            "the built-in scripted model: no language model is asked, its lines are written down beforehand"
        } else {
            "a language model"
        };
        self.line(&format!("model {model} ({what})"));
    }

    pub(super) fn note(&mut self, text: &str) {
        self.line(&self.dim(text));
    }

    /// Shows that it is alive while nothing comes.
    pub(super) fn tick(&mut self) {
        if !self.mid_line {
            self.spinner.tick();
        }
    }

    pub(super) fn event(&mut self, event: &Value) {
        match event["type"].as_str().unwrap_or_default() {
            "event_delta" => {
                if let (Some(id), Some(text)) = (event["event_id"].as_str(), event["delta"]["content"]["text"].as_str())
                {
                    self.previewed.insert(id.to_owned());
                    self.text(text);
                }
            }
            "agent.message" => {
                let shown = event["id"].as_str().is_some_and(|id| self.previewed.remove(id));
                for block in event["content"].as_array().into_iter().flatten().filter(|_| !shown) {
                    self.text(block["text"].as_str().unwrap_or_default());
                }
                self.end_line();
            }
            "agent.tool_use" => {
                let name = cut(event["name"].as_str().unwrap_or_default(), 60);
                self.line(&format!("{} {}", self.bold(&format!("> {name}")), describe(&event["input"])));
            }
            "agent.tool_result" => self.result(event),
            "session.error" => {
                self.line(&format!("error: {}", cut(event["error"]["message"].as_str().unwrap_or_default(), 400)))
            }
            "session.status_rescheduled" => self.note("trying again"),
            _ => {}
        }
    }

    fn result(&mut self, event: &Value) {
        let failed = event["is_error"] == Value::Bool(true);
        let text = event["content"].as_array().into_iter().flatten().filter_map(|block| block["text"].as_str());
        let text = text.collect::<Vec<_>>().join("\n");
        let lines: Vec<_> = text.lines().collect();
        for line in lines.iter().take(LINES) {
            self.line(&self.dim(&format!("  {}{}", if failed { "! " } else { "" }, cut(line, 160))));
        }
        if lines.len() > LINES {
            self.note(&format!("  … {} more lines", lines.len() - LINES));
        }
    }

    pub(super) fn summary(
        &mut self,
        files: &[(PathBuf, u64)],
        usage: &Value,
        took: Duration,
        session: &str,
        model: &str,
    ) {
        self.end_line();
        self.line("");
        self.line(&self.bold("Files"));
        for (path, size) in files {
            self.line(&format!("  {} ({size} bytes)", path.display()));
        }
        if files.is_empty() {
            self.line("  none");
        }
        let tokens = |name: &str| usage[name].as_u64().unwrap_or(0);
        let cost = usage["list_cost"]["amount"]
            .as_str()
            .map(|cents| format!(", list cost {cents} US cents"))
            .unwrap_or_default();
        self.line(&format!(
            "Tokens  {} in, {} out, {} from cache{cost}",
            tokens("input_tokens"),
            tokens("output_tokens"),
            tokens("cache_read_input_tokens")
        ));
        self.line(&format!("Time    {:.1} s", took.as_secs_f64()));
        self.line(&self.bold("Next"));
        if model.starts_with("script/") {
            self.line(
                "  ANTHROPIC_API_KEY=… make demo           the same job on a language model; OPENAI_API_KEY works too",
            );
        }
        self.line("  stead run \"your task\" --file data.csv   any task of your own");
        self.line("  stead serve                             the server, for the official SDKs by their base URL");
        self.line(&format!("  GET /v1/sessions/{session}/events   every step of this job, from that server"));
    }

    fn text(&mut self, text: &str) {
        self.spinner.finish_and_clear();
        // What a model says must not move the user's cursor either.
        let plain: String =
            text.chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')).collect();
        print!("{plain}");
        let _ = std::io::stdout().flush();
        self.mid_line = !text.ends_with('\n');
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.mid_line) {
            println!();
        }
    }

    fn line(&mut self, line: &str) {
        self.end_line();
        self.spinner.finish_and_clear();
        println!("{line}");
        self.spinner.reset();
    }

    fn dim(&self, text: &str) -> String {
        if self.color { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        if self.color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A tool's input in one line.
fn describe(input: &Value) -> String {
    let first = ["command", "file_path", "pattern"].into_iter().find_map(|name| input[name].as_str());
    let text = first.map_or_else(|| input.to_string(), str::to_owned);
    let mut lines = text.lines();
    let line = cut(lines.next().unwrap_or_default(), 120);
    if lines.next().is_some() { format!("{line} …") } else { line }
}

fn cut(line: &str, most: usize) -> String {
    // What an agent prints must not move the user's cursor.
    let plain: String = line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    match plain.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &plain[..at]),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_is_shown_in_one_line_that_cannot_harm_the_terminal() {
        assert_eq!(describe(&json!({"command": "ls\npwd"})), "ls …");
        assert_eq!(describe(&json!({"file_path": "/a", "content": "x"})), "/a");
        assert_eq!(cut("a\x1b[2Jb", 80), "a [2Jb");
        assert_eq!(cut("éééé", 2), "éé…");
    }
}
