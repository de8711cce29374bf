//! What the model is told of each tool. Changing a word changes how models behave: the text is tested as a snapshot.

use serde_json::{Value, json};

/// Names that have a description, in the order in which they are offered.
pub const CATALOGUE: [&str; 6] = ["bash", "read", "write", "edit", "glob", "grep"];

/// The description and the input schema of a built-in tool; `None` if this version has no such tool.
pub fn described(name: &str) -> Option<model::Tool> {
    let (description, properties, required): (&str, Value, &[&str]) = match name {
        "bash" => (BASH, bash(), &[]),
        "read" => (READ, read(), &["file_path"]),
        "write" => (WRITE, write(), &["file_path", "content"]),
        "edit" => (EDIT, edit(), &["file_path", "old_string", "new_string"]),
        "glob" => {
            (GLOB, search("Glob pattern, for example **/*.rs", "Directory to search; default /workspace"), &["pattern"])
        }
        "grep" => (GREP, search("Regular expression", "File or directory to search; default /workspace"), &["pattern"]),
        _ => return None,
    };
    let input_schema =
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    Some(model::Tool { name: name.to_owned(), description: description.to_owned(), input_schema })
}

const BASH: &str = "Runs a command in a bash shell that stays open: the working directory, variables, functions and \
background jobs are still there at the next call. Standard error is part of the output. Standard input is empty, so a \
command must not wait for it. A command that takes longer than its timeout is ended with all its processes, and the shell \
starts anew; start servers and other long work in the background, with their output in a file.";

const READ: &str = "Reads a file: text whole, or the lines of view_range; images (png, jpeg, gif, webp) and PDF as media. \
Text above 256 KiB needs view_range.";

const WRITE: &str = "Writes a whole file, replacing what was there. Missing directories are made.";

const EDIT: &str = "Replaces old_string in a file by new_string. old_string must match exactly, white space included, and \
occur once, unless replace_all is true.";

const GLOB: &str = "Finds files by a glob pattern, the most recently changed first; at most 200.";

const GREP: &str = "Searches files for a regular expression. Each match is a line path:line:text.";

fn bash() -> Value {
    json!({
        "command": {"type": "string", "description": "The command to run"},
        "restart": {"type": "boolean", "description": "True ends the shell and starts a new one; no command is run"},
        "timeout_ms": {"type": "number", "description": "Milliseconds until the command is ended; default 120000, at most 600000"},
    })
}

fn read() -> Value {
    json!({
        "file_path": {"type": "string", "description": "Absolute, or relative to /workspace"},
        "view_range": {
            "type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2,
            "description": "First and last line to read, counted from 1; a last line of 0 or below means to the end",
        },
    })
}

fn write() -> Value {
    json!({
        "file_path": {"type": "string", "description": "Absolute, or relative to /workspace"},
        "content": {"type": "string", "description": "The whole new content"},
    })
}

fn edit() -> Value {
    json!({
        "file_path": {"type": "string", "description": "Absolute, or relative to /workspace"},
        "old_string": {"type": "string", "description": "The text to replace"},
        "new_string": {"type": "string", "description": "The text to put there"},
        "replace_all": {"type": "boolean", "description": "Replace every occurrence; default false"},
    })
}

fn search(pattern: &str, path: &str) -> Value {
    json!({
        "pattern": {"type": "string", "description": pattern},
        "path": {"type": "string", "description": path},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_model_is_told() {
        let told: Vec<_> = CATALOGUE.iter().filter_map(|name| described(name)).collect();
        assert_eq!(told.len(), CATALOGUE.len());
        insta::assert_json_snapshot!(told);
    }
}
