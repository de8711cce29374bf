//! `read`: a file, as text or as something to look at.

use std::{
    fs::File,
    io::{BufRead, BufReader},
};

use hand_protocol::Outcome;
use serde_json::{Map, Value};

use super::{
    Call, Failed, Result,
    files::{Named, WHOLE},
    input::Input,
    media, notebook,
};

pub(super) fn run(call: &Call<'_>, input: &Map<String, Value>) -> Result {
    let input = Input::new("read", input, &["file_path", "view_range"])?;
    let shown = input.required("file_path")?;
    let range = input.range("view_range")?;
    let path = call.places.resolve(shown);
    let file = Named { tool: "read", shown, path: &path };
    if let Some(seen) = media::read(&file)? {
        return match range {
            None => Ok(seen),
            Some(_) => Err(file.fault("is not text: view_range does not apply to it")),
        };
    }
    let text = match range {
        Some((start, end)) => lines(call, &file, start, end)?,
        None if notebook::is_one(&path) => match notebook::read(&file)? {
            Some(text) => text,
            None => whole(&file)?,
        },
        None => whole(&file)?,
    };
    Ok(Outcome::text(if text.is_empty() { "(empty file)".to_owned() } else { text }))
}

fn whole(file: &Named<'_>) -> std::result::Result<String, Failed> {
    let (_, size) = file.open()?;
    if size > WHOLE {
        let advice = format!("has {size} bytes: over {WHOLE}, give a view_range of lines");
        return Err(file.fault(&advice));
    }
    file.text()
}

fn lines(call: &Call<'_>, file: &Named<'_>, start: u64, end: Option<u64>) -> std::result::Result<String, Failed> {
    let (opened, size) = file.open()?;
    if size == 0 {
        return Ok(String::new());
    }
    let selection = select(call, file, opened, start, end)?;
    if selection.bytes.is_empty() && selection.lines < start {
        return Err(file.fault(&format!("has {} lines, so none from line {start} on", selection.lines)));
    }
    let mut text = file.decoded(selection.bytes)?;
    if text.ends_with('\n') {
        text.pop();
    }
    // A line that is there and empty is not an empty file.
    Ok(if text.is_empty() { "\n".to_owned() } else { text })
}

struct Selection {
    bytes: Vec<u8>,
    /// Lines seen, up to the end of the range.
    lines: u64,
}

/// Goes through a file of any size, with lines of any length, and keeps only what is in the range.
fn select(
    call: &Call<'_>,
    file: &Named<'_>,
    opened: File,
    start: u64,
    end: Option<u64>,
) -> std::result::Result<Selection, Failed> {
    let mut reader = BufReader::with_capacity(64 << 10, opened);
    let mut selection = Selection { bytes: Vec::new(), lines: 0 };
    let mut line = 1;
    loop {
        call.check()?;
        let buffer = reader.fill_buf().map_err(|error| file.failed(&error))?;
        if buffer.is_empty() {
            return Ok(selection);
        }
        let mut rest = buffer;
        while !rest.is_empty() {
            let ends = rest.iter().position(|byte| *byte == b'\n');
            let (piece, after) = rest.split_at(ends.map_or(rest.len(), |at| at + 1));
            selection.lines = line;
            if line >= start {
                selection.bytes.extend_from_slice(piece);
            }
            if selection.bytes.len() as u64 > WHOLE {
                return Err(file.fault(&format!("has more than {WHOLE} bytes in this view_range: give a shorter one")));
            }
            if ends.is_some() {
                if Some(line) == end {
                    return Ok(selection);
                }
                line += 1;
            }
            rest = after;
        }
        let used = buffer.len();
        reader.consume(used);
    }
}
