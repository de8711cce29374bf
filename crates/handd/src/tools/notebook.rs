//! Jupyter notebooks, as the text that is in them.

use std::{io::Read, path::Path};

use serde_json::Value;

use super::{Failed, files::Named};

/// Most of a large notebook is pictures, which are left out.
const LARGEST: u64 = 16 << 20;

pub(super) fn is_one(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ipynb"))
}

/// None if the file is not a notebook after all: then it is read as what it is.
pub(super) fn read(file: &Named<'_>) -> Result<Option<String>, Failed> {
    let (opened, size) = file.open()?;
    if size > LARGEST {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    opened.take(LARGEST).read_to_end(&mut bytes).map_err(|error| file.failed(&error))?;
    Ok(serde_json::from_slice::<Value>(&bytes).ok().and_then(|notebook| render(&notebook)))
}

fn render(notebook: &Value) -> Option<String> {
    let cells = notebook.get("cells")?.as_array()?;
    let mut text = String::new();
    for (number, cell) in (1..).zip(cells) {
        let kind = cell.get("cell_type").and_then(Value::as_str).unwrap_or("unknown");
        text.push_str(&format!("[cell {number}: {kind}]\n"));
        push(&mut text, &joined(cell.get("source")));
        for output in cell.get("outputs").and_then(Value::as_array).into_iter().flatten() {
            text.push_str(&format!("[output of cell {number}]\n"));
            push(&mut text, &printed(output));
        }
        text.push('\n');
    }
    // No store and no model has a use for it.
    text.retain(|letter| letter != '\0');
    Some(text)
}

/// The text of an output: a stream, an error, or the plainest form of a result.
fn printed(output: &Value) -> String {
    if let Some(traceback) = output.get("traceback").and_then(Value::as_array) {
        let lines: Vec<&str> = traceback.iter().filter_map(Value::as_str).collect();
        return lines.join("\n");
    }
    let data = output.get("data");
    let text = joined(output.get("text").or_else(|| data?.get("text/plain")));
    match data.and_then(Value::as_object) {
        Some(data) if data.keys().any(|kind| kind.starts_with("image/")) => format!("{text}\n(an image)"),
        _ => text,
    }
}

/// A text is one string, or a list of its lines.
fn joined(text: Option<&Value>) -> String {
    match text {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

fn push(text: &mut String, part: &str) {
    let part = part.trim_matches('\n');
    if !part.is_empty() {
        text.push_str(part);
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_and_their_outputs_become_text() {
        let notebook = json!({"cells": [
            {"cell_type": "markdown", "source": ["# Title\n", "words"]},
            {"cell_type": "code", "source": "1 + 1", "outputs": [
                {"output_type": "stream", "text": ["printed\n"]},
                {"output_type": "execute_result", "data": {"text/plain": "2", "image/png": "AAAA"}},
                {"output_type": "error", "traceback": ["Traceback", "Oops"]},
            ]},
        ]});
        let expected = "[cell 1: markdown]\n# Title\nwords\n\n[cell 2: code]\n1 + 1\n[output of cell 2]\nprinted\n\
                        [output of cell 2]\n2\n(an image)\n[output of cell 2]\nTraceback\nOops\n\n";
        assert_eq!(render(&notebook).as_deref(), Some(expected));
    }

    #[test]
    fn other_json_is_not_a_notebook() {
        assert_eq!(render(&json!({"rows": []})), None);
        assert_eq!(render(&json!([1, 2])), None);
    }
}
